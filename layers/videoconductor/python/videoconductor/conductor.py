"""What people and programs may ask of renders: accept one, cancel, attach, retry, abandon."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from videoconductor import (
    budgets,
    identity,
    inputs,
    ledger,
    planning,
    pricing,
    quotes,
    recovering,
    remastering,
    revival,
)
from videoconductor.clip import (
    DEFAULT_FILM,
    SETTLED,
    ClipRequest,
    Failure,
    Frame,
    Inbox,
    Render,
    RenderPlan,
)
from videoconductor.errors import (
    EventsUnavailable,
    IdempotencyConflict,
    InvalidRequest,
    LibraryUnavailable,
    MachineUnavailable,
    NotAllowed,
    NotSetGoing,
    RenderExists,
    RenderNotFound,
)
from videoconductor.intake import Remastering
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlanDefaults, PlannedClip
from videoconductor.providers import Job
from videoconductor.quality import QualityModes
from videoconductor.quotes import Quote

if TYPE_CHECKING:
    from videoconductor.library import Library
    from videoconductor.machine import Machine
    from videoconductor.manifest import Manifest

MAX_KEY_CHARACTERS = 255


@dataclass(frozen=True)
class _Source:
    """What is known of a source clip."""

    seconds: Decimal | None = None
    resolution: str | None = None
    is_trusted: bool = True


@dataclass(frozen=True)
class Conductor:
    """The commands, with everything they need handed in."""

    modes: QualityModes
    models: ModelCatalog
    defaults: PlanDefaults
    manifest: Manifest
    library: Callable[[], Library]  # few requests need it, and its client takes long to build
    machine: Machine
    announce: Callable[[Render], Render]
    attach_job: Callable[[str, str], Job]
    poll_timeout: float
    new_id: Callable[[], str]
    clock: Callable[[], datetime]

    def accept(
        self,
        request: ClipRequest,
        caller: str,
        key: str | None = None,
        inbox: Inbox | None = None,
    ) -> Render:
        """Put a request on record and set it in motion; with the same key, only once.

        `inbox` is the object that it came in, if it came so.

        Returns the render as first put on record. Raises InvalidRequest, IdempotencyConflict when
        the key came with another request, ManifestUnavailable, LibraryUnavailable, NotSetGoing.
        """
        render_id = self.new_id() if key is None else derived_id(caller, key)
        try:
            limited = self._limited(request)
            plan = self._planned(limited, self._own_source(request), self.defaults)
            render = self.drafted(limited, plan, render_id, caller)
        except (InvalidRequest, LibraryUnavailable):
            # A repetition is answered as the first was, whatever presets and quotes say now.
            if key is not None:
                with suppress(RenderNotFound):
                    return self._again(self.manifest.read(render_id), request_sha256(request))
            raise
        return self._recorded(render.model_copy(update={"inbox": inbox}))

    def plan(self, request: ClipRequest) -> tuple[str, PlannedClip]:
        """The film that a request belongs to, and its clip as `accept` would have it made.

        Writes nothing. Raises InvalidRequest as `accept` does, ManifestUnavailable.
        """
        plan = self._planned(self._limited(request), self._own_source(request), self.defaults)
        film = request.pipeline_request_id or DEFAULT_FILM
        return film, PlannedClip(request.clip_id, plan, plan.warnings)

    def quote(self, request: ClipRequest) -> Quote:
        """What `accept` would pay for the clip as things are now.

        Writes nothing. Raises as `plan` does.
        """
        film, clip = self.plan(request.model_copy(update={"quote_id": None}))
        return quotes.quote(film, [clip], quotes.of_clip(request), self.models, self.clock())

    def _limited(self, request: ClipRequest) -> ClipRequest:
        """A request whose limit is that of the quote it names, or its own if that is lower.

        Raises InvalidRequest for a quote that is not of it, or has expired.
        """
        if request.quote_id is None:
            return request
        quoted = quotes.agreed(request.quote_id, quotes.of_clip(request), self.clock())
        own = request.max_cost_usd
        limit = quoted if own is None else min(quoted, own)
        return request.model_copy(update={"max_cost_usd": limit})

    def remaster(
        self, render_id: str, wanted: Remastering, caller: str, key: str | None = None
    ) -> Render:
        """Ask for a finished render's clip again at the resolution of remasters, linked to it.

        With the same key, only once. Raises RenderNotFound, NotAllowed when the render has no clip
        or none that can be remastered, and what `accept` raises.
        """
        digest = remastering.sha256(render_id, wanted)
        new_id = self.new_id() if key is None else derived_id(caller, key, "remaster")
        if key is not None:
            with suppress(RenderNotFound):
                return self._again(self.manifest.read(new_id), digest)
        order = remastering.order(
            self.manifest.read(render_id), wanted, self.modes, self.library().uri
        )
        defaults = replace(self.defaults, own_images=order.frames)
        try:
            source = _Source(order.source_seconds, order.source_resolution)
            plan = self._planned(order.request, source, defaults)
        except InvalidRequest as refused:
            raise remastering.refusal(refused, wanted) from refused
        render = self.drafted(order.request, order.framed(plan), new_id, caller)
        return self._recorded(render.model_copy(update={"request_sha256": digest}))

    def _planned(self, request: ClipRequest, source: _Source, defaults: PlanDefaults) -> RenderPlan:
        """The plan of a request, without the price of a still that its clip has already."""
        unbounded = request.model_copy(update={"max_cost_usd": None})
        # A process may outlive the day on which it was set up.
        defaults = replace(defaults, today=self.clock().date())
        plan = planning.plan(
            unbounded,
            self.modes,
            self.models,
            defaults,
            source.seconds,
            source.resolution,
            trusts_source=source.is_trusted,
        )
        if plan.first_frame_prompt is not None and request.clip_id is not None:
            film = request.pipeline_request_id or DEFAULT_FILM
            shape = identity.still_fingerprint(plan)
            is_there = self.manifest.still(film, request.clip_id, shape) is not None
            settled = pricing.without_still if is_there else pricing.with_still
            plan = plan.model_copy(update={"estimate": settled(plan.estimate)})
        self._check_cost(request, plan)
        return plan

    def _check_cost(self, request: ClipRequest, plan: RenderPlan) -> None:
        """Refuse what costs more than the request allows. Raises InvalidRequest."""
        try:
            planning.check_cost(request.max_cost_usd, plan.estimate)
        except InvalidRequest:
            quote_id, limit = request.quote_id, request.max_cost_usd
            if quote_id is None or limit is None or not plan.estimate.is_priced:
                raise
            if quotes.agreed(quote_id, quotes.of_clip(request), self.clock()) != limit:
                raise  # its own limit is lower
            due = quotes.usd(plan.estimate.total_usd)
            words = f"is of {quotes.usd(limit)}, and {due} is due now: ask for another one"
            raise InvalidRequest.of("quoteId", quote_id, words) from None

    def _recorded(self, render: Render) -> Render:
        """Put a render on record and set it in motion; the one that is there if it is the same."""
        try:
            return self._started(self.manifest.create(render))
        except RenderExists:
            return self._again(self.manifest.read(render.render_id), render.request_sha256)

    def drafted(
        self, request: ClipRequest, plan: RenderPlan, render_id: str, caller: str
    ) -> Render:
        """The render of a plan as it is before it is put on record, its inline images kept."""
        clip_id = request.clip_id or render_id
        film = request.pipeline_request_id or DEFAULT_FILM
        return Render(
            render_id=render_id,
            clip_id=clip_id,
            pipeline_request_id=film,
            plan=self._with_kept_frames(plan, film, clip_id, render_id),
            caller=caller,
            request_sha256=request_sha256(request),
            created_at=self.clock(),
            purpose=request.purpose,
            ref_code=request.ref_code,
            remaster_from_request_id=request.remaster_from_request_id,
            thumbnail=request.thumbnail,
            fingerprint=identity.fingerprint(plan),
            callback_url=request.callback_url,
            max_cost_usd=request.max_cost_usd,
        )

    def cancel(self, render_id: str) -> Render:
        """Stop waiting for a render. A job that xAI accepted goes on and may be billed.

        Raises RenderNotFound, or NotAllowed when it has come to rest already.
        """

        def cancelled(latest: Render) -> Render:
            if latest.status == "cancelled":
                return latest
            if latest.status in SETTLED:
                raise NotAllowed(f"the render is {latest.status} already")
            failure = Failure(error="RenderCancelled", message="cancelled on request")
            return latest.having(self.clock(), "cancelled", failure=failure, wait_seconds=0)

        return self.manifest.update(render_id, cancelled)

    def attach(self, render_id: str, request_id: str | None = None) -> Render:
        """Take up the wait for a job again: the one on record, or one somebody found.

        Where no job is known the clip is taken from its witness, if that has come, whatever was
        decided about the render before. Raises RenderNotFound, NotAllowed when the render is under
        way or finished, InvalidRequest when there is nothing to attach, LibraryUnavailable.
        """
        number = None if request_id else self._delivered(render_id)

        def attached(latest: Render) -> Render:
            if latest.status not in SETTLED - {"finalized"}:
                raise NotAllowed(f"the render is {latest.status}: there is nothing to attach")
            job = self.attach_job(latest.plan.provider, request_id) if request_id else latest.job
            if job is None and number is not None:
                now = self.clock()
                return _taken_over(revival.resumed(revival.delivered(latest, number, now), now))
            if job is None:
                raise InvalidRequest.of("requestId", None, "is required: none is on record")
            return _taken_over(revival.attached(latest, job, self.clock(), self.poll_timeout))

        return self._set_going(render_id, attached)

    def _delivered(self, render_id: str) -> int | None:
        """The attempt whose witness is all that is known of a render's job, if it has come."""
        record = self.manifest.read(render_id)
        if record.job is not None or record.status not in SETTLED - {"finalized"}:
            return None
        return recovering.come(record, recovering.expected(record), self.library())

    def retry(
        self,
        render_id: str,
        *,
        caller: str | None = None,
        may_charge_twice: bool = False,
        max_cost_usd: Decimal | None = None,
    ) -> Render:
        """Allow one more POST for a render that came to nothing.

        Where the last POST may have been accepted, or its job may still finish, that can mean
        paying again, and has to be said: `may_charge_twice`. `max_cost_usd`, if given, takes the
        place of what all of the render's POSTs may cost. It goes at today's prices, and `caller`
        spends it. Raises RenderNotFound, NotAllowed, and InvalidRequest for a limit that has no
        room for it.
        """

        def retried(latest: Render) -> Render:
            if latest.status not in SETTLED - {"finalized"}:
                raise NotAllowed(f"the render is {latest.status}: there is nothing to retry")
            if not may_charge_twice and revival.may_still_cost(latest):
                raise NotAllowed(
                    f"the render is {latest.status} and may have been paid for: attach its "
                    "request id, or retry with mayChargeTwice"
                )
            again = revival.retried(latest, self.clock())
            limit = latest.max_cost_usd if max_cost_usd is None else max_cost_usd
            changes: dict[str, object] = {
                "wanted_at": self.clock(),
                "set_going_by": caller if caller not in {None, latest.caller} else None,
                "plan": pricing.repriced(latest.plan, self.models),
                "max_cost_usd": limit,
            }
            again = again.model_copy(update=changes)
            _check_limit(again, limit)
            return _taken_over(again)

        return self._set_going(render_id, retried)

    def resume(self, render_id: str) -> Render:
        """Give a render that is under way a new execution, in case its own is gone.

        Harmless at any time: an execution that was overtaken steps aside, and no POST is sent
        that the old one might have sent. Raises RenderNotFound, NotAllowed when it is at rest.
        """

        def resumed(latest: Render) -> Render:
            if latest.status in SETTLED:
                raise NotAllowed(f"the render is {latest.status}: there is nothing to resume")
            return revival.resumed(latest, self.clock())

        return self._set_going(render_id, resumed)

    def abandon(self, render_id: str) -> Render:
        """Give up a render that nobody can account for. Raises RenderNotFound, NotAllowed."""

        def abandoned(latest: Render) -> Render:
            if not revival.may_be_abandoned(latest):
                raise NotAllowed(f"the render is {latest.status}: there is nothing to abandon")
            before = latest.failure.message if latest.status == "failed" and latest.failure else ""
            words = f"given up while {latest.status}" + (f": {before}" if before else "")
            failure = Failure(error=revival.ABANDONED, message=words)
            return latest.having(self.clock(), "failed", failure=failure)

        render = self.manifest.update(render_id, abandoned)
        with suppress(EventsUnavailable):  # it is given up all the same
            render = self.announce(render)
        return render

    def _own_source(self, request: ClipRequest) -> _Source:
        """What is known of the source clip, if it is one of the film's own."""
        url = request.source_video_url
        # An entry that was taken in may name any bucket.
        if url is None or self.library().key_of(url) is None:
            return _Source()
        film = request.pipeline_request_id or DEFAULT_FILM
        for entry in self.manifest.entries(film):
            if entry.url == url and entry.duration is not None:
                # What somebody else's manifest says of a clip is not what xAI goes by.
                is_made_here = entry.render_id is not None
                return _Source(Decimal(str(entry.duration)), entry.resolution, is_made_here)
        return _Source()

    def _again(self, render: Render, digest: str) -> Render:
        if render.request_sha256 != digest:
            raise IdempotencyConflict("this Idempotency-Key came with another request before")
        # The first caller may have died between the record and the execution.
        if render.status == "planned" and not render.attempts and render.executions == 1:
            return self._started(render)
        return render

    def _set_going(self, render_id: str, change: Callable[[Render], Render]) -> Render:
        return self._started(self.manifest.update(render_id, change))

    def _started(self, render: Render) -> Render:
        try:
            self.machine.start(render)
        except MachineUnavailable as problem:
            # It may have started after all: to ask for another render could pay for two.
            raise NotSetGoing(
                f"render {render.render_id} is on record, but may not be under way: "
                "resume it instead of asking again"
            ) from problem
        return render

    def _with_kept_frames(
        self, plan: RenderPlan, film: str, clip_id: str, render_id: str
    ) -> RenderPlan:
        """The plan with inline images moved into the library: state documents stay small."""

        def kept(frame: Frame | None, name: str) -> Frame | None:
            if frame is None or frame.url is None or not frame.url.startswith("data:"):
                return frame
            media_type, content = inputs.inline_image(frame.url)
            name = f"{render_id}-{name}-{hashlib.sha256(content).hexdigest()[:16]}"
            key = self.library().put_frame(film, clip_id, name, media_type, content)
            return Frame(key=key, media_type=media_type)

        return plan.model_copy(
            update={
                "image": kept(plan.image, "first"),
                "last_frame": kept(plan.last_frame, "last"),
                "references": tuple(
                    kept(frame, f"reference-{number}")
                    for number, frame in enumerate(plan.references)
                ),
            }
        )


