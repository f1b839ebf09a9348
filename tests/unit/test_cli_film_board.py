"""A film on the screen and in lines, and how often it is looked at."""

from __future__ import annotations

import io
import re
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials
from rich.console import Console

from videoconductor import VideoConductor
from videoconductor.client.errors import NotFound, Unavailable
from videoconductor_cli import film_board, film_report, outcome, showing, watching


def clip(name: str, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "clipId": name,
        "qualityMode": "draft",
        "renderId": f"r-{name}",
        "status": status,
        "progress": 40 if status == "rendering" else None,
        "estimatedCostUsd": 0.3,
        "costUsd": 0.3 if status == "finalized" else None,
        "reused": False,
        "error": None,
        "advice": None,
        **changes,
    }


def film(*clips: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "filmId": "harbour",
        "runId": "run-9",
        "status": "running",
        "requestedAt": "2026-11-22T10:00:00Z",
        "endedAt": "2026-11-22T11:00:05Z",
        "estimatedCostUsd": 3.9,
        "costUsd": 1.2,
        "clips": list(clips),
        **changes,
    }


def many(**numbers: int) -> list[dict[str, Any]]:
    return [
        clip(f"{status}-{index}", status)
        for status, number in numbers.items()
        for index in range(number)
    ]


def drawn(*films: dict[str, Any], height: int = 24, step: float = 7) -> list[str]:
    """What a terminal of this height shows, with so many seconds between two looks."""
    console = Console(file=io.StringIO(), width=100, height=height, force_terminal=True)
    now = [0.0]
    screen = film_board._Screen(console, lambda: now[0])
    for one in films:
        screen.show(one)
        now[0] += step
    with console.capture() as capture:
        console.print(screen)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in capture.get().splitlines()]


def test_few_clips_all_have_their_row_in_the_film_s_order() -> None:
    clips = [clip("01", "finalized"), clip("02", "rendering"), clip("03", "planned")]
    lines = drawn(film(*clips), height=24)
    assert [line.split()[:2] for line in lines[:3]] == [
        ["01", "finalized"],
        ["02", "rendering"],
        ["03", "planned"],
    ]
    assert "40%" in lines[1]
    assert lines[1].endswith("0:07  est. $0.300")
    assert lines[0].endswith("cost $0.300")
    assert lines[3].split("  ") == [
        "film harbour: 1 of 3 clips done, 1 under way, 1 waiting",
        "cost $1.200 (est. $3.900)",
        "1:00:05",
    ]


def test_a_clip_s_time_stops_with_it() -> None:
    looks = ["planned", "rendering", "rendering", "finalized", "finalized"]
    lines = drawn(*(film(clip("01", status)) for status in looks))
    assert "0:14  cost $0.300" in lines[0]


def test_a_reused_clip_costs_nothing() -> None:
    lines = drawn(film(clip("01", "finalized", reused=True)))
    assert lines[0].split()[:2] == ["01", "reused"]
    assert "cost" not in lines[0]


@pytest.mark.parametrize("height", [5, 24, 200])
def test_300_clips_fit_the_terminal_and_what_matters_is_among_them(height: int) -> None:
    clips = many(planned=150, rendering=50, finalized=70, failed=20, submit_unknown=10)
    lines = drawn(film(*clips), height=height)
    most = max(3, min(20, height - 4))
    assert most + 2 <= len(lines) <= most + 3
    assert any("rendering-0" in line for line in lines)
    assert any("submit_unknown-9" in line for line in lines)
    assert not any("planned-" in line or "finalized-" in line for line in lines)
    words = "70 of 300 clips done, 50 under way, 150 waiting, 20 failed, 10 unresolved"
    assert words in " ".join(lines)
    assert re.match(r"… and \d+ more under way, \d+ more in trouble$", lines[most])


def test_under_a_limit_or_with_something_reserved_the_line_says_what_is_left_of_it() -> None:
    money = {"capUsd": 4.0, "spentUsd": 1.2, "reservedUsd": 0.3, "leftUsd": 2.5}
    end = "(est. $3.900)  1:00:05"
    line = film_board.total(film(clip("01", "rendering"), spending=money))
    assert line.endswith(f"  spent $1.200, reserved $0.300 of $4.000 {end}")
    line = film_board.total(film(spending={**money, "capUsd": None, "leftUsd": None}))
    assert line.endswith(f"  spent $1.200, reserved $0.300 {end}")
    line = film_board.total(film(spending={**money, "capUsd": None, "reservedUsd": 0}))
    assert line.endswith(f"  cost $1.200 {end}")
    assert showing.spending({**money, "capUsd": 1e-10}).endswith("of $0.0000000001")
    assert showing.reserved({"reservedUsd": 0.3}) == showing.reserved({"spending": money})
    assert showing.reserved({"reservedUsd": 0}) == showing.reserved({"spending": None}) == ""


def test_a_list_says_what_was_spent_and_a_guess_only_while_nothing_is_decided() -> None:
    def cost(status: str, spent: float | None, billed: float | None = None, held: float = 0) -> str:
        money = {} if spent is None else {"spentUsd": spent, "reservedUsd": held}
        one = {"status": status, "costUsd": billed, "estimatedCostUsd": 0.05}
        found = {showing.cost({**one, **money}), showing.cost({**one, "spending": money or None})}
        assert len(found) == 1
        return found.pop()

    assert cost("planned", 0) == cost("running", None) == "~$0.050"
    assert cost("failed", 0) == cost("incomplete", 0) == cost("rendering", 0, held=0.05) == "$0.000"
    assert cost("finalized", 0.06) == "~$0.060"  # xAI did not say
    assert cost("finalized", 0.06, 0.06) == cost("rendering", 0.06, 0.06) == "$0.060"
    assert (cost("failed", None), cost("failed", None, 0.04)) == ("~$0.050", "$0.040")


