"""A thousand clips at once against a limit of requests per second, in virtual time.

Ours are the real verb Start with its permit, lines and records in a table in this process, each
call of which takes its time and lets others in between. The naive way is a Retry of Step Functions
with full jitter, as it is written for a 429. Both send to the simulator's own rate limit, and what
was refused is counted in its journal. An execution's time is that of its Waits and its calls.

Usage: python -m benchmarks.bursts [--clips 1000]
"""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.dynamodb import models as dynamodb_models

from benchmarks.rows import Row, verdict
from videoconductor import intake, planning, workflow
from videoconductor.clip import Render, RenderPlan
from videoconductor.errors import ManifestUnavailable, RateLimited, RecordChanged
from videoconductor.library import Library
from videoconductor.manifest import Manifest
from videoconductor.models import ModelCatalog
from videoconductor.quality import QualityModes
from videoconductor.slots import Limit
from videoconductor.turns import Turns
from xai_simulator.journal import Journal, stamp
from xai_simulator.ledger import Ledger
from xai_simulator.options import SimulatorOptions
from xai_simulator.replies import Refusal
from xai_simulator.simulator import Simulator

ROOT = Path(__file__).resolve().parents[1]
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEED = 7
CLIPS = 1000
FILM = 60
# Seconds that things take, lognormal: median, and what it is multiplied and divided by for a sigma.
CALL, INVOCATION, WIRE = (0.004, 1.5), (0.03, 1.6), (0.03, 1.5)
# Every so manieth invocation finds no warm function, and takes so long.
COLD_SHARE, COLD = 0.03, (0.8, 1.3)
# Step Functions, before a state is entered.
TRANSITION = (0.02, 1.4)
# What people write for a 429: IntervalSeconds 2, BackoffRate 2, MaxDelaySeconds 60, FULL.
INTERVAL, LONGEST = 2, 60
# From a Wait to the next: NeedsFirstFrame, Start, IsStarted, AwaitTurn.
ROUND = 4
KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


class Clockwork:
    """Threads of which one runs at a time, in the order of a clock that no work moves on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._asleep: list[tuple[float, int, threading.Lock]] = []
        self._numbers = count()
        self._left = 0
        self._is_over = threading.Lock()
        self._problems: list[BaseException] = []

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Let the others go on for so long."""
        self._wait(self._laid_down(self.seconds + seconds))

    def run(self, actors: Sequence[tuple[float, Callable[[], None]]]) -> None:
        """Run each from its second on, until all have come to their end."""
        threading.stack_size(512 * 1024)
        self._is_over.acquire()
        self._left = len(actors)
        for second, act in actors:
            mine = self._laid_down(second)
            threading.Thread(target=self._acting, args=(mine, act), daemon=True).start()
        self._hand_on()
        self._is_over.acquire()
        if self._problems:
            raise self._problems[0]

    def _laid_down(self, second: float) -> threading.Lock:
        mine = threading.Lock()
        mine.acquire()
        heapq.heappush(self._asleep, (second, next(self._numbers), mine))
        return mine

    def _wait(self, mine: threading.Lock) -> None:
        self._hand_on()
        mine.acquire()

    def _acting(self, mine: threading.Lock, act: Callable[[], None]) -> None:
        mine.acquire()
        try:
            act()
        except BaseException as problem:  # noqa: BLE001  (told to whoever waits for the end)
            self._problems.append(problem)
        self._left -= 1
        self._hand_on()

    def _hand_on(self) -> None:
        if self._left == 0:
            self._is_over.release()
        elif self._asleep:
            self.seconds, _, other = heapq.heappop(self._asleep)
            other.release()


@dataclass
class Street:
    """xAI's limit and its journal, the clock, and what chance makes things take."""

    per_second: float
    clock: Clockwork = field(default_factory=Clockwork)
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311
    journal: Journal = field(default_factory=Journal)
    came: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    waits: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        options = SimulatorOptions(requests_per_second=self.per_second)
        folder, ledger = Path(tempfile.gettempdir()), Ledger()
        session: Any = None  # no job is made
        told = (options, "http://localhost", folder, session, self.journal, ledger)
        self.simulator = Simulator(*told, clock=lambda: self.clock.seconds)

    def takes(self, what: tuple[float, float]) -> None:
        """Let pass what a thing takes."""
        median, sigma = what
        self.clock.sleep(median * sigma ** self.chance.gauss(0, 1))

    def post(self, name: str, model: str) -> None:
        """A POST for a clip. Raises RateLimited."""
        self.takes(WIRE)
        at = stamp(self.clock.now().timestamp())
        row = self.journal.open_request(time=at, method="POST", path="/v1/videos/generations")
        try:
            self.simulator.check_rate(model)
        except Refusal as refusal:
            self.journal.close_request(row, refusal.status)
            self.takes(WIRE)
            raise RateLimited(refusal.text) from None
        self.journal.close_request(row, 200)
        self.sent[name] = self.clock.seconds
        self.takes(WIRE)

    @property
    def refused(self) -> float:
        """Refused calls a clip."""
        return sum(row["status"] == 429 for row in self.journal.requests()) / len(self.sent)

    def end(self, film: str = "") -> float:
        """The second in which the last clip of a film was sent."""
        return max(second for name, second in self.sent.items() if name.startswith(film))


