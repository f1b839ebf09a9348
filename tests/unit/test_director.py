"""Scripts of any size, planned without AWS: how long that takes and how much is written down."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from videoconductor import director as director_module
from videoconductor import filming, quotes, reports, views
from videoconductor.books import Tally
from videoconductor.budgets import Caps
from videoconductor.clip import (
    Attempt,
    Clip,
    Failure,
    FilmOrder,
    ManifestEntry,
    Render,
)
from videoconductor.conductor import Conductor
from videoconductor.director import Director
from videoconductor.errors import (
    InvalidRequest,
    MachineUnavailable,
    NotSetGoing,
    OverBudget,
    QuoteRequired,
)
from videoconductor.ledger import Counter
from videoconductor.library import Library
from videoconductor.planning import PlanDefaults

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALLER = "arn:aws:iam::1:user/tester"
MANY = 10_000
KIB = 1024
LAMBDA_ANSWER = 6 * 1024 * KIB
EVENT = 256 * KIB
# FilmFunction has 1,024 MB, which is about 0.6 of a core, and 30 seconds.
SECONDS = 15


class Bucket:
    """S3, as far as the library's documents go."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.objects[Key] = Body

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        content = self.objects[Key]

        class Body:
            def iter_chunks(self, size: int) -> Any:
                return (content[at : at + size] for at in range(0, len(content), size))

        return {"Body": Body()}


class Table:
    """The manifest, in a few dictionaries."""

    def __init__(self) -> None:
        self.entered: dict[str, ManifestEntry] = {}
        self.made: dict[str, Render] = {}
        self.run_records: dict[str, Any] = {}
        self.known_stills: set[tuple[str, str]] = set()
        self.money = Caps(day=None)
        self.tallies: dict[Counter, Tally] = {}

    def caps(self) -> Caps:
        return self.money

    def standing(self, wanted: Any) -> dict[Counter, Tally]:
        return {counter: self.tallies.get(counter, Tally()) for counter in wanted}

    def entries(self, film: str) -> list[ManifestEntry]:
        return list(self.entered.values())

    def stills(self, film: str) -> set[tuple[str, str]]:
        return self.known_stills

    def read_many(self, names: list[str]) -> dict[str, Render]:
        return {name: self.made[name] for name in names if name in self.made}

    def take_in(self, entry: ManifestEntry) -> bool:
        return self.entered.setdefault(entry.id, entry) is entry

    def create_run(self, run: Any) -> bool:
        return self.run_records.setdefault(run.run_id, run) is run

    def run(self, film: str, run_id: str) -> Any:
        return self.run_records[run_id]

    def runs(self, film: str) -> list[Any]:
        return list(self.run_records.values())

    def update_run(self, run: Any, change: Any) -> Any:
        self.run_records[run.run_id] = change(self.run_records[run.run_id])
        return self.run_records[run.run_id]


class Told(list[Any]):
    def film_ready(self, detail: dict[str, Any]) -> None:
        self.append(detail)


class Film:
    """A director over a bucket and a table of its own."""

    def __init__(self, modes: Any, models: Any) -> None:
        self.bucket, self.table, self.started = Bucket(), Table(), []
        self.library = Library("library", self.bucket, "generated/videos")
        none: Any = None
        conductor = Conductor(
            modes=modes,
            models=models,
            defaults=PlanDefaults(),
            manifest=self.table,  # type: ignore[arg-type]
            library=lambda: self.library,
            machine=none,
            announce=none,
            attach_job=none,
            poll_timeout=900,
            new_id=lambda: "unused",
            clock=lambda: NOW,
        )
        self.director = Director(
            conductor=conductor,
            library=self.library,
            manifest=self.table,  # type: ignore[arg-type]
            books=self.table,  # type: ignore[arg-type]
            start=self.started.append,
            is_running=lambda run: True,
            new_id=lambda: f"run{len(self.table.run_records)}",
            clock=lambda: NOW,
            quote_above=Decimal(100_000),
        )

    def accept(self, script: dict[str, Any], **order: Any) -> Any:
        return self.director.accept(json.dumps(script), FilmOrder(**order), CALLER)

    def items(self, run: Any) -> list[dict[str, Any]]:
        return json.loads(self.bucket.objects[run.items_key])

    def conclude(self, run: Any) -> tuple[Any, dict[str, Any]]:
        told = Told()
        ended = filming.conclude(
            run,
            run.marker,
            self.table,  # type: ignore[arg-type]
            self.library,
            told,  # type: ignore[arg-type]
            lambda: NOW,
        )
        return ended, told[0]


