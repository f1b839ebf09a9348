"""Has requests of the HTTP API, and functions of states and events, wait for their turn.

Each one under way is a function process of its own. AWS starts two hundred of them at once; on a
person's machine they would all be so slow that most came to their time limit.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from local_stack.guard import App, Message, Receive, Send

AT_A_TIME = 12
FUNCTIONS_AT_A_TIME = 8


def queued(app: App, path: str, at_a_time: int = AT_A_TIME) -> App:
    """The app, with no more than so many requests below `path` under way.

    A request that waits for a render to end does little, for long, and takes nobody's turn.
    """
    turns = asyncio.Semaphore(at_a_time)

    async def queue(scope: Message, receive: Receive, send: Send) -> None:
        is_counted = scope["type"] == "http" and scope["path"].startswith(path)
        if not is_counted or b"wait=" in scope.get("query_string", b""):
            await app(scope, receive, send)
            return
        async with turns:
            await app(scope, receive, send)

    return queue


def in_turn(
    execute: Callable[[Any, Any], Any], at_a_time: int = FUNCTIONS_AT_A_TIME
) -> Callable[[Any, Any], Any]:
    """`execute`, of a function with an event; no more than so many are under way.

    Those behind the HTTP API have a queue of their own: they may wait for what others do.
    """
    turns = threading.BoundedSemaphore(at_a_time)

    def waiting(function: Any, event: Any) -> Any:
        if isinstance(event, dict) and "requestContext" in event:
            return execute(function, event)
        with turns:
            return execute(function, event)

    return waiting
