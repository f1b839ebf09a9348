"""What schemathesis sends: signed with SigV4 or with a token by the route, and not waiting long."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from jsonschema import Draft202012Validator

from tests.fuzz import ROOT, TALLY, TOKEN

MANY = 200  # characters: a key near the bound stays as it is
QUOTE_ID = re.compile("q1-[0-9]+-[0-9]+-[0-9a-f]{32}")
OPEN = ("/health", "/.well-known/oauth-protected-resource")

# Each of these takes clip requests, and answers at once.
PLAIN = {"createVideo", "createQuote", "plan"}
# What these do changes what others answer.
STOPPING = {"setBudget", "stopSpending"}
SCHEMAS = json.loads((ROOT / "docs/openapi.json").read_text())["components"]
CHOICES = {
    name: Draft202012Validator({**schema, "components": SCHEMAS})
    for name, schema in SCHEMAS["schemas"]["ClipRequest"]["properties"].items()
    if name not in {"prompt", "duration", "clipId", "pipelineRequestId", "purpose", "refCode"}
}


class Signed(requests.auth.AuthBase):
    """Credentials for exactly what is sent."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(str(request.url))
        if parts.path.endswith(OPEN):
            return request
        if "/api/mcp/" in parts.path:
            request.headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
            return request
        # A signature is of the query as AWS would write it, so it is sent that way.
        pairs = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
        query = urlencode(pairs, quote_via=quote, errors="surrogateescape")
        request.url = urlunsplit(parts._replace(query=query))
        signed = AWSRequest(str(request.method), request.url, data=request.body)
        keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(keys, "execute-api", os.environ["AWS_REGION"]).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


schemathesis.auth.set_from_requests(Signed())


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Have no answer wait for long, give requests that differ keys that do, and make clip requests
    that could be.

    What comes of renders is not looked at here; behind a key that came with another request there
    is nothing to see but that; a quote of another request hides all else; and what is wrong with a
    field is only seen where nothing else is.
    """
    if QUOTE_ID.fullmatch(str((case.query or {}).get("quoteId"))):
        del case.query["quoteId"]
    if operation_id(case) in PLAIN and isinstance(case.body, dict) and "clips" not in case.body:
        case.body = plain(case.body)
    if operation_id(case) == "generateVideo" and isinstance(case.body, dict):
        # A still takes its time, and this route waits for the clip.
        case.body = {name: it for name, it in case.body.items() if name != "firstFramePrompt"}
    wait = (case.query or {}).get("wait")
    if isinstance(wait, int) and 1 < wait <= 20:
        case.query["wait"] = 1
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 0 < len(key) < MANY:
        asked = repr((case.path, case.query, case.body, key))
        case.headers["Idempotency-Key"] = hashlib.sha256(asked.encode()).hexdigest()


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Take back what would have all later requests refused, and keep count of what each operation
    answered, if somebody wants to know.
    """
    if operation_id(case) in STOPPING and response.status_code == 200:
        lift(str(response.request.url).partition("/v1/budget")[0])
    if tally := os.environ.get(TALLY):
        with Path(tally).open("a") as lines:
            lines.write(f"{operation_id(case)} {response.status_code}\n")


def lift(base: str) -> None:
    """Take away every cap there is, and go on."""
    requests.post(f"{base}/v1/budget/resume", auth=Signed(), timeout=30).raise_for_status()
    held = requests.get(f"{base}/v1/budget", auth=Signed(), timeout=30).json()["caps"]
    caps: dict[str, Any] = dict.fromkeys(held)
    for scope in ("film", "caller"):
        caps[scope] = {**dict.fromkeys(held[scope], "inherit"), "*": None}
    done = requests.patch(f"{base}/v1/budget", json={"caps": caps}, auth=Signed(), timeout=30)
    done.raise_for_status()


def operation_id(case: Any) -> str:
    """Which operation of the document is called."""
    return str(case.operation.definition.raw["operationId"])


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request for a clip without the choices that hardly go together. What is wrong stays."""
    kept = {
        name: value
        for name, value in body.items()
        if name not in CHOICES or not CHOICES[name].is_valid(value)
    }
    return {"prompt": "a lamp in the rain", **kept}
