"""A small HTTP server on loopback, for as long as somebody needs it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

App = Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing is said about a request."""


@contextmanager
def serving(app: App) -> Iterator[str]:
    """Serve a WSGI application on a free port of 127.0.0.1; where it is, as `host:port`."""
    server = make_server("127.0.0.1", 0, app, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def body(asked: dict[str, Any]) -> bytes:
    """The body of a request."""
    content: bytes = asked["wsgi.input"].read(int(asked.get("CONTENT_LENGTH") or 0))
    return content
