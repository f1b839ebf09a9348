"""Every way a render can go wrong, drawn once.

VideoConductorError
├── InvalidRequest          the request is at fault: nothing was written, nothing was spent
├── CallerUnknown           nobody vouches for the caller
├── Unidentified            no service token, or none that is good
├── ScopeMissing            the service token does not allow this
├── TokensUnavailable       the service tokens cannot be read: the caller may ask again
├── QuoteRequired           more is due than may be spent without a quote or a limit
├── OverBudget              a cap or the kill switch leaves no room for what is asked for
├── RenderNotFound          no render has this id
├── IdempotencyConflict     the same Idempotency-Key came with another request
├── NotAllowed              the render's state rules the command out
├── RenderExists            a render of this id is on record already
├── KeyTaken                an object stands under this key already
├── RecordChanged           somebody else wrote the record first: read it again
├── StillInTheMaking        another render has the same still made: wait for it
├── ManifestUnavailable     DynamoDB failed us: the machine retries
├── LibraryUnavailable      S3 failed us: the machine retries
├── EventsUnavailable       EventBridge failed us: the machine retries
├── NotSetGoing             a decision is on record, but its execution did not start: resume
├── QueueUnavailable        SQS failed us: it is tried again
├── ReceiverUnavailable     a callbackUrl gave no answer: it is tried again
├── WebhookKeyUnavailable   the key of webhooks could not be read: it is tried again
├── MachineUnavailable      Step Functions failed us: the caller may ask again
├── ProviderUnavailable     a poll got no usable answer: poll again
│   ├── KeyRefused          the provider refused the key on a poll: read it anew, poll again
│   └── JobNotFound         the provider does not know a job it accepted: grace, then stalled
├── NotSent                 a POST that provably reached nobody: it may be sent again
│   └── RateLimited         a POST the provider refused for its rate: it may be sent again
├── SubmitUnknown           a POST that may have been accepted: a person resolves it
├── RenderStalled           the deadline passed while the job may still finish
├── RenderCancelled         somebody cancelled the wait
├── CopyInterrupted         the transfer of a finished clip broke: the whole copy is retried
├── UrlExpired              the clip's url no longer works: poll for a fresh one
├── NothingDelivered        the provider has delivered nothing to the place it was given
├── NoFrame                 no picture can be had of a clip or an image
├── FilmNotFound            no film, or no run of it, has this id
└── RenderFailed            final
    ├── RenderRefused       the provider refused the POST; nothing was accepted
    │   └── OutOfCredits    refused because the account has no money left
    ├── BudgetExceeded      a cap is short of room for the POST; nothing was sent
    │   ├── SpendingStopped somebody set the kill switch; nothing was sent
    │   └── Unpriced        there is a cap, and a model without a price; nothing was sent
    ├── ModerationRejected  made, withheld, and usually billed
    ├── RenderExpired       the provider dropped the job
    ├── NoUrl               made, and the provider says nowhere where it is
    ├── NotAClip            what was delivered is not a playable MP4
    ├── SourceNotAllowed    the clip's url points somewhere we do not fetch from
    ├── ClipConflict        another file stands where this clip belongs; both are kept
    └── CopyFailed          every copy failed; the job can be attached again
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from videoconductor.quotes import Quote


class VideoConductorError(Exception):
    """Root of the tree."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: the field, what it held, why not, and what it may hold."""

    field: str
    value: Any
    message: str
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        value = "" if self.value is None else f"{_shown(self.value)} "
        text = f"{self.field}: {value}{self.message}"
        return f"{text}; choose one of: {', '.join(self.choices)}" if self.choices else text


def _shown(value: Any) -> str:
    # What is long enough to be cut is cut first: a repr of megabytes takes its time.
    text = repr(value[:80] if isinstance(value, str | bytes | list | tuple) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


class InvalidRequest(VideoConductorError):
    """The request is at fault: nothing was written, nothing was spent."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))

    @classmethod
    def of(
        cls, field: str, value: Any, message: str, choices: Sequence[str] = ()
    ) -> InvalidRequest:
        """An InvalidRequest with a single problem."""
        return cls([Problem(field, value, message, tuple(choices))])


class QuoteRequired(VideoConductorError):
    """More is due than may be spent without a quote or a limit: nothing was written.

    `quote` is what it would cost.
    """

    def __init__(self, message: str, quote: Quote) -> None:
        super().__init__(message)
        self.quote = quote


class OverBudget(VideoConductorError):
    """A cap or the kill switch leaves no room for what is asked for: nothing was written.

    `scope` is that of the cap, `stop`, or `unpriced` when there is a cap and something without a
    price; `held`, `settled` and `needed` are ticks (10^10 a dollar), `needed` the least that it
    costs. `change` is what makes room: a command, but for `unpriced`.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: str,
        name: str | None,
        cap: Decimal | None,
        held: int,
        settled: int,
        needed: int,
        change: str,
    ) -> None:
        super().__init__(message)
        self.scope, self.name, self.cap = scope, name, cap
        self.held, self.settled, self.needed = held, settled, needed
        self.change = change


