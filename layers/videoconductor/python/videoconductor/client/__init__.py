"""The HTTP API as a class: `VideoConductor(url).generate("a fox in the snow", wait=True)`.

Nothing in Lambda imports this. The command line and the MCP server on stdio are built on it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from videoconductor.client.asking import (
    ClipFields,
    clip_document,
    is_local,
    query,
    segment,
)
from videoconductor.client.errors import (
    ClientError,
    FilmIncomplete,
    RenderFailed,
    StillRunning,
    Unavailable,
)
from videoconductor.client.results import (
    Budget,
    CostCheck,
    Costs,
    Diagnosis,
    Document,
    Film,
    Manifest,
    Plan,
    Quote,
    VideoRender,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, Unpack

    import httpx
    from botocore.credentials import Credentials

    from videoconductor.clip import ClipRequest

__all__ = [
    "Budget",
    "ClientError",
    "CostCheck",
    "Costs",
    "Diagnosis",
    "Film",
    "Manifest",
    "Plan",
    "Quote",
    "VideoConductor",
    "VideoRender",
]

Script = Mapping[str, Any] | str | bytes | Path
Settling = TypeVar("Settling", VideoRender, Film)

ANSWER_SECONDS = 35.0  # API Gateway gives up after 30
RENDER_SECONDS = 1800.0  # the usual time to wait for a clip
FILM_SECONDS = 6 * 3600.0
LONGEST_LOOK = 20  # seconds that the API holds a look at most
SHORT_LOOK = 5  # while somebody watches the progress
LEAST_GAP = 1.0  # seconds between two looks that were answered at once
PATIENCE = 180.0  # seconds without an answer that a wait survives
PAGE = 100  # rows of a list in one answer
PAGE_OF_CLIPS = 500  # with a url for each of its files a clip takes about four kilobytes
STACK_FILE = "stack.json"


class VideoConductor:
    """A client of one API.

    Requests are signed with SigV4: by `credentials`, else as AWS's own tools find them, with
    `profile` if one is named. Reading is repeated when it gets no answer, and so is a request that
    is paid for: it always carries an Idempotency-Key, so the repetition is the same request. A
    command is sent once, unless it reached nobody.

    Raises ValueError for a url that is none, and Unauthorized when there are no credentials.
    """

    def __init__(
        self,
        base_url: str,
        *,
        region: str | None = None,
        credentials: Credentials | None = None,
        profile: str | None = None,
        timeout: float = ANSWER_SECONDS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from videoconductor.client.calls import Calls, who_signs

        self.is_local = is_local(base_url)
        if not base_url.startswith("http://" if self.is_local else "https://"):
            raise ValueError(f"{base_url!r} must be an https url")
        self.base_url = base_url.rstrip("/")
        signer, where = who_signs(base_url, credentials, profile, region)
        self._calls = Calls(base_url, signer, where, timeout, transport, sleep)
        self._transport = transport
        self._sleep = sleep
        self._clock = clock

    @classmethod
    def local(cls, folder: str | Path = ".videoconductor", **options: Any) -> VideoConductor:
        """A client of the local stack that runs with its data in this folder.

        Raises Unavailable when none was started there.
        """
        from botocore.credentials import Credentials

        try:
            stack = json.loads((Path(folder).expanduser() / STACK_FILE).read_text())
        except (OSError, ValueError) as problem:
            words = f"no local stack has been started in {folder}: `videoconductor local up`"
            raise Unavailable(words) from problem
        return cls(
            stack["api_url"],
            region=stack["region"],
            credentials=Credentials(stack["access_key_id"], stack["secret_access_key"]),
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    def call(
        self,
        method: str,
        path: str,
        content: bytes | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Document:
        """One route as docs/http-api.md has it, for what has no method here. Raises ApiError."""
        return self._calls.call(method, path, content, key)

    # ── Clips ────────────────────────────────────────────────────────────────────────────────────

    def plan(
        self,
        prompt: str | None = None,
        *,
        request: ClipRequest | Mapping[str, Any] | None = None,
        **fields: Unpack[ClipFields],
    ) -> Plan:
        """What a clip request would make and cost. Spends nothing."""
        asked = clip_document(prompt, request, fields)
        return Plan(self._calls.call("POST", "/v1/plan", asked, repeatable=True))

    def quote(
        self,
        prompt: str | None = None,
        *,
        request: ClipRequest | Mapping[str, Any] | None = None,
        **fields: Unpack[ClipFields],
    ) -> Quote:
        """What a clip request costs, line by line. Spends nothing."""
        asked = clip_document(prompt, request, fields)
        return Quote(self._calls.call("POST", "/v1/quotes", asked, repeatable=True))

    def generate(
        self,
        prompt: str | None = None,
        *,
        request: ClipRequest | Mapping[str, Any] | None = None,
        wait: bool = False,
        timeout: float | None = RENDER_SECONDS,
        on_progress: Callable[[VideoRender], object] | None = None,
        key: str | None = None,
        **fields: Unpack[ClipFields],
    ) -> VideoRender:
        """Ask for a clip: this is paid for. With `wait`, the render once its clip is there.

        `request` is a whole clip request; prompt and fields are put over it. With the same `key`
        the same render is meant, whatever became of it. Raises InvalidRequest before anything is
        spent; Unavailable, whose `key` makes asking again harmless; and what `wait` raises.
        """
        asked = clip_document(prompt, request, fields)
        accepted = self._paid("/v1/videos", asked, key)
        return self._made(VideoRender(accepted), wait, timeout, on_progress)

    def remaster(
        self,
        render: VideoRender | str,
        *,
        edit: bool | None = None,
        prompt: str | None = None,
        duration: int | None = None,
        quality_mode: str | None = None,
        max_cost_usd: float | None = None,
        callback_url: str | None = None,
        wait: bool = False,
        timeout: float | None = RENDER_SECONDS,
        on_progress: Callable[[VideoRender], object] | None = None,
        key: str | None = None,
    ) -> VideoRender:
        """Make a finished clip again at 720p, with `edit` by editing it: this is paid for.

        Raises as `generate` does, NotFound, and Conflict for a clip that is not there.
        """
        fields = {
            "edit": edit,
            "prompt": prompt,
            "duration": duration,
            "quality_mode": quality_mode,
            "max_cost_usd": max_cost_usd,
            "callback_url": callback_url,
        }
        asked = clip_document(None, None, fields)
        accepted = self._paid(f"{_render_path(render)}/remaster", asked or None, key)
        return self._made(VideoRender(accepted), wait, timeout, on_progress)

    def render(self, render: VideoRender | str, *, wait: int = 0) -> VideoRender:
        """All there is to know about a render; held for up to `wait` (0 to 20) seconds until it is
        at rest. Raises NotFound.
        """
        chosen = query([("wait", wait or None)])
        return VideoRender(self._calls.call("GET", _render_path(render) + chosen))

    def renders(
        self,
        *,
        status: str | Iterable[str] = (),
        film: str | None = None,
        mode: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator[VideoRender]:
        """Renders, those asked for last first, `limit` of them at most; pages come as needed.

        `since` is included and `until` is not. A render of a list has no result and no attempts.
        """
        statuses = [status] if isinstance(status, str) else status
        chosen: list[tuple[str, Any]] = [("status", one) for one in statuses]
        chosen += [("film", film), ("mode", mode), ("requestedAfter", since)]
        chosen += [("requestedBefore", until)]
        for row in self._rows("/v1/videos", "videos", chosen, limit):
            yield VideoRender(row)

    def wait(
        self,
        render: VideoRender | str,
        *,
        timeout: float | None = RENDER_SECONDS,
        on_progress: Callable[[VideoRender], object] | None = None,
    ) -> VideoRender:
        """A render once its clip is there; `on_progress` sees it every few seconds meanwhile.

        Waits for as long as it takes if `timeout` is None; no answer for a while is waited out.
        Raises RenderFailed when it comes to rest without its clip, StillRunning after `timeout`
        seconds, Unavailable.
        """

        def look(seconds: int) -> VideoRender:
            return self.render(render, wait=seconds)

        found = self._settled(look, timeout, on_progress)
        if not found.is_ready:
            raise RenderFailed(found)
        return found

    def cancel(self, render: VideoRender | str) -> VideoRender:
        """Stop waiting for a render: a job that xAI accepted goes on and may be billed."""
        return self._command(render, "cancel")

    def attach(self, render: VideoRender | str, request_id: str | None = None) -> VideoRender:
        """Wait for a job again: that on record, or the one of xAI's request id. Spends nothing."""
        return self._command(render, "attach", {"requestId": request_id} if request_id else None)

    def retry(
        self,
        render: VideoRender | str,
        *,
        may_charge_twice: bool = False,
        max_cost_usd: float | None = None,
    ) -> VideoRender:
        """Allow one more POST for a render without a clip: this is paid for. Raises Conflict.

        `max_cost_usd` takes the place of what all of its POSTs may cost together.
        """
        fields: dict[str, Any] = {"mayChargeTwice": may_charge_twice}
        if max_cost_usd is not None:
            fields["maxCostUsd"] = max_cost_usd
        return self._command(render, "retry", fields)

    def resume(self, render: VideoRender | str) -> VideoRender:
        """Give a render that is not at rest a new execution. Harmless at any time."""
        return self._command(render, "resume")

    def abandon(self, render: VideoRender | str) -> VideoRender:
        """Give up a render that is lost."""
        return self._command(render, "abandon")

    def redeliver(self, render: VideoRender | str) -> VideoRender:
        """Tell a render's callbackUrl once more what became of it. Raises Conflict."""
        return self._command(render, "redeliver")

    def download(self, render: VideoRender | str, to: str | Path = ".") -> Path:
        """Fetch a clip and verify it; where it is.

        `to` is the file's name when that ends in .mp4, else a folder, where the file goes under
        its key. It appears under its name once its sha256 and size are right; another file there
        is never overwritten. Raises RenderFailed without a clip, NotKept, Unavailable.
        """
        from videoconductor.client import files

        found = self.render(render) if isinstance(render, str) else render
        found = found if found.video else self.render(found)
        for is_last in (False, True):
            if found.video is None:
                raise RenderFailed(found)
            try:
                return files.fetch(found.video, Path(to), self._sleep, self._transport)
            except Unavailable as refused:
                if is_last or refused.status != 403:  # its url has come of age
                    raise
                found = self.render(found)
        raise AssertionError

    # ── Money ────────────────────────────────────────────────────────────────────────────────────

    def budget(self, *, film: str | None = None, caller: str | None = None) -> Budget:
        """The caps in force and how they stand: today, this month, what has a cap of its own; or
        one film, or one caller this month.
        """
        chosen = query([("film", film), ("caller", caller)])
        return Budget(self._calls.call("GET", f"/v1/budget{chosen}"))

    def set_budget(self, caps: Mapping[str, Any]) -> Budget:
        """Set caps in US dollars, all of them or none: `{"day": 50, "film": {"intro": 5}}`.

        None is no cap; of films and callers `*` is the cap of all that have none of their own, and
        "inherit" takes a name's own away. Raises InvalidRequest.
        """
        document = {"caps": dict(caps)}
        return Budget(self._calls.call("PATCH", "/v1/budget", document, repeatable=True))

    def stop_spending(self, reason: str | None = None) -> Budget:
        """Let no new POST out to xAI; what runs is finished and kept. Harmless at any time."""
        document = {"reason": reason} if reason is not None else None
        return Budget(self._calls.call("POST", "/v1/budget/stop", document, repeatable=True))

    def resume_spending(self) -> Budget:
        """Let POSTs out again. Renders that failed meanwhile stay failed: retry them."""
        return Budget(self._calls.call("POST", "/v1/budget/resume"))

    def costs(
        self,
        by: str = "film",
        *,
        since: date | str | None = None,
        until: date | str | None = None,
        film: str | None = None,
        caller: str | None = None,
        tag: str | None = None,
        render: str | None = None,
        run: str | None = None,
    ) -> Costs:
        """What was spent on POSTs permitted from `since` to `until`, both included, days in UTC;
        this month if not given. Raises InvalidRequest.
        """
        chosen = [("by", by), ("from", since), ("to", until), ("film", film), ("caller", caller)]
        chosen += [("tag", tag), ("render", render), ("run", run)]
        return Costs(self._calls.call("GET", f"/v1/costs{query(chosen)}"))

    def check_costs(
        self, *, since: date | str | None = None, until: date | str | None = None
    ) -> CostCheck:
        """Whether the counters that caps are held against are the sums of the ledger's entries."""
        chosen = query([("from", since), ("to", until)])
        return CostCheck(self._calls.call("GET", f"/v1/costs/check{chosen}"))

    # ── Upkeep ───────────────────────────────────────────────────────────────────────────────────

    def doctor(
        self,
        *,
        repair: bool = False,
        may_post: bool = False,
        on_page: Callable[[Diagnosis], object] | None = None,
    ) -> Diagnosis:
        """What in the whole stack is not as it should be, page by page; `on_page` is called with
        what is known so far.

        With `repair` it is mended as far as that is safe, and with `may_post` what was not sent to
        xAI yet is sent, and paid for; what might have been sent never is. Harmless at any time.
        """
        found, asked = Diagnosis.begun(), dict[str, Any]()
        while True:
            if repair:
                content = {**asked, "mayPost": may_post}
                page = self._calls.call("POST", "/v1/doctor", content, repeatable=True)
            else:
                page = self._calls.call("GET", f"/v1/doctor{query(asked.items())}")
            found = found.plus(page)
            if on_page is not None:
                on_page(found)
            if page["nextCursor"] is None:
                return found
            asked = {"cursor": page["nextCursor"]}

    # ── Films ────────────────────────────────────────────────────────────────────────────────────

    def plan_film(
        self,
        script: Script,
        *,
        clips: Iterable[str] = (),
        remaster: bool = False,
        source_video_url: str | None = None,
        force: bool = False,
        max_cost_usd: float | None = None,
    ) -> Plan:
        """What a script would make and cost, and what of it is there already. Spends nothing."""
        chosen = _order(clips, remaster, source_video_url, force, max_cost_usd)
        content = _script(script)
        return Plan(self._calls.call("POST", f"/v1/plan{query(chosen)}", content, repeatable=True))

    def quote_film(
        self,
        script: Script,
        *,
        clips: Iterable[str] = (),
        remaster: bool = False,
        source_video_url: str | None = None,
        force: bool = False,
        max_cost_usd: float | None = None,
    ) -> Quote:
        """What is due of a script costs, line by line; its `id` is what `film` takes as `quote_id`
        with the same choices. Spends nothing.
        """
        chosen = _order(clips, remaster, source_video_url, force, max_cost_usd)
        path = f"/v1/quotes{query(chosen)}"
        return Quote(self._calls.call("POST", path, _script(script), repeatable=True))

    def film(
        self,
        script: Script,
        *,
        clips: Iterable[str] = (),
        remaster: bool = False,
        source_video_url: str | None = None,
        force: bool = False,
        max_cost_usd: float | None = None,
        quote_id: str | None = None,
        callback_url: str | None = None,
        wait: bool = False,
        timeout: float | None = FILM_SECONDS,
        on_progress: Callable[[Film], object] | None = None,
        key: str | None = None,
    ) -> Film:
        """Make the clips of a script, and pay for those that are missing or have changed.

        `script` is a mapping, JSON text, or a file's path. The choices mean what they mean to
        `POST /v1/films` in docs/http-api.md. With the same `key` the same run is meant. Raises
        InvalidRequest or QuoteRequired before anything is spent; Unavailable, whose `key` makes
        asking again harmless; and what `wait_film` raises.
        """
        chosen = _order(clips, remaster, source_video_url, force, max_cost_usd)
        chosen += [("quoteId", quote_id), ("callbackUrl", callback_url)]
        accepted = Film(self._paid(f"/v1/films{query(chosen)}", _script(script), key))
        return self._filmed(accepted, wait, timeout, on_progress)

    def film_status(self, film: Film | str, run_id: str | None = None, *, wait: int = 0) -> Film:
        """A run of a film, the newest if none is named, and how far each of its clips is; held for
        up to `wait` (0 to 20) seconds until it is over. Raises NotFound.
        """
        chosen = [*_run(film, run_id), ("wait", wait or None)]
        return Film(self._calls.call("GET", _film_path(film) + query(chosen)))

    def films(
        self,
        *,
        status: str | Iterable[str] = (),
        film: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator[Film]:
        """Runs of films, those asked for last first, `limit` of them at most, without clips."""
        statuses = [status] if isinstance(status, str) else status
        chosen: list[tuple[str, Any]] = [("status", one) for one in statuses]
        chosen += [("film", film), ("requestedAfter", since)]
        for row in self._rows("/v1/films", "films", [*chosen, ("requestedBefore", until)], limit):
            yield Film(row)

    def wait_film(
        self,
        film: Film | str,
        run_id: str | None = None,
        *,
        timeout: float | None = FILM_SECONDS,
        on_progress: Callable[[Film], object] | None = None,
    ) -> Film:
        """A run of a film once all of its clips are there.

        Raises FilmIncomplete when it is over and not whole, StillRunning after `timeout` seconds,
        Unavailable.
        """

        def look(seconds: int) -> Film:
            return self.film_status(film, run_id, wait=seconds)

        found = self._settled(look, timeout, on_progress)
        if found.status != "finished":
            raise FilmIncomplete(found)
        return found

    def resume_film(self, film: Film | str, run_id: str | None = None) -> Film:
        """Give a run that is under way a new execution. Harmless at any time."""
        return Film(self._calls.call("POST", _film_command(film, "resume", _run(film, run_id))))

    def redeliver_film(self, film: Film | str, run_id: str | None = None) -> Film:
        """Tell a run's callbackUrl once more what became of it. Raises Conflict."""
        return Film(self._calls.call("POST", _film_command(film, "redeliver", _run(film, run_id))))

    def cancel_film(self, film: Film | str, run_id: str | None = None) -> Film:
        """Start no more clips of a run; `may_be_billed` are those that xAI had accepted."""
        return Film(self._calls.call("POST", _film_command(film, "cancel", _run(film, run_id))))

    def retry_film(
        self,
        film: Film | str,
        run_id: str | None = None,
        *,
        may_charge_twice: bool = False,
        max_cost_usd: float | None = None,
        quote_id: str | None = None,
        callback_url: str | None = None,
        wait: bool = False,
        timeout: float | None = FILM_SECONDS,
        on_progress: Callable[[Film], object] | None = None,
        key: str | None = None,
    ) -> Film:
        """Make a run's script again: pays for what is not there. Raises as `film` does."""
        chosen = [*_run(film, run_id), ("maxCostUsd", max_cost_usd), ("quoteId", quote_id)]
        chosen += [("callbackUrl", callback_url)]
        path = _film_command(film, "retry", chosen)
        accepted = Film(self._paid(path, {"mayChargeTwice": may_charge_twice}, key))
        return self._filmed(accepted, wait, timeout, on_progress)

    def remaster_film(
        self,
        film: Film | str,
        run_id: str | None = None,
        *,
        clips: Iterable[str] = (),
        edit: bool = False,
        max_cost_usd: float | None = None,
        quote_id: str | None = None,
        callback_url: str | None = None,
        wait: bool = False,
        timeout: float | None = FILM_SECONDS,
        on_progress: Callable[[Film], object] | None = None,
        key: str | None = None,
    ) -> Film:
        """Make a run's clips again at 720p: this is paid for. Raises as `film` does."""
        chosen = [*_run(film, run_id), *(("clip", clip) for clip in clips), ("edit", edit)]
        chosen += [("maxCostUsd", max_cost_usd), ("quoteId", quote_id)]
        chosen += [("callbackUrl", callback_url)]
        accepted = Film(self._paid(_film_command(film, "remaster", chosen), None, key))
        return self._filmed(accepted, wait, timeout, on_progress)

    def manifest(self, film: Film | str, *, presign: bool = False) -> Manifest:
        """The manifest of a film; with `presign`, with a url for each file that there is.

        It is asked for in pages: that of a large film is more than one answer may hold.
        """
        path = f"{_film_path(film)}/manifest"
        chosen: list[tuple[str, Any]] = [("limit", PAGE_OF_CLIPS), ("presign", presign)]
        clips: list[Document] = []
        page = self._calls.call("GET", path + query(chosen))
        while "next" in page:
            clips += page["clips"]
            page = self._calls.call("GET", path + query([*chosen, ("after", page["next"])]))
        return Manifest({**page, "clips": [*clips, *page["clips"]]})

    def import_manifest(self, film: str, content: bytes | Mapping[str, Any]) -> Document:
        """Take an existing manifest into a film; entries that stand there already are kept."""
        return self._calls.call("POST", f"{_film_path(film)}/manifest", content, repeatable=True)

    # ── What there is ────────────────────────────────────────────────────────────────────────────

    def models(self) -> Document:
        """The models there are, with their limits and prices."""
        return self._calls.call("GET", "/v1/models")

    def quality_modes(self) -> Document:
        """The quality modes there are."""
        return self._calls.call("GET", "/v1/quality-modes")

    # ── How ──────────────────────────────────────────────────────────────────────────────────────

    def _paid(
        self, path: str, content: bytes | Mapping[str, Any] | None, key: str | None
    ) -> Document:
        """A POST that spends. It has a key in any case: the network may lose its answer."""
        return self._calls.call("POST", path, content, uuid.uuid4().hex if key is None else key)

    def _command(
        self, render: VideoRender | str, name: str, fields: Mapping[str, Any] | None = None
    ) -> VideoRender:
        return VideoRender(self._calls.call("POST", f"{_render_path(render)}/{name}", fields))

    def _made(
        self,
        accepted: VideoRender,
        wait: bool,
        timeout: float | None,
        on_progress: Callable[[VideoRender], object] | None,
    ) -> VideoRender:
        if not wait:
            return accepted
        return self.wait(accepted, timeout=timeout, on_progress=on_progress)

    def _filmed(
        self,
        accepted: Film,
        wait: bool,
        timeout: float | None,
        on_progress: Callable[[Film], object] | None,
    ) -> Film:
        if not wait:
            return accepted
        return self.wait_film(accepted, timeout=timeout, on_progress=on_progress)

    def _rows(
        self, path: str, name: str, chosen: Iterable[tuple[str, Any]], limit: int | None
    ) -> Iterator[Document]:
        """The rows of a list, page after page."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self._calls.call(
                "GET", path + query([*chosen, ("limit", size), ("cursor", cursor)])
            )
            rows = page[name] if left is None else page[name][:left]
            yield from rows
            left = None if left is None else left - len(rows)
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def _settled(
        self,
        look: Callable[[int], Settling],
        timeout: float | None,
        on_progress: Callable[[Settling], object] | None,
    ) -> Settling:
        """Look until what is seen is at rest. Raises StillRunning, Unavailable."""
        answered = self._clock()
        end = None if timeout is None else answered + timeout
        most = SHORT_LOOK if on_progress else LONGEST_LOOK
        while True:
            asked = self._clock()
            left = most if end is None else max(0, min(most, round(end - asked)))
            try:
                found = look(left)
            except Unavailable:
                now = self._clock()
                if now - answered > PATIENCE or (end is not None and now >= end):
                    raise
                self._sleep(SHORT_LOOK)
                continue
            answered = self._clock()
            if on_progress is not None:
                on_progress(found)
            if found.is_settled:
                return found
            if end is not None and answered >= end:
                raise StillRunning(found)
            if answered - asked < LEAST_GAP:  # it did not wait: it is not asked without a pause
                self._sleep(LEAST_GAP)


def _render_path(render: VideoRender | str) -> str:
    name = render if isinstance(render, str) else render.id
    return f"/v1/videos/{segment(name, 'renderId')}"


def _film_path(film: Film | str) -> str:
    return f"/v1/films/{segment(film if isinstance(film, str) else film.id, 'film')}"


def _film_command(film: Film | str, name: str, chosen: Iterable[tuple[str, Any]]) -> str:
    return f"{_film_path(film)}/{name}{query(chosen)}"


def _run(film: Film | str, run_id: str | None) -> list[tuple[str, Any]]:
    """The run that is meant: that which is named, or the one that an answer was about."""
    return [("run", run_id or (None if isinstance(film, str) else film.run_id))]


def _order(
    clips: Iterable[str],
    remaster: bool,
    source_video_url: str | None,
    force: bool,
    max_cost_usd: float | None,
) -> list[tuple[str, Any]]:
    return [
        *(("clip", clip) for clip in clips),
        ("remaster", remaster),
        ("sourceVideoUrl", source_video_url),
        ("force", force),
        ("maxCostUsd", max_cost_usd),
    ]


def _script(script: Script) -> bytes:
    """A script as it is sent. Text that begins with a brace is the script, other text its path."""
    if isinstance(script, bytes):
        return script
    if isinstance(script, Mapping):
        from videoconductor.client.calls import octets

        return octets(script)
    if isinstance(script, str) and script.lstrip().startswith("{"):
        return script.encode()
    return Path(script).expanduser().read_bytes()