def test_a_key_of_before_there_were_callbacks_still_means_the_same_request():
    old = '{"only":["01"],"remaster":true,"sourceVideoUrl":null,"force":false,"maxCostUsd":null}'
    order = FilmOrder(only=("01",), remaster=True)
    expected = hashlib.sha256(f"{old}\0text".encode()).hexdigest()
    assert director_module._digest(order, "text") == expected
    called_back = order.model_copy(update={"callback_url": "https://example.com"})
    assert director_module._digest(called_back, "text") != expected
    limited = order.model_copy(update={"max_cost_usd": Decimal("0.5")})
    assert director_module._digest(limited, "text") == expected


@pytest.fixture
def film(modes, models):
    return Film(modes, models)


def script(clips, **fields):
    return {"schemaVersion": "1.0", "requestId": "big", "clips": clips, **fields}


def many(count):
    """Like Ring's: a cast, a still, dialogue and a thumbnail each."""
    return script(
        [
            {
                "id": f"{number:05}",
                "duration": 6,
                "firstFrame": {"imagePrompt": f"{{{{girl}}}} at bar {number}"},
                "scene": {
                    "action": f"{{{{girl}}}} waves to {number}",
                    "dialogue": [{"speaker": "girl", "line": f"hello, {number}"}],
                },
                "thumbnail": {"enabled": True, "overlays": [{"text": "x", "role": "title"}]},
            }
            for number in range(count)
        ],
        cast=[{"id": "girl", "description": "a woman in black"}],
        setting="a bar at night",
    )


def ended(render, status, **changes):
    attempt = Attempt(
        number=1,
        permitted_at=NOW,
        lease_until=NOW,
        outcome="accepted",
        request_id=f"job-{render.render_id}",
        cost_ticks=10**9,
    )
    return render.having(
        NOW, status, attempts=(attempt,), job={"requestId": f"job-{render.render_id}"}, **changes
    )


def finished(render):
    clip = Clip(
        key=f"generated/videos/big/{render.render_id}.mp4",
        sidecar_key=f"generated/videos/big/{render.render_id}.json",
        bytes=1,
        sha256="a" * 64,
        seconds=6,
        width=848,
        height=480,
        video_codec="avc1",
    )
    return ended(render, "finalized", clip=clip)


def run_all(film, run, end):
    """Bring the renders of a run's items to rest, and enter those that have a clip."""
    for number, item in enumerate(film.items(run)):
        render = end(number, Render.model_validate(item))
        film.table.made[render.render_id] = render
        if render.clip is not None:
            entry = reports.entry(render, render.clip, film.library.uri, NOW)
            film.table.entered[entry.id] = entry


