"""The HTTP API as a class: signed requests, careful repetitions, errors in words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from videoconductor.errors import Problem
from videoconductor_cli.address import Address
from videoconductor_cli.errors import BadInput, NoAnswer
from videoconductor_cli.signing import Signed

Document = dict[str, Any]

TIMEOUT = httpx.Timeout(connect=5, read=35, write=30, pool=5)  # API Gateway gives up after 30 s
PAGE_OF_CLIPS = 500  # with a url for each of its files a clip takes about four kilobytes
PAUSES = (0.2, 1.0, 3.0)  # before the second, third and fourth attempt
ASK_AGAIN = frozenset({429, 500, 502, 503, 504})
NOT_LET_IN = frozenset({401, 403})


class VideoConductor:
    """A client of one API.

    Reading is repeated when it gets no answer, and so is a request for a clip or a film: its
    Idempotency-Key makes the repetition the same request. A command is sent once, unless it
    reached nobody.
    """

    def __init__(
        self,
        address: Address,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=address.base_url,
            auth=Signed(address.credentials, address.region),
            timeout=TIMEOUT,
            transport=transport,
            trust_env=not address.is_local,  # a proxy does not lead back to this machine
        )

    def submit(self, request: Mapping[str, Any], key: str) -> Document:
        """Ask for a clip. With the same key, the same render is meant."""
        headers = {"Idempotency-Key": key}
        return self._call("POST", "/v1/videos", _json(request), headers, repeatable=True)

    def render(self, render_id: str) -> Document:
        """All there is to know about a render."""
        return self._call("GET", f"/v1/videos/{_segment(render_id, 'RENDER_ID')}")

    def renders(self, limit: int) -> list[Document]:
        """The newest renders, newest first."""
        found: list[Document] = self._call("GET", f"/v1/videos?limit={limit}")["videos"]
        return found

    def submit_film(self, script: bytes, choices: Iterable[tuple[str, str]], key: str) -> Document:
        """Ask for a film: its script as it is. With the same key, the same run is meant."""
        path = f"/v1/films{_query(choices)}"
        return self._call("POST", path, script, {"Idempotency-Key": key}, repeatable=True)

    def film(self, film: str, run_id: str | None = None) -> Document:
        """A run of a film, the newest if none is named, and how far each of its clips is."""
        chosen = _query([("run", run_id)] if run_id else [])
        return self._call("GET", f"/v1/films/{_segment(film, 'FILM')}{chosen}")

    def manifest(self, film: str, *, presign: bool = False) -> Document:
        """The manifest of a film; with `presign`, with a url for each file that there is.

        It is asked for in pages: that of a large film is more than one answer may hold.
        """
        path = f"/v1/films/{_segment(film, 'FILM')}/manifest"
        chosen = [("limit", str(PAGE_OF_CLIPS)), *([("presign", "true")] if presign else [])]
        clips: list[Document] = []
        page = self._call("GET", path + _query(chosen))
        while "next" in page:
            clips += page["clips"]
            page = self._call("GET", path + _query([*chosen, ("after", page["next"])]))
        return {**page, "clips": [*clips, *page["clips"]]}

    def import_manifest(self, film: str, content: bytes) -> Document:
        """Take an existing manifest into a film; entries that stand there already are kept."""
        path = f"/v1/films/{_segment(film, 'FILM')}/manifest"
        return self._call("POST", path, content, repeatable=True)

    def command(
        self, render_id: str, name: str, fields: Mapping[str, Any] | None = None
    ) -> Document:
        """cancel, attach, retry, resume or abandon; the render as it is then."""
        path = f"/v1/videos/{_segment(render_id, 'RENDER_ID')}/{name}"
        return self._call("POST", path, None if fields is None else _json(fields))

    def _call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool | None = None,
    ) -> Document:
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if content else {})}
        request = self._http.build_request(method, path, content=content, headers=sent)
        return _answer(self._send(request, repeatable is True or method == "GET"))

    def _send(self, request: httpx.Request, repeatable: bool) -> httpx.Response:
        for pause in (*PAUSES, None):
            try:
                response = self._http.send(request)
            except httpx.TransportError as problem:
                reached_nobody = isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout)
                if pause is None or not (repeatable or reached_nobody):
                    raise NoAnswer(
                        f"no answer from {self.address.base_url}: {_words(problem)}"
                    ) from problem
            else:
                if pause is None or not repeatable or response.status_code not in ASK_AGAIN:
                    return response
            self._sleep(pause)
        raise AssertionError


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _query(choices: Iterable[tuple[str, str]]) -> str:
    """Choices as a query; escaped as SigV4 counts it, where a blank is no plus sign."""
    pairs = [f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in choices]
    return f"?{'&'.join(pairs)}" if pairs else ""


def _segment(text: str, name: str) -> str:
    """A name as one part of a path."""
    if text in {"", ".", ".."} or "/" in text:
        raise BadInput(f"{name}: {text!r} cannot be one")
    return quote(text, safe="")


def _answer(response: httpx.Response) -> Document:
    try:
        document = response.json()
    except ValueError:
        document = None
    if response.is_success and isinstance(document, dict):
        return document
    fields: Document = document if isinstance(document, dict) else {}
    words = [str(fields.get("title") or fields.get("message") or response.reason_phrase)]
    if fields.get("errors"):
        words += [f"  {_problem(found)}" for found in fields["errors"]]
    elif fields.get("detail"):
        words += [f"  {fields['detail']}"]
    text = "\n".join(words)
    status = response.status_code
    if status in NOT_LET_IN:
        raise NoAnswer(f"the API does not let these AWS credentials in ({status}): {text}")
    if response.is_client_error and status not in ASK_AGAIN:
        raise BadInput(text)
    raise NoAnswer(f"the API answered {status}: {text}")


def _problem(found: Mapping[str, Any]) -> Problem:
    return Problem(
        found["field"], found["value"], found["message"], tuple(found.get("choices", ()))
    )


def _words(problem: Exception) -> str:
    return f"{type(problem).__name__} {problem}".strip()
