"""Slots: who may POST when, by arithmetic on the line and by the table's own conditions."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.bursts import table
from videoconductor import slots
from videoconductor.errors import ManifestUnavailable
from videoconductor.slots import LINGER, MISSED, ONE, SHARE, Limit, Line, micros
from videoconductor.turns import Turns

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
MODEL = "grok-imagine-video"
# Each example is dozens of calls of a table in this process.
FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Street:
    """A table with one line, a clock that moves when told to, and whoever waits there."""

    def __init__(self, limit, dynamodb):
        self.elapsed, self.limit, self.dynamodb = 0.0, limit, dynamodb
        self.pauses = []
        self.meanwhile = None
        self.sent = []
        self.turns = self.turns_on(dynamodb)

    def turns_on(self, dynamodb):
        chance = random.Random(7)  # noqa: S311
        return Turns("table", dynamodb, lambda _: self.limit, self.now, self.pause, chance)

    def now(self):
        return BEGAN + timedelta(seconds=self.elapsed)

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.elapsed += seconds

    def item(self):
        key = {"pk": {"S": f"TURNS#{MODEL}"}, "sk": {"S": "LINE"}}
        return self.dynamodb.get_item(TableName="table", Key=key).get("Item")

    def ask(self, queue="a", held=None):
        """A slot, in the first place that a clip is given."""
        return self.turns.reserve(MODEL, queue, held)


@pytest.fixture
def dynamodb():
    with table() as client:
        yield client


@pytest.fixture
def street(dynamodb):
    return Street(Limit(1), dynamodb)


def seconds(slot):
    return (slot.at - BEGAN).total_seconds()


def run(street, clips, most=100_000):
    """Let every clip, `(when it comes, film)`, wait for its slot; when each was sent, and its film.

    They are taken in the order of their times, so what one pauses the others have passed.
    """
    waiting = [(when, number, film, None) for number, (when, film) in enumerate(clips)]
    sent, waits = [], Counter()
    for _ in range(most):
        if not waiting:
            return sorted(sent), waits
        waiting.sort(key=lambda row: row[:2])
        when, number, film, held = waiting.pop(0)
        street.elapsed = when
        slot = street.turns.reserve(MODEL, film, held)
        if not slots.is_far(slot, street.now()):
            slot, is_mine = street.turns.stand(slot, film)
            if is_mine:
                sent.append((street.elapsed, film))
                continue
        left = int((slot.at - street.now()).total_seconds()) - slot.is_firm
        waits[number] += 1
        waiting.append((street.elapsed + max(1, left), number, film, slot))
    raise AssertionError("it does not come to an end")


def most_within(sent, window):
    """The most POSTs that fall into any window of so many seconds."""
    times = sorted(when for when, _ in sent)
    return max(sum(first <= when < first + window for when in times) for first in times)


# -- the rate --------------------------------------------------------------------------------------


@FEW
@given(
    per_second=st.sampled_from([0.5, 1, 3, 10]),
    burst=st.integers(1, 4),
    clips=st.lists(
        st.tuples(st.floats(0, 20, width=32), st.sampled_from("abc")), min_size=1, max_size=25
    ),
    closings=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), max_size=3),
)
def test_no_window_ever_has_more_than_the_rate_and_the_burst(
    dynamodb, per_second, burst, clips, closings
):
    dynamodb.delete_item(
        TableName="table", Key={"pk": {"S": f"TURNS#{MODEL}"}, "sk": {"S": "LINE"}}
    )
    street, asked = Street(Limit(per_second, burst), dynamodb), [0]
    real = street.turns.reserve

    def reserve(model, queue, held):
        asked[0] += 1
        for nth, length in closings:
            if nth == asked[0]:
                street.turns.close(model, length)
        return real(model, queue, held)

    street.turns.reserve = reserve
    sent, _ = run(street, clips)
    assert len(sent) == len(clips)
    for window in (1.0, 2.0, 7.5):
        assert most_within(sent, window) <= burst + window * per_second + 1e-6


@FEW
@given(order=st.lists(st.integers(0, 5), min_size=1, max_size=60), data=st.data())
def test_whoever_comes_between_anothers_look_and_write_gets_another_slot(dynamodb, order, data):
    """Each GetItem or UpdateItem is a place where somebody else may reserve, all of it."""
    dynamodb.delete_item(
        TableName="table", Key={"pk": {"S": f"TURNS#{MODEL}"}, "sk": {"S": "LINE"}}
    )
    street = Street(Limit(10), dynamodb)
    given_out, depth = [], [0]

    def between(call):
        def called(**request):
            if depth[0] < 2 and data.draw(st.booleans()):
                depth[0] += 1
                given_out.append(street.turns.reserve(MODEL, "b", None))
                depth[0] -= 1
            return call(**request)

        return called

    street.turns = street.turns_on(
        SimpleNamespace(
            get_item=between(dynamodb.get_item),
            update_item=between(dynamodb.update_item),
            exceptions=dynamodb.exceptions,
        )
    )
    for late in order[:12]:
        street.elapsed += late / 10
        try:
            given_out.append(street.turns.reserve(MODEL, "a", None))
        except ManifestUnavailable:
            continue
    times = sorted(slot.at for slot in given_out if slot.is_firm)
    gap = timedelta(microseconds=int(ONE / (10 * SHARE)))
    assert all(later - earlier >= gap for earlier, later in pairwise(times))


def test_without_a_limit_nothing_is_asked_of_the_table(street):
    street.limit = None
    assert street.ask() is None
    assert street.turns.stand(None, "a") == (None, True)
    street.turns.close(MODEL, 60)
    assert street.item() is None


def test_a_first_clip_goes_at_once_and_the_second_lingers_in_process(street):
    first, second = street.ask(), street.ask()
    assert (first.is_firm, seconds(first)) == (True, 0)
    assert (second.is_firm, seconds(second)) == (True, pytest.approx(1 / SHARE, abs=1e-5))
    assert street.turns.stand(second, "a") == (second, True)
    assert street.pauses == [pytest.approx(1 / SHARE, abs=1e-5)]


def test_a_burst_is_sent_with_one_wait_each_and_in_the_order_it_came(street):
    street.limit = Limit(10)
    sent, waits = run(street, [(number / 1000, "a") for number in range(120)])
    assert sent[-1][0] <= 120 / 10 * 1.15
    assert max(waits.values()) == 1


# -- 429 -------------------------------------------------------------------------------------------


def test_what_a_429_says_holds_for_those_who_reserve_later(street):
    street.ask()
    street.turns.close(MODEL, 30)
    assert seconds(street.ask()) >= 30


def test_whoever_has_a_slot_already_that_was_closed_over_gets_a_later_one(street):
    street.ask()
    mine = street.ask()
    street.turns.close(MODEL, 30)
    slot, is_mine = street.turns.stand(mine, "a")
    assert not is_mine
    assert seconds(slot) >= 30
    assert slot.round == mine.round


def test_many_who_are_refused_together_slow_the_line_once(street):
    for _ in range(5):
        street.turns.close(MODEL, 1)
    assert street.item()["strain"]["N"] == str(slots.STRAIN)


def test_the_gaps_grow_while_refusals_go_on_and_shrink_again_after_them(street):
    for _ in range(3):
        street.turns.close(MODEL, 1)
        street.elapsed += 2
    strained = int(street.item()["strain"]["N"])
    assert strained == 952  # thousandths: 250, 562, 952
    for _ in range(100):
        street.elapsed += 60
        street.ask()
    assert int(street.item()["strain"]["N"]) < strained / 4


def test_a_shorter_closing_does_not_cut_a_longer_one(street):
    street.turns.close(MODEL, 60)
    street.turns.close(MODEL, 1)
    assert seconds(street.ask()) >= 60


# -- slots that come to nothing --------------------------------------------------------------------


def test_a_slot_that_was_missed_is_no_good_any_more(street):
    mine = street.ask()
    street.elapsed = 2 * MISSED / ONE
    street.ask("b")
    slot, is_mine = street.turns.stand(mine, "a")
    assert is_mine
    assert slot.at > mine.at
    assert micros(slot.at) - micros(mine.at) >= int(ONE / SHARE)


def test_a_slot_of_days_ago_is_reserved_anew(street):
    mine = street.ask()
    street.elapsed = 3 * 86_400
    again = street.ask(held=mine)
    assert seconds(again) == 3 * 86_400


def test_a_slot_is_of_one_model(street):
    mine = street.ask()
    assert street.turns.reserve("another", "a", mine).model == "another"


def test_whoever_is_gone_does_not_keep_the_others_waiting_for_ever(street):
    """Sixty clips joined the line and never came."""
    for _ in range(60):
        street.ask("gone")
    sent, _ = run(street, [(1.0, "here")] * 10)
    assert sent[-1][0] < 60


def test_films_that_had_their_turns_leave_the_item(street):
    street.limit = Limit(10)
    run(street, [(number / 100, f"film {number}") for number in range(30)])
    street.elapsed += 60
    for _ in range(6):
        street.ask("last")
    assert len([name for name in street.item() if name.startswith("film#")]) <= 5


# -- fairness --------------------------------------------------------------------------------------


def ends(sent):
    return {film: max(when for when, of in sent if of == film) for _, film in sent}


def test_two_films_that_begin_together_end_together(street):
    street.limit = Limit(10)
    clips = [(number / 1000, film) for number in range(60) for film in ("a", "b")]
    last = ends(run(street, clips)[0])
    assert last["a"] == pytest.approx(last["b"], rel=0.05)


def test_a_small_film_that_comes_later_is_not_held_up_by_a_large_one(street):
    clips = [(number / 1000, "large") for number in range(90)]
    clips += [(20 + number / 1000, "small") for number in range(10)]
    sent, waits = run(street, clips)
    alone = 10 / SHARE
    assert ends(sent)["small"] - 20 <= 3 * alone
    assert ends(sent)["large"] <= 100 / SHARE * 1.05
    assert sum(waits.values()) <= 3 * len(clips)


def test_a_second_large_film_gets_its_half_from_when_it_comes(street):
    street.limit = Limit(10)
    clips = [(number / 1000, "first") for number in range(120)]
    clips += [(3 + number / 1000, "second") for number in range(120)]
    sent, _ = run(street, clips)
    middle = [film for when, film in sent if 5 <= when < 15]
    assert 0.4 <= middle.count("second") / len(middle) <= 0.6


def test_many_films_of_one_clip_lose_no_time(street):
    street.limit = Limit(10)
    sent, _ = run(street, [(number / 1000, f"film {number}") for number in range(60)])
    assert sent[-1][0] <= 60 / 10 * 1.15 + 1


@given(
    films=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 12), min_size=1),
    served=st.integers(0, 5 * ONE),
)
def test_each_place_in_the_line_is_one_clips_alone(films, served):
    """Counted from where the line stands, the clips of all films are 0, 1, 2, …"""
    lasts = {film: served + count * ONE for film, count in films.items()}
    line = Line(served=served, films=lasts)
    places = sorted(
        line.ahead(film, served + number * ONE)
        for film, count in films.items()
        for number in range(1, count + 1)
    )
    assert places == list(range(sum(films.values())))


# -- the table -------------------------------------------------------------------------------------


class Slow:
    """A table each of whose answers takes its time."""

    def __init__(self, street, seconds):
        self.street, self.seconds = street, seconds
        self.exceptions = street.dynamodb.exceptions

    def get_item(self, **request):
        self.street.elapsed += self.seconds
        return self.street.dynamodb.get_item(**request)

    def update_item(self, **request):
        self.street.elapsed += self.seconds
        return self.street.dynamodb.update_item(**request)


@pytest.mark.parametrize("rate", [1, 10])
@pytest.mark.parametrize("answer", [0.05, 0.1, 0.2, 0.5])
def test_a_table_that_is_slow_holds_nobody_for_ever(street, rate, answer):
    street.limit = Limit(rate)
    turns = street.turns_on(Slow(street, answer))
    slot, is_mine = turns.stand(turns.reserve(MODEL, "a", None), "a")
    assert is_mine
    assert slot.is_firm
    assert street.elapsed < 10


def test_a_line_that_is_closed_stays_so_though_the_table_is_slow(street):
    turns = street.turns_on(Slow(street, 0.1))
    mine = turns.reserve(MODEL, "a", None)
    turns.close(MODEL, 30)
    slot, is_mine = turns.stand(mine, "a")
    assert not is_mine
    assert seconds(slot) >= 30


class Down:
    """DynamoDB when it does not answer."""

    def get_item(self, **request):
        raise ClientError({"Error": {"Code": "InternalServerError"}}, "GetItem")


class Crowded:
    """A line at which somebody else is always quicker."""

    def __init__(self, real):
        self.real, self.exceptions, self.tries = real, real.exceptions, 0

    def get_item(self, **request):
        return self.real.get_item(**request)

    def update_item(self, **request):
        self.tries += 1
        code = {"Error": {"Code": "ConditionalCheckFailedException"}}
        raise self.exceptions.ConditionalCheckFailedException(code, "UpdateItem")


def test_without_the_table_nothing_may_be_sent(street):
    with pytest.raises(ManifestUnavailable):
        street.turns_on(Down()).reserve(MODEL, "a", None)


def test_whoever_always_comes_too_late_gives_up_after_so_many_tries(street):
    crowd = Crowded(street.dynamodb)
    with pytest.raises(ManifestUnavailable):
        street.turns_on(crowd).reserve(MODEL, "a", None)
    assert crowd.tries == len(street.pauses) <= 12
    assert sum(street.pauses) < LINGER / ONE
