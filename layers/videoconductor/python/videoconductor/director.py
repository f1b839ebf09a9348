"""What people and programs may ask of films: have a script made, and see how that goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from videoconductor import (
    budgets,
    existing,
    identity,
    intake,
    planning,
    pricing,
    quotes,
    revival,
    script,
)
from videoconductor.clip import (
    FROM_MANIFEST,
    SETTLED,
    FilmClip,
    FilmOrder,
    FilmRun,
    Inbox,
    ManifestEntry,
    Render,
    RenderPlan,
)
from videoconductor.conductor import Conductor, derived_id
from videoconductor.errors import (
    FilmNotFound,
    IdempotencyConflict,
    InvalidRequest,
    MachineUnavailable,
    NotAllowed,
    NotSetGoing,
    Problem,
)
from videoconductor.planning import OWN_CLIP, PlannedClip, callback_problem
from videoconductor.quotes import Quote

if TYPE_CHECKING:
    from videoconductor.books import Books
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

MAX_LISTED = 50


@dataclass(frozen=True)
class _Known:
    """What the film has already."""

    entries: Mapping[str, ManifestEntry] = field(default_factory=dict)
    stills: frozenset[tuple[str, str]] = frozenset()
    renders: Mapping[str, Render] = field(default_factory=dict)


@dataclass(frozen=True)
class _Planned:
    """One clip of the film as this run wants it."""

    request: script.ClipPlan
    plan: RenderPlan
    render_id: str
    standing: ManifestEntry | None


@dataclass(frozen=True)
class _Weighed:
    """The clips of a run, what the film has of them, and what they may cost together."""

    planned: tuple[_Planned, ...]
    known: _Known
    clips: tuple[FilmClip, ...]
    limit: Decimal | None

    @property
    def due_usd(self) -> Decimal:
        """What has to be paid for at most."""
        due = (clip.estimated_cost_usd for clip in self.clips if clip.is_due)
        return sum(due, Decimal(0))


@dataclass(frozen=True)
class _Asked:
    """A script to be made, and how; `forced_as` is the run whose forced clips are meant."""

    text: str
    order: FilmOrder
    digest: str
    forced_as: str | None = None
    may_charge_twice: bool = False
    inbox: Inbox | None = None


@dataclass(frozen=True)
class Director:
    """The commands, with everything they need handed in."""

    conductor: Conductor
    library: Library
    manifest: Manifest
    books: Books
    start: Callable[[FilmRun], None]
    is_running: Callable[[FilmRun], bool]
    new_id: Callable[[], str]
    clock: Callable[[], datetime]
    quote_above: Decimal

    def accept(
        self,
        text: str,
        order: FilmOrder,
        caller: str,
        key: str | None = None,
        inbox: Inbox | None = None,
    ) -> tuple[FilmRun, tuple[FilmClip, ...]]:
        """Put a run of a script on record and set it going; with the same key, only once.

        Raises InvalidRequest with every problem of the file, QuoteRequired, OverBudget,
        IdempotencyConflict, NotSetGoing, and the edges' Unavailable errors.
        """
        found = script.reading(text)
        if found.film is None:
            raise script.refusal(found.problems)
        run_id, digest = self._run_id(caller, key), _digest(order, text)
        film = found.film.request_id
        if key is not None and (again := self._again(film, run_id, digest)) is not None:
            return again
        forced_as = run_id if order.force else None
        asked = _Asked(text, order, digest, forced_as, inbox=inbox)
        return self._accepted(asked, found, found.film, caller, run_id, is_keyed=key is not None)

    def plan(self, text: str, order: FilmOrder) -> tuple[str, tuple[PlannedClip, ...]]:
        """The film of a script, and its clips as `accept` would have them made.

        Writes nothing. Raises InvalidRequest as `accept` does, ManifestUnavailable.
        """
        request, weighed = self._looked_at(text, order)
        return request.request_id, self._as_planned(weighed)

    def quote(self, text: str, order: FilmOrder) -> Quote:
        """What `accept` would pay for the script as it is now, with a quoteId.

        Writes nothing. Raises as `plan` does.
        """
        request, weighed = self._looked_at(text, order)
        return self._quoted(request, weighed, order)

    def _looked_at(self, text: str, order: FilmOrder) -> tuple[script.FilmRequest, _Weighed]:
        found = script.reading(text)
        if found.film is None:
            raise script.refusal(found.problems)
        asked = _Asked(text, order, "", self.new_id() if order.force else None)
        return found.film, self._weighed(asked, found, found.film)

    def _quoted(self, request: script.FilmRequest, weighed: _Weighed, order: FilmOrder) -> Quote:
        content, clips = quotes.of_script(request, order), self._as_planned(weighed)
        now = self.clock()
        return quotes.quote(request.request_id, clips, content, self.conductor.models, now)

    def _as_planned(self, weighed: _Weighed) -> tuple[PlannedClip, ...]:
        return tuple(
            PlannedClip(
                clip.clip_id,
                self._priced(one, weighed.known),
                clip.warnings,
                clip.is_due,
                clip.is_reused,
            )
            for one, clip in zip(weighed.planned, weighed.clips, strict=True)
        )

    def retry(
        self,
        film: str,
        run_id: str | None,
        change: FilmOrder,
        caller: str,
        key: str | None = None,
        *,
        may_charge_twice: bool = False,
    ) -> tuple[FilmRun, tuple[FilmClip, ...]]:
        """Hand the script of a run in again as it was: a new run, that pays for what is missing.

        Of `change`, `max_cost_usd` or `quote_id` take the place of the run's own limit if one is
        given, and `callback_url` in any case. Raises FilmNotFound, NotAllowed, and what `accept`
        raises.
        """
        said = change.model_dump_json(exclude={"quote_id"})
        given = ["retry", film, run_id, may_charge_twice, said]

        def asked(source: FilmRun, digest: str) -> _Asked:
            changes: dict[str, object] = {
                "callback_url": change.callback_url,
                "quote_id": change.quote_id,
            }
            if change.max_cost_usd is not None or change.quote_id is not None:
                changes["max_cost_usd"] = change.max_cost_usd
            order = self._order(source).model_copy(update=changes)
            text = self._script(source)
            return _Asked(text, order, digest, source.forced_as, may_charge_twice)

        return self._anew(film, run_id, given, asked, caller, key)

    def remaster(
        self, film: str, run_id: str | None, order: FilmOrder, caller: str, key: str | None = None
    ) -> tuple[FilmRun, tuple[FilmClip, ...]]:
        """Hand the script of a run in again to be made as `order` says: a new run.

        Raises FilmNotFound, and what `accept` raises.
        """
        given = ["remaster", film, run_id, order.model_dump_json(exclude={"quote_id"})]

        def asked(source: FilmRun, digest: str) -> _Asked:
            return _Asked(self._script(source), order, digest)

        return self._anew(film, run_id, given, asked, caller, key)

    def cancel(self, film: str, run_id: str | None = None) -> tuple[FilmRun, list[Render]]:
        """Call a run off: nothing of it is sent any more, and what it has under way is cancelled.

        Returns the run as it stands then, and the renders that xAI may still bill. May be
        repeated. Raises FilmNotFound, NotAllowed when the run came to its end by itself.
        """
        from videoconductor.filming import cancel_clips, clips_of, summed_up

        def cancelled(latest: FilmRun) -> FilmRun:
            if latest.cancelled_at is not None:
                return latest
            if latest.status != "running":
                raise NotAllowed(f"the run is {latest.status} already")
            return latest.model_copy(update={"cancelled_at": self.clock()})

        run = self.manifest.update_run(self.manifest.run(film, run_id), cancelled)
        clips = clips_of(run, self.library)
        renders = self.manifest.read_many([clip.render_id for clip in clips])
        if run.status == "running":
            renders |= cancel_clips(run, renders.values(), self.manifest, self.clock)
            run = self._concluding(run)
        open_ones = [
            render
            for render in renders.values()
            if render.status == "cancelled"
            and run.took_up(render)
            and revival.may_still_cost(render)
        ]
        return summed_up(run, clips, renders), open_ones

    def _concluding(self, run: FilmRun) -> FilmRun:
        """A run that is cancelled, with an execution that sums it up: its own may be gone."""
        if self.is_running(run):
            return run

        def concluding(latest: FilmRun) -> FilmRun:
            if latest.status != "running":
                return latest
            return latest.model_copy(update={"executions": latest.executions + 1})

        run = self.manifest.update_run(run, concluding)
        return self._started(run) if run.status == "running" else run

    def _anew(
        self,
        film: str,
        source_id: str | None,
        given: Sequence[object],
        asked: Callable[[FilmRun, str], _Asked],
        caller: str,
        key: str | None,
    ) -> tuple[FilmRun, tuple[FilmClip, ...]]:
        """A new run of a script that is kept; with the same key and the same words, only once."""
        digest = hashlib.sha256(json.dumps(given).encode()).hexdigest()
        run_id = self._run_id(caller, key)
        # Before looking for the newest run: with a key that came before, that is its own.
        if key is not None and (again := self._again(film, run_id, digest)) is not None:
            return again
        wanted = asked(self.manifest.run(film, source_id), digest)
        found = script.reading(wanted.text)
        if found.film is None:
            raise script.refusal(found.problems)
        return self._accepted(wanted, found, found.film, caller, run_id, is_keyed=key is not None)

    def _run_id(self, caller: str, key: str | None) -> str:
        return self.new_id() if key is None else derived_id(caller, key, "film")

    def _script(self, run: FilmRun) -> str:
        return b"".join(self.library.read(run.request_key)).decode()

    def _order(self, run: FilmRun) -> FilmOrder:
        """How a run was asked for. Raises NotAllowed for one of before that was kept."""
        if run.order_key is None:
            raise NotAllowed("how the run was asked for was not kept: hand the script in again")
        return intake.film_order_document(json.loads(b"".join(self.library.read(run.order_key))))

    def _accepted(
        self,
        asked: _Asked,
        found: script.Reading,
        request: script.FilmRequest,
        caller: str,
        run_id: str,
        *,
        is_keyed: bool,
    ) -> tuple[FilmRun, tuple[FilmClip, ...]]:
        """A run that nobody asked for before: planned, priced, put on record and set going."""
        film, order, digest = request.request_id, asked.order, asked.digest
        weighed = self._weighed(asked, found, request)
        # Nobody is asked to agree to what would be refused then.
        self._check_room(film, identity.principal(caller), weighed)
        self._check_consent(asked, request, weighed)
        clips, limit = weighed.clips, weighed.limit
        due = [clip for clip in clips if clip.is_due]
        requested_at = self._claimed(run_id, digest) if is_keyed else self.clock()
        items = self._items(weighed.planned, weighed.known, caller, limit)
        run = FilmRun(
            run_id=run_id,
            film=film,
            caller=caller,
            request_sha256=digest,
            requested_at=requested_at,
            total=len(clips),
            due=len(due),
            items=len(items),
            estimated_cost_usd=sum((c.estimated_cost_usd for c in due), Decimal(0)),
            items_key=self.library.film_key(film, run_id, "items"),
            clips_key=self.library.film_key(film, run_id, "clips"),
            request_key=self.library.film_key(film, run_id, "request"),
            order_key=self.library.film_key(film, run_id, "order"),
            max_cost_usd=limit,
            forced_as=asked.forced_as,
            may_charge_twice=asked.may_charge_twice,
            callback_url=order.callback_url,
            inbox=asked.inbox,
        )
        self._write(run, asked, clips, items)
        if not self.manifest.create_run(run):
            return self._again(film, run_id, digest) or (run, clips)
        return self._started(run), clips

    def resume(self, film: str, run_id: str | None = None) -> FilmRun:
        """Give a run that is not over a new execution, in case its own is gone.

        One that was cancelled is only summed up by it. Raises FilmNotFound, NotAllowed when it is
        over, NotSetGoing.
        """

        def resumed(latest: FilmRun) -> FilmRun:
            if latest.status != "running":
                raise NotAllowed(
                    f"the run is {latest.status}: retry it, or hand the script in again"
                )
            return latest.model_copy(update={"executions": latest.executions + 1})

        return self._started(self.manifest.update_run(self.manifest.run(film, run_id), resumed))

    def take_in(self, film: str, text: str) -> dict[str, list[str]]:
        """Enter the finished clips of an existing manifest that the film has no entry of.

        Returns the keys `imported`, the keys `kept` because one stands there, and `warnings`.
        Raises InvalidRequest with every problem of the file; nothing is entered then.
        """
        found = existing.entries(text, film, self.conductor.modes, self.clock())
        imported = {entry.id: self.manifest.take_in(entry) for entry in found.entries}
        return {
            "imported": [name for name, is_new in imported.items() if is_new],
            "kept": [name for name, is_new in imported.items() if not is_new],
            "warnings": list(found.warnings),
        }

    # -- planning ----------------------------------------------------------------------------------

    def _weighed(
        self, asked: _Asked, found: script.Reading, request: script.FilmRequest
    ) -> _Weighed:
        """The clips of a run, and what the film has of them. Raises InvalidRequest."""
        order = asked.order
        if problem := callback_problem(order.callback_url, self.conductor.defaults):
            raise InvalidRequest([problem])
        planned = self._planned(found, request, order, asked.forced_as)
        known = self._known(request.request_id, planned)
        clips = tuple(self._listed(one, known, asked) for one in planned)
        weighed = _Weighed(planned, known, clips, self._limit(order, request))
        self._check_cost(order, weighed)
        return weighed

    def _limit(self, order: FilmOrder, request: script.FilmRequest) -> Decimal | None:
        """What a run may cost: no more than was allowed, and no more than was quoted."""
        if order.quote_id is None:
            return order.max_cost_usd
        content = quotes.of_script(request, order)
        quoted = quotes.agreed(order.quote_id, content, self.clock())
        return quoted if order.max_cost_usd is None else min(quoted, order.max_cost_usd)

    def _check_cost(self, order: FilmOrder, weighed: _Weighed) -> None:
        """Refuse what may cost more than the limit. Raises InvalidRequest."""
        limit, due = weighed.limit, weighed.due_usd
        if limit is None:
            return
        if unpriced := self._unpriced(weighed):
            raise InvalidRequest([planning.unpriced_problem(limit, unpriced)])
        if due <= limit:
            return
        if order.max_cost_usd == limit:
            words = f"is less than the estimate of ${due}"
            raise InvalidRequest.of("maxCostUsd", float(limit), words)
        words = f"is of {quotes.usd(limit)}, and {quotes.usd(due)} is due now: ask for another one"
        raise InvalidRequest.of("quoteId", order.quote_id, words)

    def _unpriced(self, weighed: _Weighed) -> list[str]:
        """What of a run nobody knows a price of."""
        return [
            name
            for one, clip in zip(weighed.planned, weighed.clips, strict=True)
            if clip.is_due and not one.plan.estimate.is_priced
            for name in pricing.unpriced(self._priced(one, weighed.known).estimate)
        ]

    def _check_consent(self, asked: _Asked, request: script.FilmRequest, weighed: _Weighed) -> None:
        """Refuse what costs much and was neither quoted nor limited. Raises QuoteRequired."""
        if weighed.limit is not None:
            return
        if weighed.due_usd > self.quote_above or self._unpriced(weighed):
            raise quotes.required(self._quoted(request, weighed, asked.order), self.quote_above)

    def _check_room(self, film: str, caller: str, weighed: _Weighed) -> None:
        """Refuse early what some cap is short of room for, however it goes. Raises OverBudget.

        The caps are kept where a POST takes its permit; this only spares the wait for it.
        """
        due = [one for one, clip in zip(weighed.planned, weighed.clips, strict=True) if clip.is_due]
        if not due:
            return
        least = {one.render_id: self._least(one, weighed.known) for one in due}
        needed = sum(least.values())
        caps = self.manifest.caps()
        budgets.check_stop(caps, needed)
        capped = budgets.capped(caps, film, caller, self.clock())
        if capped or caps.render is not None:
            budgets.check_priced(self._unpriced(weighed), needed)
        self._check_renders(caps, due, weighed.known, least)
        tallies = self.books.standing(capped) if capped else {}
        for counter, cap in capped.items():
            tally = tallies[counter]
            budgets.check_room(counter, cap, tally.held, tally.settled, needed)

    def _check_renders(
        self, caps: budgets.Caps, due: Iterable[_Planned], known: _Known, least: Mapping[str, int]
    ) -> None:
        """Refuse a run of which one clip alone is more than the cap on renders."""
        if caps.render is None:
            return

        def amounts(one: _Planned) -> tuple[int, int, int]:
            render = known.renders.get(one.render_id)
            spent = (render.held_ticks, render.spent_ticks) if render else (0, 0)
            return *spent, least[one.render_id]

        dearest = max(due, key=lambda one: sum(amounts(one)))
        budgets.check_render(caps, dearest.request.request.clip_id or "", *amounts(dearest))

    def _least(self, one: _Planned, known: _Known) -> int:
        """What a clip that is due costs at least beyond what is reserved for it already."""
        least = budgets.ticks(self._priced(one, known).estimate.least_usd)
        render = known.renders.get(one.render_id)
        is_under_way = render is not None and render.status not in SETTLED
        return max(0, least - render.held_ticks) if render and is_under_way else least

    def _planned(
        self,
        found: script.Reading,
        film: script.FilmRequest,
        order: FilmOrder,
        forced_as: str | None,
    ) -> tuple[_Planned, ...]:
        entries = {entry.id: entry for entry in self.manifest.entries(film.request_id)}
        sources = _sources(film, order, entries.values())
        own = {place: entry for entry in entries.values() if self._is_ours(place := _place(entry))}
        known = {
            name: own[url]
            for name, url in sources.items()
            if url in own and own[url].duration is not None
        }
        seconds = {name: Decimal(str(entry.duration)) for name, entry in known.items()}
        resolutions = {
            name: entry.resolution for name, entry in known.items() if entry.resolution is not None
        }
        # What somebody else's manifest says of a clip is not what xAI goes by.
        untrusted = {name for name, entry in known.items() if entry.render_id is None}
        # A clip's own source is the script's affair, and told of at its place there.
        is_own = order.source_video_url == FROM_MANIFEST
        given = None if is_own else order.source_video_url
        planned = script.plan_reading(
            found,
            script.Take(order.only, order.remaster, given, sources if is_own else {}),
            self.conductor.modes,
            self.conductor.models,
            replace(self.conductor.defaults, today=self.clock().date()),
            seconds,
            resolutions,
            untrusted,
        )
        of_clip: dict[str, list[ManifestEntry]] = {}
        for entry in entries.values():
            of_clip.setdefault(entry.clip_id, []).append(entry)
        return tuple(
            self._one(
                _linked(clip, of_clip.get(clip.request.clip_id or "", ())), entries, forced_as
            )
            for clip in planned.clips
        )

    def _is_ours(self, place: str) -> bool:
        """Whether a clip can be vouched for: an uri of another library cannot."""
        return not place.startswith(OWN_CLIP) or self.library.key_of(place) is not None

    def _one(
        self,
        clip: script.ClipPlan,
        entries: Mapping[str, ManifestEntry],
        forced_as: str | None,
    ) -> _Planned:
        shape = identity.fingerprint(clip.plan)
        film, clip_id = clip.request.pipeline_request_id or "", clip.request.clip_id or ""
        parts = [film, clip_id, clip.plan.quality_mode, shape, *([forced_as] if forced_as else [])]
        name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
        standing = entries.get(f"{clip_id}::{clip.plan.quality_mode}")
        if standing is None or standing.fingerprint != shape:
            standing = None
        elif forced_as and standing.render_id != name:
            standing = None  # there, but not made by the run that was forced
        if standing is not None and standing.render_id is not None:
            name = standing.render_id
        return _Planned(clip, clip.plan, name, standing)

    def _known(self, film: str, planned: Iterable[_Planned]) -> _Known:
        open_ones = [one.render_id for one in planned if one.standing is None]
        return _Known(
            stills=frozenset(self.manifest.stills(film)),
            renders=self.manifest.read_many(open_ones),
        )

    def _listed(self, one: _Planned, known: _Known, asked: _Asked) -> FilmClip:
        plan, request = one.plan, one.request.request
        render = known.renders.get(one.render_id)
        is_reused = one.standing is not None or (
            render is not None and render.status == "finalized"
        )
        estimate = self._priced(one, known).estimate.total_usd
        return FilmClip(
            clip_id=request.clip_id or "",
            quality_mode=plan.quality_mode,
            render_id=one.render_id,
            operation=plan.operation,
            model=plan.model,
            duration=plan.duration,
            resolution=plan.resolution,
            aspect_ratio=plan.aspect_ratio,
            estimated_cost_usd=estimate,
            is_reused=is_reused,
            is_due=not is_reused and self._will_post(render, asked),
            warnings=one.request.warnings,
        )

    def _priced(self, one: _Planned, known: _Known) -> RenderPlan:
        """The plan without the price of a still that is there already."""
        name = one.request.request.clip_id or ""
        is_there = (name, identity.still_fingerprint(one.plan)) in known.stills
        settled = pricing.without_still if is_there else pricing.with_still
        return one.plan.model_copy(update={"estimate": settled(one.plan.estimate)})

    def _will_post(self, render: Render | None, asked: _Asked) -> bool:
        """Whether this run may pay for a clip whose render is as it is.

        One that is under way and was not sent yet may be left to this run by a run that dies.
        """
        if render is None:
            return True
        if render.status not in SETTLED:
            return render.status in {"planned", "framing"}
        again = revival.made_good(
            render,
            self.clock(),
            self.conductor.poll_timeout,
            may_charge_twice=asked.may_charge_twice,
        )
        return again is not None and again.job is None

    def _items(
        self, planned: Iterable[_Planned], known: _Known, caller: str, limit: Decimal | None
    ) -> list[dict[str, object]]:
        """The renders whose turn comes in this run, as they are drafted; `limit` is the run's."""
        return [
            self.conductor.drafted(
                one.request.request, self._priced(one, known), one.render_id, caller
            )
            .model_copy(update={"run_limit_usd": limit})
            .model_dump(mode="json", exclude_defaults=True)
            for one in planned
            if one.standing is None or _looks_otherwise(one)
        ]

    # -- keeping -----------------------------------------------------------------------------------

    def _claimed(self, run_id: str, digest: str) -> datetime:
        """When this request first came with its Idempotency-Key. Raises IdempotencyConflict.

        Callers at the same time write the same record so; a key that came with another film, or
        that broke off before its run was on record, is known by it too.
        """
        held, moment = self.manifest.claim(run_id, digest, self.clock())
        _check_same(held, digest)
        return moment

    def _again(
        self, film: str, run_id: str, digest: str
    ) -> tuple[FilmRun, tuple[FilmClip, ...]] | None:
        from videoconductor.filming import clips_of

        try:
            run = self.manifest.run(film, run_id)
        except FilmNotFound:
            return None
        _check_same(run.request_sha256, digest)
        # The first caller may have died before the execution was started, or that is gone.
        if run.status == "running" and not self.is_running(run):
            run = self.resume(film, run_id)
        return run, clips_of(run, self.library)

    def _write(
        self,
        run: FilmRun,
        asked: _Asked,
        clips: tuple[FilmClip, ...],
        items: list[dict[str, object]],
    ) -> None:
        listed = [clip.model_dump(mode="json", exclude_defaults=True) for clip in clips]
        # A quote is of this run: one that retries it is asked for anew.
        kept = asked.order.model_copy(update={"quote_id": None})
        order = json.dumps(intake.order_document(kept), ensure_ascii=False)
        self.library.put_document(run.request_key, asked.text.encode())
        self.library.put_document(run.order_key or "", order.encode())
        self.library.put_document(run.clips_key, json.dumps(listed).encode())
        self.library.put_document(run.items_key, json.dumps(items).encode())

    def _started(self, run: FilmRun) -> FilmRun:
        try:
            self.start(run)
        except MachineUnavailable as problem:
            raise NotSetGoing(
                f"run {run.run_id} of film {run.film} is on record, but may not be under way: "
                "resume it, or hand the script in again without force"
            ) from problem
        return run


