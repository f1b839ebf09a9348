"""What `make reliability` means to break, made of what a run was seen to call; and its table."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.reliability import endings, matrix, plans, scenarios, spread, table
from tests.reliability.controlled import Control
from tests.reliability.judging import Verdict
from tests.reliability.kinds import KINDS
from tests.reliability.matrix import Result
from tests.reliability.plans import Case, Point
from tests.reliability.strangers import Strangers
from tests.reliability.substrate import Check
from xai_simulator.scenarios import SCENARIOS

TEXT = KINDS[0]
START = [
    Point("start", "handler"),
    Point("start", "dynamodb", "GetItem"),
    Point("start", "dynamodb", "TransactWriteItems"),
    Point("start", "secrets-manager", "GetSecretValue"),
    Point("start", "xai", "POST videos"),
    Point("start", "dynamodb", "GetItem", 2),
    Point("start", "dynamodb", "PutItem"),
]
CALLS = {"text": {"start": [START]}}
FINALIZE = [Point("finalize", "handler"), Point("finalize", "download", "GET")]
FINALIZE += [Point("finalize", "dynamodb", "PutItem", number) for number in (1, 2, 3)]
MANY = {
    "text": {"start": [START], "finalize": [FINALIZE]},
    "still": {"start": [START], "finalize": [FINALIZE]},
    "inbox": {"on_upload": [[Point("on_upload", "s3", "GetObject")]]},
}
UNKNOWN, FINE = frozenset({"submit_unknown"}), frozenset({"finalized"})


def ends(witness=False):
    found = plans.cases(CALLS, witness=witness)
    return {case.name.removeprefix("text:start"): case.expected for case in found}


def test_a_death_between_the_permit_and_the_record_of_the_job_is_unknown_and_no_other():
    kills = {name: end for name, end in ends().items() if ".kill" in name or ":kill" in name}
    assert [name for name, end in kills.items() if end == UNKNOWN] == [
        ".dynamodb.TransactWriteItems:kill-during",
        ".dynamodb.TransactWriteItems:kill-after",
        ".secrets-manager.GetSecretValue:kill-before",
        ".secrets-manager.GetSecretValue:kill-during",
        ".secrets-manager.GetSecretValue:kill-after",
        ".xai.POST-videos:kill-before",
        ".xai.POST-videos:kill-during",
        ".xai.POST-videos:kill-after",
        ".dynamodb.GetItem.2:kill-before",
        ".dynamodb.GetItem.2:kill-during",
        ".dynamodb.GetItem.2:kill-after",
        ".dynamodb.PutItem:kill-before",
    ]
    assert all(end == FINE for end in kills.values() if end != UNKNOWN)


def test_with_a_witness_only_what_was_not_sent_is_unknown():
    unknown = [name for name, end in ends(witness=True).items() if end == UNKNOWN]
    assert unknown == [
        ".dynamodb.TransactWriteItems:kill-during",
        ".dynamodb.TransactWriteItems:kill-after",
        ".secrets-manager.GetSecretValue:kill-before",
        ".secrets-manager.GetSecretValue:kill-during",
        ".secrets-manager.GetSecretValue:kill-after",
        ".xai.POST-videos:kill-before",
    ]


def test_an_answer_to_the_post_that_is_lost_is_unknown_and_one_that_was_not_sent_is_sent_again():
    found = ends()
    assert found[".xai.POST-videos:lose"] == UNKNOWN
    assert found[".xai.POST-videos:refuse"] == found[".xai.POST-videos:throttle"] == FINE


def test_each_call_is_a_place_once_and_every_name_of_a_death_has_its_turn():
    found = plans.cases(CALLS, witness=False)
    assert len({case.name for case in found}) == len({case.token for case in found}) == len(found)
    assert {case.death for case in found if case.fault == "kill"} == set(plans.DEATHS)
    again = plans.cases(CALLS | {"failed": CALLS["text"]}, witness=False)
    assert {case.kind.name for case in again if not case.is_again} == {"text"}
    assert {case.fault for case in again if case.is_again} == {"kill"}


@pytest.mark.parametrize("witness", [False, True])
def test_a_run_has_every_place_and_every_scenario_and_all_that_may_happen_around_a_post(witness):
    everything = spread.everything(MANY, witness=witness)
    short, full = (spread.spread(everything, full=full, witness=witness) for full in (False, True))
    around = {case.name for case in everything if spread.is_first(case) and spread.is_around(case)}
    lossy = {case.name for case in everything if spread.is_lossy(case)}
    assert around & lossy
    assert around & lossy <= {case.name for case in short} <= {case.name for case in full}
    assert len(short) < len(full) < len(everything)
    places = {case.point for case in everything if spread.is_placed(case)}
    states = {point for point in places if point.function in plans.STATES}
    assert states <= {case.point for case in full}
    if not witness:
        assert places <= {case.point for case in short}
        named = {case.marker for case in short if case.fault == "xai"}
        assert (
            named == set(SCENARIOS) - scenarios.SLOW - scenarios.NOT_HERE - scenarios.OF_WITNESSES
        )


def test_a_run_is_the_same_whatever_order_its_places_were_seen_in():
    cases = spread.everything(MANY, witness=False)
    for full in (False, True):
        runs = (spread.spread(those, full=full, witness=False) for those in (cases, cases[::-1]))
        first, second = ({case.name for case in run} for run in runs)
        assert first == second


def test_a_fault_that_never_struck_is_tried_once_more_and_what_else_is_wrong_is_not():
    first, second, third = plans.cases(CALLS, witness=False)[:3]
    missed, bad = ("the fault never struck",), ("the fault never struck", "no sidecar")
    results = [
        Result(first, Verdict("finalized", missed), 0),
        Result(second, Verdict("finalized", bad), 0),
        Result(third, Verdict("finalized"), 1),
    ]
    [again] = matrix.once_more(results)
    assert (again.name, again.take) == (first.name, 2)
    assert again.token != first.token
    later = Result(again, Verdict("finalized"), 1)
    assert matrix.merged(results, [later]) == [later, *results[1:]]


def test_where_not_every_try_of_a_state_was_struck_nothing_is_proved():
    case = endings.unrecorded()[0]
    whole = Result(case, Verdict("failed"), endings.ALL_TRIES)
    assert endings.fully_struck(whole) == whole
    assert endings.fully_struck(replace(whole, fired=3)).verdict.wrong
    assert {case.point.function for case in endings.unrecorded()} == {"record_failure", "conclude"}


def test_the_states_are_those_of_both_machines():
    assert {"Start", "Unrecorded", "IsOver"} <= set(endings.states_of("render_clip"))
    assert {"Clips", "Conclude", "Unrecorded"} <= set(endings.states_of("render_film"))
    every = {(name, state) for name in endings.MACHINES for state in endings.states_of(name)}
    assert endings.entered(every) == endings.Entered(len(every), ())
    left = endings.entered(every - {("render_clip", "Unrecorded")})
    assert left.never == ("render_clip.Unrecorded",)


def test_the_calls_of_a_run_are_read_event_by_event_and_in_order():
    lines = [
        {"function": "poll", "event": event, "service": service, "operation": "", "number": 1}
        for event, service in (("a", "handler"), ("b", "handler"), ("a", "xai"))
    ]
    found = plans.read_calls("\n".join(map(json.dumps, lines)))
    assert found == {
        "poll": [[Point("poll", "handler"), Point("poll", "xai")], [Point("poll", "handler")]]
    }


def test_a_case_is_chosen_by_its_name_as_it_stands_or_by_an_expression():
    found = plans.cases(CALLS, witness=False)
    name = "text:start.xai.POST-videos:kill-during"
    assert [case.name for case in plans.chosen(found, name)] == [name]
    assert len(plans.chosen(found, "POST.*kill")) == 3
    assert plans.chosen(found, None) == found


def test_a_scenario_has_the_end_that_the_catalogue_allows():
    assert scenarios.ends("lost", witness=False) == UNKNOWN
    assert scenarios.ends("lost", witness=True) == FINE
    assert scenarios.ends("start503", witness=True) == UNKNOWN
    assert scenarios.ends("poll503", witness=False) == FINE
    assert scenarios.ends("moderated", witness=True) == frozenset({"failed"})


def test_the_table_says_what_was_broken_where_and_what_came_of_it():
    kill = Case(TEXT, START[4], "kill", "during")
    lost = Case(TEXT, scenarios.AT_XAI, "xai", times=0, marker="lost")
    unknown = Verdict("submit_unknown", jobs=1, held=1)
    report = table.Report(
        command="make reliability",
        without=(Result(kill, unknown, 1), Result(lost, unknown, 1)),
        witnessed=(Result(kill, Verdict("finalized", jobs=1), 1),),
        blackouts=(),
        controls=(Control("naive", 7, 3),),
        checks=(Check("one PutItem of several wins", 25, 0),),
        entered=endings.Entered(20, ("render_clip.Unrecorded",)),
        strangers=Strangers((("a clip, raw", 24, "400"),), 300, 0, 0, 0, 148, 0),
    )
    text = table.text(report)
    assert "| cases | 2 | 1 | 0 |" in text
    assert "| paid jobs held as unknown | 2 | 0 | 0 |" in text
    assert "| xai POST videos | submit_unknown |" in text
    assert "| start | xai POST videos | killed during | finalized |" in text
    assert "| `lost` | connection closed instead of an answer | 1 | submit_unknown | - |" in text
    assert "| naive | 7 | 3 |" in text
    assert "| one PutItem of several wins | 25 | 0 |" in text
    assert "Of the 20 states of both machines, 19 were entered." in text
    assert table.never_entered(report) == ("render_clip.Unrecorded",)
    assert "| bad inputs | 300 |" in text
    assert "| answers to those other than 401 and 403 | 0 |" in text
    assert "| a clip, raw | 24 | 400 |" in text
