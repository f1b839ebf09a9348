"""Makes ministack's tables outlive a SIGKILL: a write is on disk before it is answered.

By itself ministack saves its state on a clean stop only. Here every DynamoDB write waits for a
save of the tables; requests that come while one is being made share the next one. All
other state (functions, routes, secrets, executions) is saved on request, after a deploy.
"""

import asyncio
import time
from collections.abc import Callable

from local_stack.guard import App, Message, Receive, Send, answer

SAVE_PATH = "/_local_stack/save"
LONGEST_WAIT = 0.2  # seconds
READS = frozenset(
    f"DynamoDB_20120810.{operation}"
    for operation in (
        "BatchGetItem",
        "DescribeContinuousBackups",
        "DescribeTable",
        "DescribeTimeToLive",
        "GetItem",
        "ListTables",
        "ListTagsOfResource",
        "Query",
        "Scan",
        "TransactGetItems",
    )
)


class GroupCommit:
    """`await saved()` returns after a save that began later than the call.

    A save takes the longer the more was written. So that saves take a third of the time, the
    next one is waited for twice as long as the last one took, but no longer than LONGEST_WAIT.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        self._save = save
        self._wait = 0.0
        self._next: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether there are writes that are not on disk."""
        return self._next is not None

    async def saved(self) -> None:
        if self._next is None:
            self._next = asyncio.create_task(self._commit())
        await asyncio.shield(self._next)

    async def _commit(self) -> None:
        await asyncio.sleep(self._wait)  # whoever asks by now shares this one
        self._next = None
        began = time.monotonic()
        self._save()  # on the loop, where ministack changes its tables: nothing moves meanwhile
        self._wait = min(2 * (time.monotonic() - began), LONGEST_WAIT)


def durable(app: App, save_tables: Callable[[], None], save_all: Callable[[], None]) -> App:
    """The app, answering writes only when they are on disk."""
    tables = GroupCommit(save_tables)

    async def saving(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"] == SAVE_PATH and scope["method"] == "POST":
            save_all()
            await answer(send, 200, b"{}")
        elif is_write(scope):
            await app(scope, receive, after(tables, send))
        else:
            await app(scope, receive, send)

    return saving


def is_write(scope: Message) -> bool:
    """Does this request change a table?"""
    target: str = dict(scope["headers"]).get(b"x-amz-target", b"").decode("latin-1")
    return target.startswith("DynamoDB_") and target not in READS


def after(tables: GroupCommit, send: Send) -> Send:
    """A send that holds the answer back until the tables are saved."""

    async def held(message: Message) -> None:
        # A refusal too may tell of what is not on disk yet.
        if message["type"] == "http.response.start" and (message["status"] == 200 or tables.is_due):
            await tables.saved()
        await send(message)

    return held