def _check_limit(render: Render, limit: Decimal | None) -> None:
    """Refuse a retry that the render's own limit has no room for. Raises InvalidRequest."""
    if limit is None:
        return
    purposes: list[ledger.What] = ["clip"] if render.plan.image is not None else ["still", "clip"]
    still_to_pay = sum(budgets.price(render.plan, what) or 0 for what in purposes)
    needed = render.spent_ticks + render.held_ticks + still_to_pay
    if needed > budgets.ticks_down(limit):
        words = (
            f"leaves no room: {budgets.shown(render.spent_ticks)} spent and "
            f"{budgets.shown(render.held_ticks)} reserved with this retry make "
            f"{budgets.shown(needed)}"
        )
        raise InvalidRequest.of("maxCostUsd", float(limit), words)


def _taken_over(render: Render) -> Render:
    """A render that a person set going: cancelling the film's run that did before leaves it."""
    return render.model_copy(update={"taken_up_by": None})


def request_sha256(request: ClipRequest) -> str:
    """A fingerprint of what was asked, the same however it was spelt and whatever it may cost."""
    # Whoever repeats a call with another limit still means the render that is paid for.
    fields = request.model_dump(
        mode="json", exclude_defaults=True, exclude={"max_cost_usd", "quote_id"}
    )
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def same_request_key(request: ClipRequest) -> str:
    """The Idempotency-Key of a request that came without one: the same for the same request.

    For doors whose clients repeat a call that broke off: a repetition finds the first render,
    even one that failed. A key of the caller's own asks for another.
    """
    parts = [
        request.pipeline_request_id,
        request.clip_id,
        request.quality_mode,
        request_sha256(request),
    ]
    return f"same-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


def derived_id(caller: str, key: str, *kind: str) -> str:
    """The id that a caller's Idempotency-Key stands for. Raises InvalidRequest."""
    parts = [identity.principal(caller), _checked_key(key), *kind]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _checked_key(key: str) -> str:
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise InvalidRequest.of(
            "Idempotency-Key", key, f"must have 1 to {MAX_KEY_CHARACTERS} printable characters"
        )
    return key
