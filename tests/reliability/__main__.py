"""`make reliability`: the fault matrix and the kill drills, on the local stack.

make reliability               the short run; writes docs/reliability-matrix.md
make reliability FULL=1        every case
make reliability CASE=start    cases whose name holds that, and nothing else
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability import (
    blackouts,
    controlled,
    doctored,
    doors,
    endings,
    matrix,
    plans,
    scenarios,
    spread,
    strangers,
    substrate,
    table,
)
from tests.reliability.matrix import Result, Tell
from tests.reliability.plans import Calls, Case
from tests.reliability.stage import Stage

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability-matrix.md"
FEWEST = {False: 240, True: 700}  # distinct cases, or the run has proved too little
WITNESS = {"Witness": "True"}


def main() -> int:
    given = arguments()
    folder = Path(tempfile.mkdtemp(prefix="drills-"))
    try:
        return run(given, folder)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


def run(given: argparse.Namespace, folder: Path) -> int:
    tell = clock()
    checks: list[substrate.Check] = []
    plain = on_a_stack(given, folder / "plain", tell, checks)
    lit = on_a_stack(given, folder / "witness", tell, witness=True) if given.witness else Part()
    plain.troubled(lambda: plain.take(without_waits(given, folder / "waitless", tell)))
    if given.list:
        return named(plain, lit)
    if not any((plain.results, plain.dark, lit.results, lit.dark)):
        print("no case of that name", file=sys.stderr)
        return 2
    held: list[controlled.Control] = []
    came: list[strangers.Strangers] = []
    if not given.case:
        plain.troubled(lambda: came.append(strangers.receive(folder / "strangers")))
        tell("strangers were received")
        plain.troubled(lambda: held.extend(controlled.controls(folder, tell)))
    report = table.Report(
        command=f"make reliability{' FULL=1' if given.full else ''}",
        without=tuple(plain.results),
        witnessed=tuple(lit.results),
        blackouts=(*plain.dark, *lit.dark),
        controls=tuple(held),
        checks=tuple(checks),
        doors=tuple(plain.asked),
        examined=next(iter(plain.examined), None),
        entered=endings.entered(plain.entered | lit.entered),
        strangers=next(iter(came), None),
    )
    if not given.case:
        DOCUMENT.write_text(table.text(report), encoding="utf-8")
    problems = wrong(given, report) + plain.strange + lit.strange
    print("\n".join([*table.totals(report), "", *problems]))
    tell(f"{len(report.all)} cases; {len(problems)} problems")
    return bool(problems)


def named(plain: Part, lit: Part) -> int:
    """Name the cases and count them."""
    print("\n".join([*plain.named, *(f"{name}, with a witness" for name in lit.named)]))
    print(f"{len(plain.named)} cases without a witness, {len(lit.named)} with one")
    return 0


@dataclass
class Part:
    """What came of one stack; `strange` is what nobody has thought of, `named` the cases of a run
    that only names them.
    """

    results: list[Result] = field(default_factory=list)
    dark: list[Result] = field(default_factory=list)
    asked: list[doors.Asked] = field(default_factory=list)
    examined: list[doctored.Examined] = field(default_factory=list)
    entered: set[tuple[str, str]] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)

    def take(self, other: Part) -> None:
        """Add what came of another stack."""
        self.results += other.results
        self.strange += other.strange
        self.named += other.named
        self.entered |= other.entered

    def troubled(self, step: Callable[[], None]) -> None:
        """Do a step; if it breaks the run has failed, and its other steps are done all the same."""
        try:
            step()
        except Exception as problem:  # noqa: BLE001
            self.strange.append(f"{type(problem).__name__}: {problem}")


def on_a_stack(
    given: argparse.Namespace,
    folder: Path,
    tell: Tell,
    checks: list[substrate.Check] | None = None,
    *,
    witness: bool = False,
) -> Part:
    """The matrix, then the blackouts, on one stack."""
    stage = Stage(folder, parameters=WITNESS if witness else {})
    try:
        stage.up()
        tell(f"a stack {'with' if witness else 'without'} a witness")
        if checks is not None and not given.list:
            checks += substrate.check(stage)
            tell("the substrate is sound")
        calls = matrix.recorded(stage, given.case, witness=witness)
        cases, dark = chosen(given, calls, witness=witness)
        if given.list:
            return Part(named=[case.name for case in (*cases, *dark)])
        tell(f"{len(cases)} cases, and {len(dark)} in the dark")
        results = matrix.run(stage, slowest_first(cases), progress(tell, len(cases)))
        part = Part(results)
        part.troubled(lambda: part.strange.extend(endings.strange(stage)))
        part.troubled(lambda: part.entered.update(endings.paths(stage)))
        if not given.case and not witness:
            part.troubled(lambda: part.asked.extend(doors.ask(stage)))
            part.troubled(lambda: part.examined.append(doctored.examine(stage, results)))
        part.troubled(lambda: part.dark.extend(blackouts.run(stage, dark, tell)))
        return part
    finally:
        stage.down()


def without_waits(given: argparse.Namespace, folder: Path, tell: Tell) -> Part:
    """Cases in which all tries of a state fail, on a stack that does not wait between them."""
    cases = plans.chosen(endings.unrecorded(), given.case)
    if given.list or not cases:
        return Part(named=[case.name for case in cases])
    stage = Stage(folder, wait_scale=0)
    try:
        stage.up()
        part = Part(endings.run_unrecorded(stage, cases, lambda _: None))
        part.strange.extend(endings.strange(stage))
        part.entered.update(endings.paths(stage))
        tell("all tries of a state have failed")
        return part
    finally:
        stage.down()


def chosen(
    given: argparse.Namespace, calls: dict[str, Calls], *, witness: bool
) -> tuple[list[Case], list[Case]]:
    """The cases of the run, and the blackouts; with `--case` of all that there are."""
    cases = spread.everything(calls, witness=witness)
    if given.case:
        dark = blackouts.cases(calls, witness=witness)
        return plans.chosen(cases, given.case), plans.chosen(dark, given.case)
    return (
        spread.spread(cases, full=given.full, witness=witness),
        spread.dark(calls, full=given.full, witness=witness),
    )


def slowest_first(cases: list[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: not is_slow(case))


def is_slow(case: Case) -> bool:
    """Whether a case waits for a time limit, or for many retries."""
    is_for_good = case.times == 0 and case.fault != "xai"
    return case.marker in scenarios.SLOW or case.fault == "hang" or is_for_good


def wrong(given: argparse.Namespace, report: table.Report) -> list[str]:
    """What must not be, each with the command that shows it alone."""
    found = matrix.described(report.all)
    problems = [found] if found else []
    if given.case:
        return problems
    distinct = len({(one.case.name, one in report.witnessed) for one in report.all})
    if distinct < FEWEST[given.full]:
        problems.append(f"{distinct} cases are too few to prove anything")
    drilled = {one.case.point.function for one in report.without if one.fired}
    problems += [f"no case struck the state {name}" for name in plans.STATES - drilled]
    problems += [
        f"the control {c.name} paid nothing twice" for c in report.controls if not c.charged_twice
    ]
    problems += [
        f"{what}: {answers}" for what, _, answers in report.asked if answers.startswith("WRONG")
    ]
    problems += [f"no execution entered {name}" for name in table.never_entered(report)]
    return problems + ["; ".join(table.of_strangers(report)) for _ in [0] if let_through(report)]


def let_through(report: table.Report) -> bool:
    """Whether strangers got anything, or were not received at all."""
    found = report.strangers
    return found is None or any((found.faults, found.written, found.started, found.let_in))


def clock() -> Tell:
    began = time.monotonic()

    def tell(words: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"{minutes:3d}:{seconds:02d}  {words}", flush=True)

    return tell


def progress(tell: Tell, total: int) -> Callable[[str], None]:
    """Tells of every twenty-fifth."""
    done: list[str] = []

    def one_more(name: str) -> None:
        done.append(name)
        if len(done) % 25 == 0:
            tell(f"{len(done)} of {total}")

    return one_more


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make reliability")
    parser.add_argument("--full", action="store_true", help="every case")
    parser.add_argument("--case", help="only cases whose name holds this")
    parser.add_argument("--list", action="store_true", help="name and count the cases")
    parser.add_argument("--keep", action="store_true", help="keep the stack's folder")
    parser.add_argument("--no-witness", dest="witness", action="store_false")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