def test_the_rows_go_to_those_in_trouble_when_hardly_any_is_under_way() -> None:
    rows = film_board.chosen(many(planned=50, failed=30, rendering=1), 10)
    assert [row["status"] for row in rows] == ["failed"] * 9 + ["rendering"]
    assert film_board.chosen(many(planned=50), 10) == []


def lines_of(capsys: pytest.CaptureFixture[str], *films: dict[str, Any]) -> list[str]:
    board = film_board._Lines()
    for one in films:
        board.show(one)
    return capsys.readouterr().err.splitlines()


def test_few_clips_have_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    looks = [("planned", None), ("rendering", 5), ("rendering", 9), ("rendering", 61)]
    films = [film(clip("01", status, progress=progress)) for status, progress in looks]
    lines = lines_of(capsys, *films, film(clip("01", "finalized")))
    assert [line.split()[1:3] for line in lines] == [
        ["0%", "planned"],
        ["5%", "rendering"],
        ["61%", "rendering"],
        ["100%", "finalized"],
    ]


def test_a_long_film_has_a_line_for_each_tenth_and_for_what_goes_wrong_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    films = [
        film(*many(finalized=number, failed=number // 2, planned=300 - number - number // 2))
        for number in range(201)
    ]
    lines = lines_of(capsys, *films)
    counted = [line for line in lines if line.startswith("film harbour")]
    assert [line.split()[2] for line in counted] == ["0", "30", "60", "90", "120", "150", "180"]
    assert sum(line.startswith("failed-") for line in lines) == film_board.MOST_TROUBLES
    assert len(lines) == len(counted) + film_board.MOST_TROUBLES + 1


# ── Looking ──────────────────────────────────────────────────────────────────────────────────────


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def watched(clock: Clock, *answers: Any) -> dict[str, Any]:
    left = list(answers)
    paths: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        # The API holds every look but the first.
        assert request.url.raw_path.startswith(b"/v1/films/harbour?run=run-9")
        paths.append(request.url.raw_path)
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, int):
            return httpx.Response(given, json={"title": "no"})
        return httpx.Response(200, json=given)

    api = VideoConductor(
        "https://api.example",
        region="eu-west-1",
        credentials=Credentials("AKID", "secret"),
        transport=httpx.MockTransport(answer),
        sleep=lambda _: None,
    )
    found = dict(watching.watch_film(api, "harbour", "run-9", clock.sleep, lambda: clock.now))
    assert [path for path in paths if b"wait" not in path] == paths[:1]
    return found


def test_a_film_is_watched_until_its_run_is_over() -> None:
    clock = Clock()
    done = film(clip("01", "finalized"))
    over = {**done, "status": "finished"}
    assert watched(clock, film(clip("01", "planned")), done, done, over) == over
    assert clock.slept == [2.02] * 3


def test_a_film_that_does_not_notice_its_end_is_left_after_a_while() -> None:
    clock = Clock()
    stuck = film(clip("01", "finalized"), clip("02", "submit_unknown"))
    assert watched(clock, stuck) == stuck
    assert watching.CLOSING < clock.now < watching.CLOSING + 10


def test_no_answer_is_waited_out_but_not_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    over = film(clip("01", "finalized"), status="finished")
    silence = [503] * 8  # two looks
    running = film(clip("01", "rendering"))
    assert watched(clock, running, *silence, running, *silence, over) == over
    assert capsys.readouterr().err.count("trying on") == 2
    clock = Clock()
    with pytest.raises(Unavailable):
        watched(clock, running, 503)
    assert watching.PATIENCE <= clock.now < watching.PATIENCE + 15


def test_a_film_that_is_not_there_is_not_waited_for() -> None:
    clock = Clock()
    with pytest.raises(NotFound):
        watched(clock, 404)
    assert clock.slept == []


def test_the_gap_grows_with_the_film_and_ends_at_five_seconds() -> None:
    local = [watching.film_gap(number, is_local=True) for number in (1, 100, 300, 10_000)]
    deployed = [watching.film_gap(number, is_local=False) for number in (1, 100, 300)]
    assert local == pytest.approx([0.505, 1.0, 2.0, 5.0])
    assert deployed == pytest.approx([2.02, 4.0, 5.0])


def test_on_a_terminal_the_film_is_drawn_and_words_go_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")  # wherever the tests run
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=24)
    monkeypatch.setattr(film_board, "Console", lambda stderr: console)
    with film_board.board() as board:
        board.show(film(clip("01", "rendering")))
        board.say("no answer [not markup]; trying on …")
    text = screen.getvalue()
    assert "no answer [not markup]" in text
    assert "0 of 1 clips done" in text
    assert showing.clock(3605) == "1:00:05"


def test_what_a_limit_kept_from_being_sent_is_not_advised_to_be_sent_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def short(scope: str) -> dict[str, Any]:
        error = {"error": "BudgetExceeded", "message": "m", "code": f"cap:{scope}"}
        return film({**clip("01", "failed"), "error": error})

    assert film_report.reached_its_limit(short("run"))
    assert not film_report.reached_its_limit(short("day"))
    film_report.complain(short("day"), "again")
    assert "Once there is room, a new run pays" in capsys.readouterr().err
    render = {**short("day")["clips"][0], "result": {"video": None}, "attempts": []}
    words = outcome.why_not({**render, "advice": "raise the cap"})
    assert words.splitlines()[-1] == "  raise the cap"
