"""Has requests of the HTTP API wait for their turn.

Each one under way is a function process of its own. AWS starts two hundred of them at once; on a
person's machine they would all be so slow that most came to their time limit.
"""

import asyncio

from local_stack.guard import App, Message, Receive, Send

AT_A_TIME = 12


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