@dataclass(frozen=True)
class Film:
    """So many clips that are asked for from a second on, a thousandth of one apart."""

    name: str
    clips: int
    second: float = 0.0

    def names(self) -> list[tuple[float, str]]:
        return [
            (self.second + number / 1000, f"{self.name}-{number}") for number in range(self.clips)
        ]


# -- the naive way ---------------------------------------------------------------------------------


def naively(street: Street, films: Sequence[Film]) -> Street:
    """Each execution POSTs, and on a 429 its state is retried with full jitter."""

    def clip(name: str) -> None:
        for tries in count():
            street.takes(INVOCATION)
            try:
                street.post(name, "model")
            except RateLimited:
                ceiling = min(LONGEST, INTERVAL * 2 ** min(tries, 10))
                street.clock.sleep(street.chance.uniform(0, ceiling))
            else:
                return

    street.clock.run([(at, lambda name=name: clip(name)) for at, name in every(films)])
    return street


def every(films: Sequence[Film]) -> list[tuple[float, str]]:
    return sorted(row for film in films for row in film.names())


# -- ours ------------------------------------------------------------------------------------------


class Sending:
    """The provider: a POST to the simulator's limit."""

    def __init__(self, street: Street) -> None:
        self._street = street

    def start(self, plan: RenderPlan, _frame: Any, trace: str, _upload: Any = None) -> Any:
        name = trace.rpartition("-")[0]
        self._street.post(name, plan.model)
        return {"requestId": f"job-of-{name}"}


class Near:
    """A client of which each call takes its time, there and back."""

    def __init__(self, client: Any, street: Street) -> None:
        self._client, self._street = client, street
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def called(**request: Any) -> Any:
            self._street.takes(CALL)
            try:
                return call(**request)
            finally:
                self._street.takes(CALL)

        return called


