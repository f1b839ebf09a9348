"""The Python client in front of a function's handler, as API Gateway hands requests over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from botocore.credentials import Credentials

from tests.workflow.conftest import CALLER
from videoconductor import VideoConductor

KEYS = Credentials("AKIDEXAMPLE", "secret")


def client_of(
    door: Any, context: Any, look: Callable[[dict[str, Any]], object] = lambda answer: None
) -> VideoConductor:
    """A client whose every request reaches `door`; `look` sees each answer before the client."""

    def answered(request: httpx.Request) -> httpx.Response:
        parts = urlsplit(str(request.url))
        made = {
            "version": "2.0",
            "rawPath": parts.path,
            "rawQueryString": parts.query,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "queryStringParameters": {k: v[0] for k, v in parse_qs(parts.query).items()},
            "requestContext": {
                "stage": "$default",
                "http": {"method": request.method, "path": parts.path},
                "authorizer": {"iam": {"userArn": CALLER}},
            },
            "body": request.content.decode() or None,
            "isBase64Encoded": False,
        }
        answer = door.handler(made, context)
        look(answer)
        media_type = answer["headers"]["Content-Type"]
        kind = media_type[0] if isinstance(media_type, list) else media_type
        return httpx.Response(
            answer["statusCode"], text=answer["body"], headers={"Content-Type": kind}
        )

    return VideoConductor(
        "https://api.example",
        region="eu-west-1",
        credentials=KEYS,
        transport=httpx.MockTransport(answered),
        sleep=lambda seconds: None,
    )
