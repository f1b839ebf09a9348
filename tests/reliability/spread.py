"""Which of all cases a run has: by what hangs on each, then by its name; always the same ones."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable

from tests.reliability import blackouts, plans, scenarios
from tests.reliability.plans import STATES, Calls, Case, Point

HINDRANCES = frozenset({"throttle", "lose", "refuse"})
STALLED = frozenset({"stalled"})  # at its deadline, after minutes
# Where a witness makes a difference: what it is told of, and whatever comes of a POST.
OF_WITNESS = "on_delivery"


def everything(calls: dict[str, Calls], *, witness: bool) -> list[Case]:
    """Every case on a stack, but for the blackouts."""
    found = plans.cases(calls, witness=witness) + scenarios.cases(witness=witness)
    found += plans.hangs(calls, witness=witness)
    return found if witness else found + plans.lasting()


def spread(all_cases: Iterable[Case], *, full: bool, witness: bool) -> list[Case]:
    """The cases of a run."""
    all_cases = list(all_cases)
    wanted = (full_with if full else short_with) if witness else (full_run if full else short_run)
    names = wanted(all_cases)
    return [case for case in all_cases if case.name in names]


def dark(calls: dict[str, Calls], *, full: bool, witness: bool) -> list[Case]:
    """The blackouts of a run: one of each thing that a render does, and in the full run some more
    and those with a witness too.
    """
    if witness and not full:
        return []
    return [
        case
        for case in blackouts.cases(calls, witness=witness)
        if blackouts.is_chosen(case) or (full and not witness and share(case) < 1 / 6)
    ]


# ── The short run ───────────────────────────────────────────────────────────────────────────────
def short_run(cases: list[Case]) -> set[str]:
    """At each place one death or, in a state, one death and one hindrance; around a POST all."""
    first = [case for case in cases if is_first(case)]
    others = [case for case in first if not is_around(case)]
    names = {case.name for case in first if is_around(case) and case.fault != "refuse"}
    names |= one_at_each(others, lambda case: is_death(case) and case.point.function in STATES)
    names |= one_at_each(others, lambda case: is_hindered(case) and case.point.function in STATES)
    names |= one_at_each(others, lambda case: case.point.function not in STATES and is_usual(case))
    return names | {case.name for case in cases if is_quick(case)}


def short_with(cases: list[Case]) -> set[str]:
    """What a witness changes."""
    names = {case.name for case in cases if is_of_witness(case) and is_quick(case)}
    names |= {case.name for case in cases if is_first(case) and is_around(case) and is_lossy(case)}
    told = [case for case in cases if case.point.function == OF_WITNESS]
    return names | one_at_each(told, is_death) | one_at_each(told, is_hindered)


# ── The full run ────────────────────────────────────────────────────────────────────────────────
def full_run(cases: list[Case]) -> set[str]:
    """What the short run has, and at each place every death that differs and every hindrance that
    tells; of the rest, of other kinds of runs and of kills beside what xAI does a share.
    """
    names = short_run(cases) | {case.name for case in cases if is_first(case) and is_usual(case)}
    names |= {case.name for case in cases if not is_placed(case) and case.fault != "kill"}
    return names | {case.name for case in cases if share(case) < 1 / 4}


def full_with(cases: list[Case]) -> set[str]:
    """All around a POST and at what comes of one, one death at any other place of a state."""
    names = short_with(cases) | {
        case.name for case in cases if case.fault == "xai" and is_of_witness(case)
    }
    told = [case for case in cases if case.point.function == OF_WITNESS or is_around(case)]
    names |= {case.name for case in told if is_first(case) and case.fault != "hang"}
    states = [case for case in cases if is_first(case) and case.point.function in STATES]
    return names | one_at_each(states, is_death)


# ── What is what ────────────────────────────────────────────────────────────────────────────────
def share(case: Case) -> float:
    """Where its name puts a case, from 0 to 1."""
    return int(hashlib.sha256(case.name.encode()).hexdigest()[:8], 16) / 0x100000000


def one_at_each(cases: Iterable[Case], wanted: Callable[[Case], bool]) -> set[str]:
    """The names of one at each place, of those that are wanted."""
    found: dict[Point, list[Case]] = defaultdict(list)
    for case in filter(wanted, cases):
        found[case.point].append(case)
    return {min(those, key=share).name for those in found.values()}


def is_placed(case: Case) -> bool:
    """Whether it is one of the calls' own: not of what xAI does, nor of what lasts."""
    return not case.marker and case.times != 0 and case.fault != "hang"


def is_first(case: Case) -> bool:
    return is_placed(case) and not case.is_again


def is_around(case: Case) -> bool:
    return is_placed(case) and case.is_at_post


def is_death(case: Case) -> bool:
    return case.fault == "kill"


def is_lossy(case: Case) -> bool:
    return case.fault in {"kill", "lose"}


def is_hindered(case: Case) -> bool:
    """Turned away or its answer lost, where that tells; or the whole handler turned away."""
    return case.fault in {"throttle", "lose"} and (
        case.point.is_telling or case.point.service == "handler"
    )


def is_usual(case: Case) -> bool:
    """At a door a death before a call is the same as one after the last; so it is left out."""
    if not is_death(case):
        return is_hindered(case)
    if case.point.service == "handler" or case.point.function in STATES:
        return True
    return case.moment == "during" or (case.moment == "after" and case.point.is_telling)


def is_quick(case: Case) -> bool:
    """What xAI does, what hangs and what lasts, but for what takes minutes."""
    if is_placed(case) or (case.marker and case.fault != "xai"):
        return False
    return case.marker not in scenarios.SLOW and case.expected != STALLED


def is_of_witness(case: Case) -> bool:
    """Whether a witness changes in what something that xAI does ends."""
    if case.fault != "xai":
        return False
    ends = [scenarios.ends(case.marker, witness=witness) for witness in (False, True)]
    return ends[0] != ends[1] or case.marker in scenarios.OF_WITNESSES