def memory(what):
    """A size of this process, in KiB, under the kernel's name for it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


@pytest.mark.long
def test_ten_thousand_clips_are_planned_written_down_and_summed_up_within_bounds(film):
    text = json.dumps(many(MANY))
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.process_time()
    run, clips = film.director.accept(text, FilmOrder(), CALLER)
    assert time.process_time() - began < SECONDS

    assert (run.total, run.due, run.items) == (MANY, MANY, MANY)
    assert film.started == [run]
    assert len(run.model_dump_json()) < 2 * KIB
    items = film.items(run)
    assert max(len(json.dumps(item)) for item in items) < 4 * KIB
    assert len({item["renderId"] for item in items}) == MANY
    assert len(json.dumps(views.film_accepted(run, clips))) < LAMBDA_ANSWER
    assert run.estimated_cost_usd == MANY * Decimal("0.51")
    quoted = film.director.quote(text, FilmOrder())
    assert quoted.total_usd == run.estimated_cost_usd
    problem = views.problem(quotes.required(quoted, Decimal(5)))
    assert problem["status"] == 402
    assert len(json.dumps(problem)) < LAMBDA_ANSWER

    failure = Failure(error="ModerationRejected", message="雨" * 500, code="雪" * 500)
    run_all(
        film,
        run,
        lambda n, r: ended(r, "failed", failure=failure) if n % 2 else finished(r),
    )
    began = time.process_time()
    concluded, event = film.conclude(run)
    assert time.process_time() - began < SECONDS

    assert (concluded.status, concluded.done, concluded.failed) == (
        "incomplete",
        MANY // 2,
        MANY // 2,
    )
    assert len(json.dumps(event, ensure_ascii=False).encode()) < EVENT
    assert len(concluded.model_dump_json().encode()) < EVENT
    assert len(event["missing"]) == reports.MAX_MISSING
    result = json.loads(film.bucket.objects[concluded.result_key])
    assert len(result["missing"]) == MANY // 2
    assert len(result["clips"]) == MANY
    detail = views.film_detail(concluded, clips, film.table.made)
    assert len(json.dumps({**detail, "clips": detail["clips"][:1]})) < 4 * KIB
    assert memory("VmHWM") - before < 400 * KIB


def test_a_page_of_a_large_films_manifest_fits_into_an_answer_and_all_pages_are_all_of_it(film):
    run, _ = film.accept(many(1000))
    run_all(film, run, lambda n, render: finished(render))
    signed = "https://library.s3.amazonaws.com/" + "x" * 1500
    read, after = [], None
    for _ in range(10):
        page = views.manifest(
            "big", film.table.entries("big"), [run], lambda uri: uri and signed, after, 300
        )
        assert len(json.dumps(page)) < LAMBDA_ANSWER
        read += page["clips"]
        assert bool(page["runs"]) == ("next" not in page)
        if (after := page.get("next")) is None:
            break

    assert [clip["_key"] for clip in read] == sorted(film.table.entered)


def test_planning_remasters_looks_at_each_entry_a_few_times_not_at_all_for_each_clip(
    film, monkeypatch
):
    count = 300
    run, _ = film.accept(many(count))
    run_all(film, run, lambda n, render: finished(render))
    looks = []
    real = ManifestEntry.clip_id.fget
    monkeypatch.setattr(
        ManifestEntry, "clip_id", property(lambda entry: (looks.append(1), real(entry))[1])
    )

    film.accept(many(count), remaster=True)

    assert len(looks) <= 10 * count


def test_a_clip_is_taken_only_while_its_render_and_its_entry_are_of_the_same_shape(film):
    run, _ = film.accept(many(3))
    run_all(film, run, lambda n, render: finished(render))
    film.table.entered = {
        name: entry.model_copy(update={"thumbnail_fingerprint": None})
        for name, entry in film.table.entered.items()
    }

    # The thumbnails are still to be made: a turn, and nothing to pay for.
    again, clips = film.accept(many(3))
    assert (again.due, again.items, again.estimated_cost_usd) == (0, 3, 0)
    assert all(clip.is_reused for clip in clips)

    changed = many(3)
    changed["clips"][1]["scene"]["dialogue"][0]["line"] = "goodbye"
    third, clips = film.accept(changed)
    assert [clip.is_due for clip in clips] == [False, True, False]
    assert third.due == 1


@pytest.mark.parametrize(
    ("status", "changes", "is_due"),
    [
        ("planned", {}, True),
        ("framing", {}, True),
        ("rendering", {}, False),
        ("rendered", {}, False),
        ("failed", {"failure": Failure(error="RenderFailed", message="m")}, False),
        ("failed", {"failure": Failure(error="NotAClip", message="m")}, True),
        ("failed", {"failure": Failure(error="Abandoned", message="m"), "job": None}, True),
        ("failed", {"failure": Failure(error="CopyFailed", message="m")}, False),
        ("stalled", {}, False),
        ("cancelled", {}, False),
        ("submit_unknown", {"job": None}, False),
    ],
)
def test_what_is_due_is_what_this_run_may_have_to_post_for(film, status, changes, is_due):
    run, [clip] = film.accept(many(1))
    [item] = film.items(run)
    film.table.made[clip.render_id] = ended(Render.model_validate(item), status).model_copy(
        update=changes
    )

    run, [clip] = film.accept(many(1))

    assert (clip.is_due, clip.is_reused) == (is_due, False)
    assert run.due == is_due
    assert bool(run.estimated_cost_usd) == is_due
    assert run.items == 1


def test_a_job_that_ended_at_the_provider_is_due(film):
    run, [clip] = film.accept(many(1))
    [item] = film.items(run)
    render = ended(Render.model_validate(item), "failed")
    over = render.attempts[0].model_copy(update={"has_ended": True})
    film.table.made[clip.render_id] = render.model_copy(update={"attempts": (over,)})

    _, [clip] = film.accept(many(1))

    assert clip.is_due


def test_a_still_that_is_there_is_not_reckoned_again(film):
    from videoconductor import identity

    run, [clip] = film.accept(many(1))
    plan = Render.model_validate(film.items(run)[0]).plan
    assert clip.estimated_cost_usd == Decimal("0.51")
    film.table.known_stills.add((clip.clip_id, identity.still_fingerprint(plan)))

    run, [clip] = film.accept(many(1))

    assert clip.estimated_cost_usd == run.estimated_cost_usd == Decimal("0.49")
    [item] = film.items(run)
    assert item["plan"]["estimate"]["totalUsd"] == 0.49
    with pytest.raises(InvalidRequest, match=r"0\.49"):
        film.accept(many(1), max_cost_usd=Decimal("0.48"))


def test_a_run_that_no_cap_has_room_for_is_refused_before_anything_is_written(film):
    # Two clips of $0.51 each; what stands under a cap counts, spent or reserved.
    day, owner = Counter("day", "2026-11-22"), Counter("caller", f"2026-11#{CALLER}")
    for caps, tallies, scope, change in (
        (Caps(day=1), {}, "day", "budget set day USD"),
        (Caps(day=2), {day: Tally(5 * 10**9, 5 * 10**9)}, "day", "budget set day USD"),
        (Caps(day=None, month=1), {}, "month", "budget set month USD"),
        (Caps(day=None, films={"big": 1}), {}, "film", "budget set film USD --name big"),
        (Caps(day=None, caller=2), {owner: Tally(10**10)}, "caller", f"--name {CALLER}"),
        (Caps().stopped(NOW, "too much"), {}, "stop", "videoconductor budget resume"),
    ):
        film.table.money, film.table.tallies = caps, tallies
        with pytest.raises(OverBudget) as refused:
            film.accept(many(2))
        problem = views.problem(refused.value)
        assert (problem["status"], problem["budget"]["scope"]) == (402, scope)
        assert problem["budget"]["neededUsd"] == 1.02
        assert change in problem["budget"]["change"]
        assert problem["budget"]["change"] in problem["detail"]
        assert (film.bucket.objects, film.started, film.table.run_records) == ({}, [], {})
        assert ("Spending is stopped" in problem["title"]) == (scope == "stop")
        # Nobody is asked to agree to what is refused all the same.
        dear = replace(film.director, quote_above=Decimal(0))
        with pytest.raises(OverBudget):
            dear.accept(json.dumps(many(2)), FilmOrder(), CALLER)

    # What fits exactly is let through, and what a clip has reserved already is not counted twice.
    film.table.money, film.table.tallies = Caps(day=Decimal("1.02")), {}
    run, _ = film.accept(many(2))
    first, second = (Render.model_validate(item) for item in film.items(run))
    held = Attempt(
        number=1,
        permitted_at=NOW,
        lease_until=NOW,
        outcome="submitting",
        reserved_ticks=2 * 10**8,
    )
    framing = first.having(NOW, "framing", still_attempts=(held,))
    film.table.made = {one.render_id: one for one in (framing, second)}
    film.table.tallies = {day: Tally(2 * 10**8)}
    assert film.accept(many(2))[0].due == 2
    # What costs nothing is let through whatever the caps say.
    film.table.money = Caps(day=0, render=0).stopped(NOW, "enough")
    film.table.made = {one.render_id: ended(one, "rendering") for one in (first, second)}
    assert film.accept(many(2))[0].due == 0


def test_a_clip_that_is_dearer_than_a_render_may_be_or_has_no_price_is_refused_early(film, models):
    wanted = many(2)
    wanted["clips"][1]["duration"] = 10  # $0.83 beside $0.51
    film.table.money = Caps(day=None, render=Decimal("0.82"))
    with pytest.raises(OverBudget, match="budget set render USD") as refused:
        film.accept(wanted)
    budget = views.problem(refused.value)["budget"]
    assert (budget["scope"], budget["name"], budget["neededUsd"]) == ("render", "00001", 0.83)
    assert film.accept(wanted, only=("00000",))[0].due == 1
    film.table.money = Caps(day=None, render=Decimal("0.83"))
    run, _ = film.accept(wanted)

    # What a clip spent before counts towards its cap.
    dear = Render.model_validate(film.items(run)[1])
    lost = ended(dear, "failed", failure=Failure(error="NotAClip", message="m"))
    paid = lost.attempts[0].model_copy(update={"spent_ticks": 10**9, "has_ended": True})
    film.table.made = {dear.render_id: lost.model_copy(update={"attempts": (paid,)})}
    with pytest.raises(OverBudget) as refused:
        film.accept(wanted)
    budget = views.problem(refused.value)["budget"]
    assert (budget["spentUsd"], budget["neededUsd"], budget["leftUsd"]) == (0.1, 0.83, 0.73)

    # Without a price nothing can be reserved: under any cap it is refused, without one it is asked.
    rows = dict(models.models)
    name = dear.plan.model
    free = rows[name].prices.model_copy(update={"per_second": {}, "per_input_image": Decimal(0)})
    rows[name] = rows[name].model_copy(update={"prices": free})
    catalog = models.model_copy(update={"models": rows})
    film.table.made = {}
    film.director = replace(
        film.director, conductor=replace(film.director.conductor, models=catalog)
    )
    for caps in (Caps(), Caps(day=None, render=9), Caps(day=None, caller=9)):
        film.table.money = caps
        with pytest.raises(OverBudget) as refused:
            film.accept(wanted)
        problem = views.problem(refused.value)
        budget = problem["budget"]
        assert (budget["scope"], budget["name"]) == ("unpriced", f"{name} 480p")
        assert "No price is known" in problem["title"]
        assert "presets/models.json" in problem["budget"]["change"]
    film.table.money = Caps(day=None)
    with pytest.raises(QuoteRequired, match="leave those clips out"):
        film.accept(wanted)


def test_the_newest_clip_of_each_is_the_source_of_an_edit(film):
    clips = [{"id": "01", "duration": 6, "prompt": "one"}]
    run, _ = film.accept(script(clips))
    run_all(film, run, lambda n, render: finished(render))
    [draft] = film.table.entered.values()
    newer = draft.model_copy(
        update={
            "id": "01::preview",
            "quality_mode": "preview",
            "url": "s3://library/newer.mp4",
            "updated_at": NOW + timedelta(seconds=1),
        }
    )
    film.table.entered[newer.id] = newer

    run, _ = film.accept(script(clips), source_video_url="manifest")

    [item] = film.items(run)
    assert item["plan"]["sourceVideoUrl"] == newer.url
    assert item["remasterFromRequestId"] == newer.request_id


def test_what_may_not_be_under_way_is_said_so(film):
    def down(run):
        raise MachineUnavailable("Step Functions: ThrottlingException")

    object.__setattr__(film.director, "start", down)

    with pytest.raises(NotSetGoing, match="run0 of film big is on record"):
        film.accept(many(1))
    assert len(film.table.run_records) == 1


def test_ten_thousand_clips_are_taken_in_quickly_and_each_once(film):
    clips = [{"id": f"{n}", "status": "done", "url": "https://e.com/a"} for n in range(MANY)]
    text = json.dumps({"version": 3, "clips": clips})
    began = time.process_time()

    first = film.director.take_in("big", text)
    second = film.director.take_in("big", text)

    assert time.process_time() - began < SECONDS
    assert (len(first["imported"]), len(first["kept"])) == (MANY, 0)
    assert (second["imported"], len(second["kept"])) == ([], MANY)
