"""Refuses what a web page could send: foreign Host or Origin, and ministack's own back door."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# Under these prefixes ministack resets everything, swaps its executor and shows code, all unsigned.
BACK_DOORS = ("/_ministack", "/_localstack")
HEALTH = "/_ministack/health"


def refusal(path: str, headers: Iterable[tuple[bytes, bytes]], port: int) -> str | None:
    """Why this request is not let in, or None."""
    sent: dict[bytes, list[str]] = {}
    for name, content in headers:
        sent.setdefault(name.lower(), []).append(content.decode("latin-1").strip().lower())
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    origins = {f"http://{host}" for host in hosts}
    if len(sent.get(b"host", [])) != 1 or sent[b"host"][0] not in hosts:
        return "foreign Host"
    if any(origin not in origins for origin in sent.get(b"origin", [])):
        return "foreign Origin"
    if any(site not in {"same-origin", "none"} for site in sent.get(b"sec-fetch-site", [])):
        return "sent by another site"
    if path.startswith(BACK_DOORS) and path != HEALTH:
        return "closed on the local stack"
    return None


def guarded(app: App, port: int) -> App:
    """The app behind the guard."""

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        reason = refusal(scope["path"], scope["headers"], port)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif reason is not None:
            await answer(send, 403, f'{{"message": "refused: {reason}"}}'.encode())
        else:
            await app(scope, receive, send)

    return guard


async def answer(send: Send, status: int, body: bytes) -> None:
    """One whole JSON response."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