def _digest(order: FilmOrder, text: str) -> str:
    """What tells a request with an Idempotency-Key from another one, whatever it may cost."""
    # Whoever repeats a call with another limit still means the run that is paid for.
    unlimited = order.model_copy(update={"max_cost_usd": None})
    # Without a callbackUrl as it was before there was any: keys do not expire.
    aside = {"quote_id"} if order.callback_url else {"quote_id", "callback_url"}
    chosen = unlimited.model_dump_json(exclude=aside)
    return hashlib.sha256(f"{chosen}\0{text}".encode()).hexdigest()


def _sources(
    film: script.FilmRequest, order: FilmOrder, entries: Iterable[ManifestEntry]
) -> dict[str, str]:
    """The source video of each clip that has one, by clip id."""
    chosen = [clip for clip in film.clips if not order.only or clip.id in order.only]
    if order.source_video_url == FROM_MANIFEST:
        newest = _newest_by_clip(entries)
        if missing := [clip.id for clip in chosen if clip.id not in newest]:
            words = "has no clip in the manifest that could be edited"
            found = [Problem("sourceVideoUrl", name, words) for name in missing[:MAX_LISTED]]
            raise InvalidRequest(found)
        return {clip.id: _place(newest[clip.id]) for clip in chosen}
    if order.source_video_url is not None:
        return {clip.id: order.source_video_url for clip in chosen}
    return {
        clip.id: clip.remaster.source_video_url.strip()
        for clip in chosen
        if clip.remaster is not None and clip.remaster.source_video_url
    }


