"""The whole stack is killed, with renders in the middle of what they do, and comes up again."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.reliability import matrix
from tests.reliability.judging import Entries
from tests.reliability.kinds import KINDS
from tests.reliability.matrix import Result, Tell
from tests.reliability.plans import STATES, Calls, Case, expectation, places
from tests.reliability.stage import PATIENCE, Stage

AT_A_TIME = 6  # fewer than functions run at a time: each holds one until the end
# Places of the short run: one of each thing that a render does.
CHOSEN = (
    "submit.dynamodb.PutItem:blackout-after",
    "start.dynamodb.TransactWriteItems:blackout-after",
    "start.xai.POST-videos:blackout-during",
    "start.dynamodb.PutItem:blackout-after",
    "poll.xai.GET-videos:blackout-during",
    "finalize.s3.PutObject:blackout-after",
    "finalize.dynamodb.PutItem:blackout-after",
    "finalize.eventbridge.PutEvents:blackout-before",
    "first_frame.xai.POST-images:blackout-during",
    "first_frame.s3.PutObject:blackout-after",
    "take_up.dynamodb.PutItem:blackout-after",
    "conclude.dynamodb.PutItem:blackout-after",
)


def cases(recorded: dict[str, Calls], *, witness: bool) -> list[Case]:
    """Places of which each is held while everything is killed."""
    return [
        replace(case, expected=expectation(case, recorded[case.kind.name], witness=witness))
        for case in everywhere(recorded)
    ]


def is_chosen(case: Case) -> bool:
    """Whether it is one of those that every run has."""
    return case.name.partition(":")[2] in CHOSEN


def everywhere(recorded: dict[str, Calls]) -> Iterator[Case]:
    seen = set()
    for kind in KINDS:
        for point in places(recorded.get(kind.name, {})):
            is_drilled = point.function in STATES | {"submit"} and not kind.functions
            if point in seen or point.service == "handler" or not is_drilled:
                continue
            seen.add(point)
            is_told = point.service in {"xai", "eventbridge"}
            for moment in ("before", "during", "after") if is_told else ("after",):
                yield Case(kind, point, "blackout", moment)


def run(stage: Stage, wanted: Iterable[Case], tell: Tell) -> list[Result]:
    """Some at a time: everything is killed as soon as each is where it is to be. Those that did not
    get there get there once more.
    """
    results = list(in_waves(stage, wanted, tell))
    return matrix.merged(results, in_waves(stage, matrix.once_more(results), tell))


def in_waves(stage: Stage, wanted: Iterable[Case], tell: Tell) -> Iterator[Result]:
    rest = iter(wanted)
    while wave := list(itertools.islice(rest, AT_A_TIME)):
        yield from blacked_out(stage, wave, tell)


def blacked_out(stage: Stage, wave: list[Case], tell: Tell) -> list[Result]:
    seeds: dict[str, Entries] = {}
    troubles: dict[str, str] = {}

    def play() -> None:
        troubles.update(matrix.played(stage, wave, tell, seeds))

    playing = threading.Thread(target=play)
    playing.start()
    end = time.monotonic() + PATIENCE / 2
    while not all(stage.fired(case.token) for case in wave) and time.monotonic() < end:
        time.sleep(0.2)
    stage.listen()
    stage.kill()
    stage.connect(stage.stack.up())
    playing.join()
    for _ in range(2):
        stage.sweep()
        matrix.settled(stage)
    return matrix.judged(stage, wave, seeds, troubles)
