"""The server: routes, the key check, the journal's entries, and running it all."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web, web_protocol

from xai_simulator import replies, samples
from xai_simulator.files_api import FilesApi
from xai_simulator.inputs import OWN_FETCH
from xai_simulator.journal import Entry, Journal, fingerprint
from xai_simulator.ledger import Ledger
from xai_simulator.media_api import MediaApi
from xai_simulator.models_api import ModelsApi
from xai_simulator.open_places import OpenPlaces
from xai_simulator.options import SimulatorOptions
from xai_simulator.replies import DROPPED, MARKER, Refusal
from xai_simulator.simulator import Simulator

MAX_BODY_BYTES = 128 * 2**20
SHUTDOWN_SECONDS = 0.5
START_SECONDS = 30
Handler = Callable[[web.Request], Any]


def application(simulator: Simulator) -> web.Application:
    """The aiohttp application around one simulator."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[_journal_entry(simulator), _refusals(), _key_check(simulator)],
    )
    for part in (MediaApi, ModelsApi, FilesApi, OpenPlaces):
        app.add_routes(part(simulator).routes())
    return app


def _bearer(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _journal_entry(simulator: Simulator) -> Any:
    @web.middleware
    async def enter(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sim/") or OWN_FETCH in request.headers:
            return await handler(request)  # type: ignore[no-any-return]
        key = _bearer(request)
        row = simulator.journal.open_request(
            method=request.method, path=request.path, key=fingerprint(key) if key else None
        )
        status: int | None = None
        try:
            response: web.StreamResponse = await handler(request)
            status = None if request.get(DROPPED) else response.status
        except web.HTTPException as problem:
            status = problem.status
            raise
        finally:
            row["marker"] = request.get(MARKER) or None
            simulator.journal.close_request(row, status)
        return response

    return enter


def _refusals() -> Any:
    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            response = refusal.response()
        except web.HTTPException as problem:
            if not request.path.startswith("/v1/"):
                raise
            response = _flat(problem, request).response()
        except web_protocol.RequestPayloadError as problem:
            text = replies.UNREADABLE.format(reason=problem)
            response = Refusal(text, 400, plain=True).response()
            response.force_close()
        if not response.prepared:
            response.headers["x-request-id"] = str(uuid.uuid4())
        return response

    return refuse


def _flat(problem: web.HTTPException, request: web.Request) -> Refusal:
    if problem.status == 413:
        text = replies.UNREADABLE.format(reason="length limit exceeded")
        return Refusal(text, 413, plain=True)
    allowed = problem.headers.get("Allow")
    text = f"{problem.reason}: {request.method} {request.path}"
    return Refusal(text, problem.status, headers={"Allow": allowed} if allowed else {})


def _key_check(simulator: Simulator) -> Any:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/v1/"):
            key = _bearer(request)
            if not key:
                raise Refusal(replies.NO_KEY, 401)
            if key != simulator.key:
                raise replies.wrong_key(key)
        return await handler(request)  # type: ignore[no-any-return]

    return check


@contextlib.asynccontextmanager
async def _serving(options: SimulatorOptions, journal: Journal) -> AsyncIterator[Simulator]:
    """A simulator that answers, until the block is left."""
    listener = _listener(options)
    port: int = listener.getsockname()[1]
    origin = (options.origin or _origin(options.host, port)).rstrip("/")
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(_folder(options.cache))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ledger = Ledger(folder / f"jobs-{port}" if options.cache else None)
        if not options.port:
            ledger.clear()  # whoever had this free port before was somebody else
        simulator = Simulator(options, origin, folder, session, journal, ledger)
        runner = web.AppRunner(
            application(simulator), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await runner.setup()
        stack.push_async_callback(simulator.close)
        stack.push_async_callback(runner.cleanup)
        simulator.take_up()
        await web.SockSite(runner, listener).start()
        yield simulator


def _listener(options: SimulatorOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    return socket.create_server((options.host, options.port), family=family, backlog=256)


def _origin(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104
    shown = reachable.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


@contextlib.contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="xai-simulator-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def _warm_up(simulator: Simulator) -> None:
    for name in ("first.png", "in.mp4"):
        await samples.sample(simulator.workshop, name)


async def _run(
    options: SimulatorOptions,
    journal: Journal,
    stop: asyncio.Event,
    ready: Callable[[Simulator], None],
) -> None:
    async with _serving(options, journal) as simulator:
        warming = asyncio.create_task(_warm_up(simulator))
        ready(simulator)
        await stop.wait()
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)


def run(options: SimulatorOptions, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the origin once requests are answered."""

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            # In a thread, and on Windows, signals are not to be had: Ctrl-C ends it below.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(name, stop.set)
        tell = ready or (lambda origin: None)
        await _run(options, Journal(options.journal), stop, lambda made: tell(made.origin))

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


@dataclass(frozen=True)
class Running:
    """A simulator in a thread of this process, as tests see it."""

    origin: str
    key: str
    _journal: Journal
    _reset: Callable[[], None]

    @property
    def base_url(self) -> str:
        """What an xAI client takes as its base url."""
        return f"{self.origin}/v1"

    def jobs(self) -> list[Entry]:
        """Every job started so far."""
        return self._journal.jobs()

    def requests(self) -> list[Entry]:
        """Every request so far."""
        return self._journal.requests()

    def reset(self) -> None:
        """Forget jobs, files, marker memory and journal."""
        self._reset()


@contextlib.contextmanager
def running(options: SimulatorOptions | None = None) -> Iterator[Running]:
    """A simulator in a background thread, for as long as the block lasts."""
    options = options or SimulatorOptions()
    journal = Journal(options.journal)
    started = threading.Event()
    made: list[tuple[Simulator, asyncio.AbstractEventLoop, asyncio.Event]] = []
    problems: list[BaseException] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ready(simulator: Simulator) -> None:
            made.append((simulator, loop, stop))
            started.set()

        await _run(options, journal, stop, ready)

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that waits
            problems.append(problem)
        finally:
            started.set()

    thread = threading.Thread(target=work, name="xai-simulator", daemon=True)
    thread.start()
    started.wait(START_SECONDS)
    if not made:
        raise problems[0] if problems else TimeoutError("the simulator did not start")
    simulator, loop, stop = made[0]

    def reset() -> None:
        async def forget() -> None:
            simulator.reset()

        asyncio.run_coroutine_threadsafe(forget(), loop).result(START_SECONDS)

    try:
        yield Running(simulator.origin, options.key, journal, reset)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_SECONDS)