def _place(entry: ManifestEntry) -> str:
    return entry.url or entry.temporary_url or ""


def _linked(clip: script.ClipPlan, entries: Iterable[ManifestEntry]) -> script.ClipPlan:
    """A remaster that names no parent is linked to the newest clip that it is made anew of.

    `entries` are those of the clip, in all modes.
    """
    request = clip.request
    if not clip.plan.remaster or request.remaster_from_request_id is not None:
        return clip
    own = f"{request.clip_id}::{clip.plan.quality_mode}"
    parents = [entry for entry in entries if entry.id != own and entry.request_id]
    if not parents:
        return clip
    parent = max(parents, key=lambda entry: entry.updated_at).request_id
    linked = request.model_copy(update={"remaster_from_request_id": parent})
    return script.ClipPlan(linked, clip.plan, clip.warnings)


def _newest_by_clip(entries: Iterable[ManifestEntry]) -> dict[str, ManifestEntry]:
    """The newest clip of each id that can be fetched, an edit only where there is nothing else.

    Otherwise a second run would edit what the first one has made.
    """
    usable = (e for e in entries if e.error is None and (e.url or e.temporary_url))
    ordered = sorted(usable, key=lambda e: (e.generation_kind != "edit", e.updated_at))
    return {entry.clip_id: entry for entry in ordered}


def _looks_otherwise(one: _Planned) -> bool:
    """Whether the pictures of a clip that is there are missing, or not the ones that are wanted."""
    wanted = identity.thumbnail_fingerprint(one.request.request.thumbnail)
    if one.standing is None or one.standing.poster_url is None:
        return True
    return wanted is not None and wanted != one.standing.thumbnail_fingerprint


def _check_same(held: str, digest: str) -> None:
    if held != digest:
        raise IdempotencyConflict("this Idempotency-Key came with another request before")
