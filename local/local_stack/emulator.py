"""The child that is AWS: ministack behind the guard, on a socket that the parent has bound.

    python -m local_stack.emulator --folder FOLDER/ --fd N --port PORT

The folder is in the arguments so that the process can be found again by what it belongs to.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local_stack.durable import durable
from local_stack.endpoints import ALIVE_PATH
from local_stack.guard import App, Message, Receive, Send, answer, guarded
from local_stack.queueing import in_turn, queued

API_PATH = "/_aws/execute-api/"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--folder", required=True)
    arguments.add_argument("--fd", type=int, required=True)
    arguments.add_argument("--port", type=int, required=True)
    given = arguments.parse_args()
    config = Config()
    config.bind = [f"fd://{given.fd}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.loglevel = "WARNING"
    asyncio.run(serve(emulator(given.folder, given.port), config))  # type: ignore[arg-type]


def emulator(folder: str, port: int) -> App:
    """ministack as this project runs it; imported here because it reads its environment then."""
    from ministack import app as ministack  # type: ignore[import-untyped]
    from ministack.core.persistence import save_all  # type: ignore[import-untyped]
    from ministack.services import lambda_svc  # type: ignore[import-untyped]

    from local_stack.tables import restore

    tables = restore(Path(os.environ["STATE_DIR"]))
    tables.follow()

    def save_everything() -> None:
        tables.save()
        save_all(ministack._build_persistence_save_dict())

    execute = lambda_svc._execute_function_with_config_scope
    lambda_svc._execute_function_with_config_scope = in_turn(execute)
    app = durable(ministack.app, tables.save, save_everything)
    if ministack.AUTH:
        from ministack.core import iam_actions  # type: ignore[import-untyped]

        from local_stack.signatures import signed

        iam_actions.request_tag_context = with_sources(iam_actions.request_tag_context)
        app = signed(app, secret_of, has_own_door)
    return guarded(introduced(queued(app, API_PATH), folder), port)


def with_sources(context: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A request's condition keys with `events:source`, without which ministack denies PutEvents."""

    def of_request(service: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        found = context(service, action, body, *rest)
        if action != "events:PutEvents":
            return found
        try:
            sources = {entry["Source"] for entry in json.loads(body)["Entries"]}
        except (ValueError, KeyError, TypeError):
            return found
        # One that is not allowed among others that are is one too many.
        return {**found, "events:source": " ".join(sorted(map(str, sources)))}

    return of_request


def secret_of(access_key_id: str, token: str) -> str | None:
    """Of this run's own credentials, or of a role that ministack gave to a function."""
    from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
        ResolvedCredential,
        is_root_access_key,
        resolve_credential,
    )

    if access_key_id == os.environ["AWS_ACCESS_KEY_ID"] and not token:
        return os.environ["AWS_SECRET_ACCESS_KEY"]
    if is_root_access_key(access_key_id):
        return None
    found = resolve_credential(access_key_id, os.environ["MINISTACK_ACCOUNT_ID"], token)
    return found.secret_access_key if isinstance(found, ResolvedCredential) else None


def has_own_door(method: str, path: str) -> bool:
    """Whether this reaches a route of an HTTP API that AWS lets in unsigned.

    Found as ministack finds it: which route that is must not be a matter of opinion.
    """
    if not path.startswith(API_PATH):
        return False
    from ministack import app as ministack
    from ministack.services import apigateway

    parsed = ministack._parse_execute_api_url("", path)
    if parsed is None:
        return False
    api_id, stage, rest = parsed
    stage, rest = ministack._resolve_stage_and_path(api_id, stage, rest)
    found = apigateway.route_authorization_type(api_id, stage, method, rest)
    return found in {"NONE", "CUSTOM"}


def introduced(app: App, folder: str) -> App:
    """The app, telling whose it is."""

    async def introducing(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == ALIVE_PATH:
            await answer(send, 200, json.dumps({"folder": folder}).encode())
        else:
            await app(scope, receive, send)

    return introducing


if __name__ == "__main__":
    main()
