"""One call of the HTTP API: signed with SigV4, repeated where that is safe, its errors sorted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from botocore import session as botocore_session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError

from videoconductor.client.asking import is_local
from videoconductor.client.errors import ASK_AGAIN, Unauthorized, Unavailable, refusal

Document = dict[str, Any]

SIGNED_FOR = "execute-api"
KEY = "Idempotency-Key"
PAUSES = (0.2, 1.0, 3.0)  # before the second, third and fourth attempt
_REGION = re.compile(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com")
# botocore itself heeds AWS_DEFAULT_REGION only; what runs in AWS has AWS_REGION.
_VARIABLES = {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)}


class Signed(httpx.Auth):
    """Adds the signature of exactly what is sent; a repetition is signed anew."""

    requires_request_body = True

    def __init__(self, credentials: Credentials | ReadOnlyCredentials, region: str) -> None:
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        headers = {"Host": request.headers["Host"]}
        if "Content-Type" in request.headers:
            headers["Content-Type"] = request.headers["Content-Type"]
        signed = AWSRequest(request.method, str(request.url), headers, request.content)
        SigV4Auth(self._frozen(), SIGNED_FOR, self._region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request

    def _frozen(self) -> Any:
        """Key, secret and token of one moment: those of a role are renewed meanwhile."""
        held = self._credentials
        try:
            return held.get_frozen_credentials() if isinstance(held, Credentials) else held
        except BotoCoreError as problem:
            raise Unauthorized(f"the AWS credentials cannot be renewed: {problem}") from problem


class Calls:
    """Calls of one API.

    Reading is repeated when it gets no answer, and so is what carries an Idempotency-Key, which
    makes the repetition the same request. Anything else is sent once, unless it reached nobody.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | ReadOnlyCredentials,
        region: str,
        timeout: float,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None],
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self._base_url,
            auth=Signed(credentials, region),
            timeout=httpx.Timeout(connect=5, read=timeout, write=30, pool=5),
            transport=transport,
            trust_env=not is_local(base_url),  # a proxy does not lead back to this machine
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        content: bytes | Mapping[str, Any] | None = None,
        key: str | None = None,
        *,
        repeatable: bool = False,
    ) -> Document:
        """The JSON of a successful answer. Raises ApiError for any other, or none."""
        if isinstance(content, Mapping):
            content = octets(content)
        headers = {"Content-Type": "application/json"} if content else {}
        headers |= {KEY: key} if key is not None else {}
        request = self._http.build_request(method, path, content=content, headers=headers)
        try:
            return _answer(self._send(request, repeatable or key is not None or method == "GET"))
        except Unavailable as lost:
            lost.key = key
            raise

    def _send(self, request: httpx.Request, repeatable: bool) -> httpx.Response:
        for pause in (*PAUSES, None):
            try:
                response = self._http.send(request)
            except httpx.TransportError as problem:
                reached_nobody = isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout)
                if pause is None or not (repeatable or reached_nobody):
                    words = f"{type(problem).__name__} {problem}".strip()
                    raise Unavailable(f"no answer from {self._base_url}: {words}") from problem
            else:
                if pause is None or not repeatable or response.status_code not in ASK_AGAIN:
                    return response
            self._sleep(pause)
        raise AssertionError


def octets(document: Mapping[str, Any]) -> bytes:
    """A document as JSON. What is no Unicode text is escaped, for the API to refuse in words."""
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()


def who_signs(
    base_url: str, credentials: Credentials | None, profile: str | None, region: str | None
) -> tuple[Credentials, str]:
    """Whose signature requests carry, and for which region: what is given, else as AWS's tools
    find it; the region of API Gateway's own url counts before that of the profile.

    Raises Unauthorized when nobody can be found, ValueError when there is no region.
    """
    session = botocore_session.Session(_VARIABLES, profile=profile)
    try:
        found = credentials or session.get_credentials()
        named = _REGION.search(urlsplit(base_url).hostname or "")
        where = region or (named and named[1]) or session.get_config_variable("region")
    except BotoCoreError as problem:
        raise Unauthorized(f"no AWS credentials: {problem}") from problem
    if found is None:
        raise Unauthorized("no AWS credentials: set AWS_PROFILE, or run `aws configure`")
    if not where:
        raise ValueError("no AWS region: set AWS_REGION, or give region=")
    return found, str(where)


def _answer(response: httpx.Response) -> Document:
    try:
        document = response.json()
    except ValueError:
        document = None
    held = document if isinstance(document, dict) else None
    if response.is_success and held is not None:
        return held
    raise refusal(response.status_code, response.reason_phrase, held)
