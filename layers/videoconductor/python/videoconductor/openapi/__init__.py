"""The OpenAPI 3.1 document of the HTTP API, from the models of its requests and answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from videoconductor import __version__, answers
from videoconductor.models import ModelCatalog
from videoconductor.openapi.examples import Examples
from videoconductor.openapi.operations import Link, Operation, Security, operations
from videoconductor.openapi.schemas import TEMPLATE, Schema, mode_names, schemas
from videoconductor.quality import QualityModes

PROBLEM = "application/problem+json"
ALWAYS = (413, 429, 500, 503)
COMPATIBLE = "compatible"  # what names of the refusals of compatibility routes begin with

TAGS = {
    "clips": "Clips, asked for one by one",
    "films": "Films: scripts that become many clips",
    "planning": "What can be asked for, and what it costs",
    "money": "Caps, the kill switch, and what was spent",
    "upkeep": "Whether everything is as it should be",
    "compatibility": "As clients of the existing system know it",
    "about": "The API itself",
}

SECURITY: dict[Security, list[dict[str, list[str]]]] = {
    "sigv4": [{"sigv4": []}],
    "token": [{"serviceToken": []}],
    "open": [],
}

SCHEMES: Schema = {
    "sigv4": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4 for the service execute-api; the caller needs "
        "execute-api:Invoke",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "serviceToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A service token, as `videoconductor token create` makes it",
    },
}

# By status: what it means, whether we say it, and whether API Gateway may say it in our place.
PROBLEMS: dict[int, tuple[str, bool, bool]] = {
    400: ("The request is invalid; nothing was written, nothing was spent", True, True),
    401: ("There is no token, or none that is good", True, True),
    402: (
        "What is due costs more than QUOTE_ABOVE_USD: ask again with the `quoteId` of the quote in "
        "it, or with `maxCostUsd`. Or a cap, or a stop of all spending, leaves no room for it: "
        "`budget` says which, and what a person can do. Nothing was written, nothing was spent",
        True,
        False,
    ),
    403: ("The caller may not, or nobody vouches for them", True, True),
    404: ("There is no such render, film or run, or no such route", True, True),
    409: (
        "Its state does not allow this, or the Idempotency-Key came with another request",
        True,
        False,
    ),
    413: ("The request is too large", False, True),
    429: ("Too many requests: ask again, more slowly", False, True),
    500: ("Something broke on our side", True, True),
    503: (
        "Something we rely on did not answer: ask again. Or it is on record but was not set going: "
        "resume it, or repeat the request with its Idempotency-Key",
        True,
        True,
    ),
}

HEADERS: Schema = {
    "Cache-Control": {
        "description": "Answers are not kept",
        "schema": {"type": "string", "const": "no-store"},
    },
    "Retry-After": {
        "description": "Seconds after which to look again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Location": {
        "description": "Where to see what becomes of it, relative to the API's own address",
        "required": True,
        "schema": {"type": "string"},
    },
}

WORDS = """\
Event-driven pipeline on AWS Lambda for xAI Grok Imagine video: pay once, keep every clip.

Money is US dollars, times are UTC, answers are JSON. A request or an answer holds about 6 MB. \
Errors are RFC 9457 problem details, but for those that API Gateway answers itself. Query \
parameters that nobody knows are refused. Callers who are let in see all renders and films.