class CallerUnknown(VideoConductorError):
    """Nobody vouches for the caller."""


class Unidentified(VideoConductorError):
    """No service token, or none that is good."""


class ScopeMissing(VideoConductorError):
    """The service token does not allow this."""


class TokensUnavailable(VideoConductorError):
    """The service tokens cannot be read: the caller may ask again."""


class RenderNotFound(VideoConductorError):
    """No render has this id."""


class IdempotencyConflict(VideoConductorError):
    """The same Idempotency-Key came with another request."""


class NotAllowed(VideoConductorError):
    """The render's state rules the command out."""


class RenderExists(VideoConductorError):
    """A render of this id is on record already: nothing was written."""


class KeyTaken(VideoConductorError):
    """An object stands under this key already: nothing was written."""


class RecordChanged(VideoConductorError):
    """Somebody else wrote the record first: read it again."""


class StillInTheMaking(VideoConductorError):
    """Another render has the same still made at this moment: wait for it."""


class ManifestUnavailable(VideoConductorError):
    """DynamoDB failed us: the machine retries."""


class LibraryUnavailable(VideoConductorError):
    """S3 failed us: the machine retries."""


class EventsUnavailable(VideoConductorError):
    """EventBridge failed us: the machine retries."""


class NotSetGoing(VideoConductorError):
    """A decision is on record, but its execution did not start: resume."""


class QueueUnavailable(VideoConductorError):
    """SQS failed us: it is tried again."""


class ReceiverUnavailable(VideoConductorError):
    """A callbackUrl gave no answer, or leads to where we do not send: it is tried again."""


class WebhookKeyUnavailable(VideoConductorError):
    """The key that webhooks are signed with could not be read: it is tried again."""


class MachineUnavailable(VideoConductorError):
    """Step Functions failed us: the caller may ask again."""


class ProviderUnavailable(VideoConductorError):
    """A poll got no usable answer: poll again, after `retry_after` seconds if that was said."""

    def __init__(self, message: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KeyRefused(ProviderUnavailable):
    """The provider refused the key on a poll: read it anew, poll again."""


class JobNotFound(ProviderUnavailable):
    """The provider does not know a job it accepted: grace, then stalled."""


class NotSent(VideoConductorError):
    """A POST that provably reached nobody: it may be sent again."""


class RateLimited(NotSent):
    """A POST the provider refused for its rate: it may be sent again."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SubmitUnknown(VideoConductorError):
    """A POST that may have been accepted: a person resolves it."""


class RenderStalled(VideoConductorError):
    """The deadline passed while the job may still finish."""


class RenderCancelled(VideoConductorError):
    """Somebody cancelled the wait."""


class CopyInterrupted(VideoConductorError):
    """The transfer of a finished clip broke: the whole copy is retried."""


class UrlExpired(VideoConductorError):
    """The clip's url no longer works: poll for a fresh one."""


class NothingDelivered(VideoConductorError):
    """The provider has delivered nothing to the place it was given."""


class NoFrame(VideoConductorError):
    """No picture can be had of a clip or an image."""


class FilmNotFound(VideoConductorError):
    """No film, or no run of it, has this id."""


class RenderFailed(VideoConductorError):
    """Final. `code` is the provider's own, `cost_ticks` (10^10 a dollar) what it says it billed.

    `model_served` is the model that it says was at work.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        cost_ticks: int | None = None,
        model_served: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.cost_ticks = cost_ticks
        self.model_served = model_served


class RenderRefused(RenderFailed):
    """The provider refused the POST; nothing was accepted."""


class OutOfCredits(RenderRefused):
    """Refused because the account has no money left."""


class BudgetExceeded(RenderFailed):
    """A cap is short of room for the POST: nothing was sent."""


class SpendingStopped(BudgetExceeded):
    """Somebody set the kill switch: nothing was sent."""


class Unpriced(BudgetExceeded):
    """There is a cap, and a model without a price: nothing was sent."""


class ModerationRejected(RenderFailed):
    """Made, withheld, and usually billed."""


class RenderExpired(RenderFailed):
    """The provider dropped the job."""


class NoUrl(RenderFailed):
    """The clip was made, and the provider says nowhere where it is."""


class NotAClip(RenderFailed):
    """What was delivered is not a playable MP4."""


class SourceNotAllowed(RenderFailed):
    """The clip's url points somewhere we do not fetch from."""


class ClipConflict(RenderFailed):
    """Another file stands where this clip belongs; both are kept."""


class CopyFailed(RenderFailed):
    """Every copy failed; the job can be attached again."""
