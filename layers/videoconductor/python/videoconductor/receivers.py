"""POSTs to callbackUrls: to public addresses only, and not for long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from videoconductor import addresses, inputs
from videoconductor.addresses import Broken, Limit, Patience, Resolver, Target, Wire
from videoconductor.errors import ReceiverUnavailable

SECONDS = 10.0  # for all of it
CONNECT_SECONDS = 3.0
MAX_TRIED = 2  # addresses of a receiver


@dataclass(frozen=True)
class Answer:
    """What a receiver said: its status, and when it wants to be asked again."""

    status: int
    retry_after: str | None = None


class Receivers:
    """The way to callbackUrls. With `loopback`, to those on this very machine as well."""

    def __init__(
        self,
        *,
        loopback: bool = False,
        seconds: float = SECONDS,
        wire: Wire | None = None,
        resolver: Resolver = addresses.resolve,
    ) -> None:
        self._loopback = loopback
        self._seconds = seconds
        self._wire = wire or addresses.Direct()
        self._resolver = resolver

    def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Send a webhook and take the head of the answer; what follows it is not read.

        Raises ReceiverUnavailable, in words that hold no url, when there is no answer, or the url
        does not lead to where we may send.
        """
        with addresses.bounded(self._seconds) as limit:
            try:
                inputs.callback_url(url, loopback=self._loopback)
                _, target = addresses.parsed(url)
                found = self._addresses(target)
            except LookupError:
                raise ReceiverUnavailable("its host cannot be looked up") from None
            except ValueError:
                raise ReceiverUnavailable("it does not lead to a public address") from None
            return self._posted(target, found, headers, content, limit)

    def _posted(
        self,
        target: Target,
        found: list[str],
        headers: Mapping[str, str],
        content: bytes,
        limit: Limit,
    ) -> Answer:
        seconds = self._seconds
        patience = Patience(min(CONNECT_SECONDS, seconds), write=seconds, read=seconds)
        try:
            reply = addresses.sent(
                self._wire,
                "POST",
                target,
                found,
                limit,
                patience=patience,
                content=content,
                headers=headers,
            )
        except Broken as problem:
            is_slow = limit.is_over or problem.is_slow
            words = f"no answer within {seconds:g} s" if is_slow else str(problem)
            raise ReceiverUnavailable(words) from None
        reply.close()
        return Answer(reply.status, reply.headers.get("retry-after"))

    def _addresses(self, target: Target) -> list[str]:
        """Where a url leads to at this moment. Raises LookupError, ValueError."""
        host = target.host
        if self._loopback and host in inputs.LOOPBACK_HOSTS:
            return ["127.0.0.1", "::1"] if host == "localhost" else [host]
        # An address stands for itself, and is judged like one that a name leads to.
        known = self._resolver if not addresses.is_literal(host) else lambda name, _: [name]
        seconds = min(addresses.LOOK_UP_SECONDS, self._seconds)
        return addresses.public(host, target.port, known, seconds)[:MAX_TRIED]