`/mcp` is not described here: it speaks the Model Context Protocol, which describes itself.
"""


def document(modes: QualityModes, models: ModelCatalog) -> dict[str, Any]:
    """The document of a stack with these quality modes and models."""
    table = operations(mode_names(modes))
    examples = Examples(modes, models)
    paths: dict[str, Any] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, examples)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VideoConductor",
            "version": __version__,
            "summary": "Pay once for xAI Grok Imagine video, and keep every clip",
            "description": WORDS,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com",
                "description": "The stack's output ApiUrl",
                "variables": {
                    "api": {"default": "API_ID", "description": "The id of its HTTP API"},
                    "region": {"default": "us-east-1", "description": "The stack's region"},
                },
            }
        ],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "security": SECURITY["sigv4"],
        "paths": paths,
        "components": {
            "schemas": schemas(_answers(table), modes, models),
            "responses": _refusals(table, examples),
            "headers": HEADERS,
            "securitySchemes": SCHEMES,
        },
    }


def _answers(table: Iterable[Operation]) -> list[type[BaseModel]]:
    always = (answers.ProblemDetails, answers.GatewayMessage, answers.CompatibleRefusal)
    return list(dict.fromkeys([*always, *(operation.answer for operation in table)]))


def _operation(operation: Operation, examples: Examples) -> Schema:
    made: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        **({"description": operation.about} if operation.about else {}),
        "tags": [operation.tag],
        "security": SECURITY[operation.security],
    }
    if operation.parameters:
        made["parameters"] = [parameter.document for parameter in operation.parameters]
    if operation.body is not None:
        made["requestBody"] = {
            "description": operation.body.about,
            "required": operation.body.required,
            "content": {"application/json": _content(operation.body.schemas, examples.requests)},
        }
    answered = (operation.status, *operation.also)
    refusals = COMPATIBLE if operation.security == "token" else ""
    made["responses"] = {
        **{str(status): _answer(operation, status, examples) for status in answered},
        **{
            str(status): {"$ref": f"#/components/responses/{refusals}{status}"}
            for status in _statuses(operation)
        },
    }
    return made


def _refusals(table: Iterable[Operation], examples: Examples) -> Schema:
    """The answers that routes have in common, by the name they go by."""
    ours = {status for one in table if one.security != "token" for status in _statuses(one)}
    theirs = {status for one in table if one.security == "token" for status in _statuses(one)}
    return {
        **{str(status): _problem(status, examples) for status in sorted(ours)},
        **{f"{COMPATIBLE}{status}": _refusal(status) for status in sorted(theirs)},
    }


def _statuses(operation: Operation) -> list[int]:
    """Every status but success, in order."""
    found = {*operation.problems, *ALWAYS}
    if operation.security != "open":
        found.add(403)
    if operation.security == "token":
        found.add(401)
    return sorted(found)


def _content(names: Iterable[str], examples: dict[str, Schema]) -> Schema:
    """A media type's schema, one of those named, and what examples there are of them."""
    references = [{"$ref": TEMPLATE.format(model=name)} for name in names]
    shown = {title: one for name in names for title, one in examples.get(name, {}).items()}
    return {
        "schema": references[0] if len(references) == 1 else {"anyOf": references},
        **({"examples": shown} if shown else {}),
    }


def _answer(operation: Operation, status: int, examples: Examples) -> Schema:
    headers = ["Cache-Control"]
    if status == 202:
        headers += ["Location", *(["Retry-After"] if operation.security == "token" else [])]
    made: Schema = {
        "description": (operation.answer.__doc__ or "").partition("\n")[0],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            "application/json": _content([operation.answer.__name__], examples.answers),
            **({"text/csv": {"schema": {"type": "string"}}} if operation.is_csv else {}),
        },
    }
    if operation.links:
        made["links"] = {link.operation: _link(link) for link in operation.links}
    return made


def _link(link: Link) -> Schema:
    return {
        "operationId": link.operation,
        "parameters": {link.parameter: f"$response.body#{link.pointer}"},
    }


def _problem(status: int, examples: Examples) -> Schema:
    words, is_ours, is_gateways = PROBLEMS[status]
    content: Schema = {}
    if is_ours:
        content[PROBLEM] = _content(["ProblemDetails"], examples.problems if status == 400 else {})
    if is_gateways:
        content["application/json"] = _content(["GatewayMessage"], {})
    return {"description": words, "content": content}


def _refusal(status: int) -> Schema:
    """The same of a compatibility route, which knows no problem details."""
    words, is_ours, is_gateways = PROBLEMS[status]
    names = [
        *(["CompatibleRefusal"] if is_ours else []),
        *(["GatewayMessage"] if is_gateways else []),
    ]
    return {"description": words, "content": {"application/json": _content(names, {})}}