@contextmanager
def table() -> Iterator[Any]:
    """A DynamoDB table in this process, without the indexes that nobody reads here."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    # moto copies the whole table before each transaction, to undo what none of ours leaves undone:
    # nothing here has a cap, so no condition of a permit fails.
    copying = patch.object(dynamodb_models, "copy", SimpleNamespace(deepcopy=lambda same: same))
    with mock_aws(), copying:
        client: Any = boto3.client("dynamodb", "us-east-1", **keys)
        names = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        client.create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=names,
            KeySchema=KEYS,
        )
        yield client


def ours(street: Street, films: Sequence[Film], told: float | None = None) -> Street:
    """Each execution goes through Start as it is, and waits where it says so.

    `told` is the limit that we hold to, the true one if it is not given.
    """
    limit = Limit(told or street.per_second)
    with table() as client:
        near = Near(client, street)
        manifest = Manifest("table", near, street.clock.now, street.clock.sleep)
        turns = Turns(
            "table", near, lambda _: limit, street.clock.now, street.clock.sleep, street.chance
        )
        plain, draft = Manifest("table", client, street.clock.now), drafted()
        for _, name in every(films):
            film = name.rpartition("-")[0]
            changes = {"render_id": name, "clip_id": name, "pipeline_request_id": film}
            plain.create(draft.model_copy(update=changes))
        library = Library("library", near, "generated/videos", 2**31)

        def start(document: Render) -> Render:
            street.takes(COLD if street.chance.random() < COLD_SHARE else INVOCATION)
            street.came.setdefault(document.render_id, street.clock.seconds)
            return workflow.start(
                document,
                manifest,
                library,
                Sending(street),  # type: ignore[arg-type]
                lambda _: True,
                lambda _: None,
                turns,
                workflow.Pace(),
                street.clock.now,
                street.chance,
            )

        def clip(name: str) -> None:
            document = plain.read(name)
            while document.status == "planned":
                street.takes(TRANSITION)
                document = retried(start, document, street)
                if document.status == "planned":
                    street.waits[name] += 1
                    street.clock.sleep(document.wait_seconds)
            assert document.status == "rendering"

        street.clock.run([(at, lambda name=name: clip(name)) for at, name in every(films)])
    return street


def retried(start: Callable[[Render], Render], document: Render, street: Street) -> Render:
    """Start under its Retry: the errors that are raised where no POST comes after."""
    for tries in range(4):
        try:
            return start(document)
        except (RecordChanged, ManifestUnavailable):
            street.clock.sleep(street.chance.uniform(0, 2 * 2**tries))
    return start(document)


def drafted() -> Render:
    """A render as a door puts it on record."""
    presets = ROOT / "presets"
    modes = QualityModes.from_json((presets / "video-presets.json").read_text("utf-8"))
    models = ModelCatalog.from_json((presets / "models.json").read_text("utf-8"))
    request = intake.clip_request(json.dumps({"prompt": "a lamp in the rain", "duration": 1}))
    return Render(
        render_id="draft",
        clip_id="draft",
        pipeline_request_id="film",
        plan=planning.plan(request, modes, models),
        caller="arn:aws:iam::1:user/tester",
        request_sha256="0" * 64,
        created_at=BEGAN,
    )


# -- figures ---------------------------------------------------------------------------------------


def burst_rows(clips: int, per_second: float) -> list[Row]:
    """One film of so many clips, all at once, by Retry and by slot."""
    films, ideal = [Film("film", clips)], (clips - 1) / per_second
    plain, mine = naively(Street(per_second), films), ours(Street(per_second), films)
    what = f"burst of {clips:,} clips at {per_second:g}/s"
    longest = max(mine.sent[name] - came for name, came in mine.came.items())
    waits = sum(mine.waits.values()) / clips
    spans = plain.end() / ideal, mine.end() / ideal
    worst = longest / ideal  # first come, first served, the last one waits for all the others
    assert len(mine.sent) == clips
    return [
        Row(
            f"{what}: refused",
            "calls a clip",
            plain.refused,
            mine.refused,
            "at most 0.3",
            mine.refused <= 0.3,
        ),
        Row(f"{what}: makespan", "x ideal", *spans, "at most 1.15", spans[1] <= 1.15),
        Row(
            f"{what}: longest wait",
            "x the longest, first come first served",
            None,
            worst,
            "at most 1.15",
            worst <= 1.15,
        ),
        Row(
            f"{what}: state transitions for waiting",
            "a clip",
            None,
            waits * ROUND,
            "at most 8",
            waits * ROUND <= 8,
        ),
    ]


def fairness_rows(clips: int, per_second: float) -> list[Row]:
    """Two films together, and a small one behind a large one."""
    both = [Film("left", clips), Film("right", clips)]
    together = ours(Street(per_second), both)
    apart = abs(together.end("left") - together.end("right")) / together.end()
    small = Film("small", 10, 20)
    mixed = ours(Street(per_second), [Film("large", 2 * clips), small])
    plain = naively(Street(per_second), [Film("large", 2 * clips), small])
    was, took = (
        (each.end("small") - small.second) / (small.clips / per_second) for each in (plain, mixed)
    )
    at = f"at {per_second:g}/s"
    return [
        Row(
            f"two films of {clips} {at}: one ends before the other",
            "of the makespan",
            None,
            apart,
            "at most 0.05",
            apart <= 0.05,
        ),
        Row(
            f"a film of 10, 20 s behind one of {2 * clips} {at}",
            "x its time alone",
            was,
            took,
            "at most 3",
            took <= 3,
        ),
    ]


def strain_rows(clips: int) -> list[Row]:
    """We hold to 10/s, and xAI takes 5: what others use of the key, or a table that was wrong."""
    street = ours(Street(5), [Film("film", clips)], told=10)
    span = street.end() / ((clips - 1) / 5)
    what = f"{clips} clips, told 10/s where it is 5/s"
    good = street.refused <= 0.3
    return [
        Row(f"{what}: refused", "calls a clip", None, street.refused, "at most 0.3", good),
        Row(f"{what}: makespan", "x ideal", None, span, "at most 2", span <= 2),
    ]


def rows(clips: int = CLIPS) -> list[Row]:
    """Every figure; a minute or two of CPU."""
    logging.disable(logging.WARNING)
    try:
        found = [*burst_rows(clips, 1), *burst_rows(clips, 10)]
        return [*found, *fairness_rows(FILM, 1), *strain_rows(2 * FILM)]
    finally:
        logging.disable(logging.NOTSET)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS)
    chosen = parser.parse_args()
    return verdict(rows(chosen.clips))


if __name__ == "__main__":
    raise SystemExit(main())
