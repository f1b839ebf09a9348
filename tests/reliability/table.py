"""docs/reliability-matrix.md, from the results of a run. No times, no names of machines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.reliability.controlled import Control
from tests.reliability.doctored import Examined
from tests.reliability.doors import Asked
from tests.reliability.endings import ALL_TRIES, Entered
from tests.reliability.kinds import KINDS
from tests.reliability.matrix import Result
from tests.reliability.plans import STATES, Point
from tests.reliability.strangers import Strangers
from tests.reliability.substrate import Check
from xai_simulator.scenarios import SCENARIOS

HEAD = """# The fault matrix

Written by `{command}` from what it found; not to be edited. What each thing ends in by right is in
[reliability.md](reliability.md), and [how the drills work](reliability.md#the-drills) too.

Every case is a run through the local stack, with real processes, in which one thing goes wrong at
one place. Then the simulator's journal, the table, the bucket, the bus and the list of executions
are looked at, and whatever must not be makes the command fail.
"""
FAULTS = {
    "kill-before": "killed before",
    "kill-during": "killed during",
    "kill-after": "killed after",
    "throttle": "turned away",
    "refuse": "no connection",
    "lose": "answer lost",
    "hang": "hangs",
    "for-good": "fails for good",
    "all-tries": "all tries fail",
}


@dataclass(frozen=True)
class Report:
    """All that a run found."""

    command: str
    without: tuple[Result, ...]
    witnessed: tuple[Result, ...]
    blackouts: tuple[Result, ...]
    controls: tuple[Control, ...]
    checks: tuple[Check, ...]
    doors: tuple[Asked, ...] = ()
    examined: Examined | None = None
    entered: Entered | None = None
    strangers: Strangers | None = None

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What was asked at the doors, by callers and by strangers."""
        return self.doors + (self.strangers.rows if self.strangers else ())

    @property
    def all(self) -> tuple[Result, ...]:
        return (*self.without, *self.witnessed, *self.blackouts)


def text(report: Report) -> str:
    """The document."""
    parts = [
        HEAD.format(command=report.command),
        "\n".join(totals(report)),
        "\n".join(controls(report)),
        "\n".join(places(report)),
        "\n".join(blackouts(report)),
        "\n".join(scenarios(report)),
        "\n".join(doors(report)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def totals(report: Report) -> Iterator[str]:
    yield "## Numbers\n"
    yield "| | without a witness | with a witness | the whole stack killed |"
    yield "|---|---|---|---|"
    columns = (report.without, report.witnessed, report.blackouts)
    for words, of in (
        ("cases", len),
        ("kills among them", lambda those: sum(is_kill(one) for one in those)),
        ("cases in which the fault never struck", lambda those: sum(not r.fired for r in those)),
        (
            "tried once more, as it had not struck",
            lambda those: sum(r.case.take > 1 for r in those),
        ),
        ("jobs started by xAI", lambda those: sum(r.verdict.jobs for r in those)),
        ("jobs beyond one for each attempt", lambda those: sum(r.verdict.extra for r in those)),
        ("paid jobs lost", lambda those: sum(r.verdict.lost for r in those)),
        ("paid jobs recovered by a witness", lambda those: sum(r.verdict.recovered for r in those)),
        ("paid jobs held as unknown", lambda those: sum(r.verdict.held for r in those)),
        ("manifest entries lost or made worse", lambda those: sum(r.verdict.worse for r in those)),
        (
            "cases that ended as they must not",
            lambda those: sum(bool(r.verdict.wrong) for r in those),
        ),
    ):
        yield f"| {words} | " + " | ".join(str(of(those)) for those in columns) + " |"
    if report.examined is not None:
        found = report.examined
        yield "\nOf the renders whose paid jobs are held without a witness, `videoconductor doctor`"
        yield f"lists {found.listed} and misses {len(found.unlisted)}."
    if report.entered is not None:
        states, never = report.entered.states, len(report.entered.never)
        yield f"\nOf the {states} states of both machines, {states - never} were entered."
        yield "Those inside of the film's Map are not counted: the emulator has no history of them."
    if report.strangers is not None:
        yield "\n| at the doors | |"
        yield "|---|---|"
        yield from of_strangers(report)


def of_strangers(report: Report) -> Iterator[str]:
    """What bad input and strangers came to, in numbers."""
    found = report.strangers
    if found is None:
        yield "nobody came to the doors"
        return
    yield f"| bad inputs | {found.bad} |"
    yield f"| answers of 5xx to them | {found.faults} |"
    yield f"| rows written by them | {found.written} |"
    yield f"| jobs started by them | {found.started} |"
    yield f"| requests without good credentials at closed routes | {found.refused} |"
    yield f"| answers to those other than 401 and 403 | {found.let_in} |"


def never_entered(report: Report) -> tuple[str, ...]:
    return report.entered.never if report.entered else ("any state",)


def is_wrong(one: Result) -> bool:
    return bool(one.verdict.wrong)


def is_kill(one: Result) -> bool:
    return one.case.fault in {"kill", "hang", "blackout"}


def controls(report: Report) -> Iterator[str]:
    if not report.controls and not report.checks:
        return
    yield "## Does it bite?\n"
    yield "The same faults in Start, with a submit that is written otherwise:\n"
    yield "| submit | cases | in which xAI started jobs twice |"
    yield "|---|---|---|"
    for control in report.controls:
        yield f"| {control.name} | {control.cases} | {control.charged_twice} |"
    ours = [
        r for r in report.without if r.case.point.function == "start" and r.case.kind.name == "text"
    ]
    yield f"| single-use permit | {len(ours)} | {sum(r.verdict.extra > 0 for r in ours)} |"
    yield "\nThe emulator itself, before anything else:\n"
    yield "| what must hold | rounds | in which it did not |"
    yield "|---|---|---|"
    for check in report.checks:
        yield f"| {check.what} | {check.rounds} | {check.violations} |"


def places(report: Report) -> Iterator[str]:
    """For each function a table of its calls and of what each fault there ended in."""
    yield "## At each call\n"
    yield "In what the runs ended, without a witness, and how many if there were several."
    drilled = [r for r in report.without if r.case.fault != "xai" and not r.case.marker]
    yield f'"All tries fail" is {ALL_TRIES} of them, the waits between them left out: the execution'
    yield "ends in `Unrecorded`, and the sweep gives the render or the run another."
    by_function: dict[str, dict[Point, dict[str, list[Result]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for one in drilled:
        by_function[one.case.point.function][one.case.point][how(one)].append(one)
    states = [name for name in by_function if name in STATES]
    for function in [*states, *(name for name in by_function if name not in STATES)]:
        calls = by_function[function]
        columns = [name for name in FAULTS if any(name in faults for faults in calls.values())]
        kind = "State" if function in STATES else "Function"
        yield f"\n### {kind} `{function}`\n"
        yield "| call | " + " | ".join(FAULTS[name] for name in columns) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for point, faults in calls.items():
            cells = (ended(faults.get(name, ())) for name in columns)
            yield f"| {point.call} | " + " | ".join(cells) + " |"
    beside = [r for r in report.witnessed if r.case.fault != "xai" and not r.case.marker]
    yield "\n### With a witness\n"
    yield "What ended otherwise than without one:\n"
    yield "| state | call | fault | ended in |"
    yield "|---|---|---|---|"
    before = {r.case.name: r.verdict.outcome for r in report.without}
    for one in beside:
        if before.get(one.case.name, one.verdict.outcome) != one.verdict.outcome:
            case = one.case
            words = FAULTS.get(how(one), how(one))
            yield f"| {case.point.function} | {case.point.call} | {words} | {ended([one])} |"


def how(one: Result) -> str:
    case = one.case
    if case.times == 0:
        return "for-good"
    if case.times == ALL_TRIES:
        return "all-tries"
    return f"kill-{case.moment}" if case.fault == "kill" else case.fault


def ended(those: Iterable[Result]) -> str:
    """What came of some runs."""
    outcomes = Counter(one.verdict.outcome for one in those)
    if len(outcomes) == 1 and next(iter(outcomes.values())) == 1:
        return next(iter(outcomes))
    return ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))


def blackouts(report: Report) -> Iterator[str]:
    if not report.blackouts:
        return
    yield "## The whole stack killed\n"
    yield "`kill -9` of the emulator, xAI's simulator and all functions; `local up`, a sweep.\n"
    yield "| function | held at | ended in |"
    yield "|---|---|---|"
    for one in report.blackouts:
        case = one.case
        yield f"| {case.point.function} | {case.moment} {case.point.call} | {ended([one])} |"


def scenarios(report: Report) -> Iterator[str]:
    yield "## What xAI does\n"
    yield "Each by itself and, in the full run, with kills beside it.\n"
    yield "| scenario | what it is | runs | without a witness | with a witness |"
    yield "|---|---|---|---|---|"
    plain, witnessed = (grouped(those) for those in (report.without, report.witnessed))
    for name, row in SCENARIOS.items():
        those, others = plain.get(name, []), witnessed.get(name, [])
        if those or others:
            runs = len(those) + len(others)
            cells = f"{ended(those) or '-'} | {ended(others) or '-'}"
            yield f"| `{name}` | {row.does} | {runs} | {cells} |".replace("`{}`", "an empty object")


def grouped(results: Iterable[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        if one.case.marker:
            found[one.case.marker].append(one)
    return found


def doors(report: Report) -> Iterator[str]:
    if not report.asked:
        return
    yield "## At the doors\n"
    yield "Signed, but for the last rows, which are every route of the API: `AUTH=true`.\n"
    yield "| what | times | answers |"
    yield "|---|---|---|"
    for what, times, answers in report.asked:
        yield f"| {what} | {times} | {answers} |"


def kinds() -> str:
    """The kinds of runs, for the chapter on drills."""
    return "\n".join(f"| {kind.name} | {kind.what} | {kind.ends_in} |" for kind in KINDS)
