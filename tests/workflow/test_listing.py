"""The list of renders: newest first, in pages, over the turn of a month."""

from datetime import UTC, datetime, timedelta

import pytest

from videoconductor import views, wiring


def test_renders_are_listed_newest_first_over_the_turn_of_months(stage, monkeypatch):
    made = []
    for days in (0, 1, 40, 75):
        at = datetime(2026, 10, 31, 23, 59, tzinfo=UTC) - timedelta(days=75 - days)
        monkeypatch.setattr(wiring, "now", lambda at=at: at)
        wiring.conductor.cache_clear()
        made.append(stage.submit().render_id)
    stage.settle()

    found = wiring.manifest().renders(datetime(2026, 11, 1, 0, 1, tzinfo=UTC), 10)

    assert [render.render_id for render in found] == made[::-1]


def test_pages_follow_each_other_without_gap_or_repetition(stage):
    made = []
    for _ in range(5):
        stage.elapsed += 1
        made.append(stage.submit().render_id)
    stage.settle()

    seen, cursor = [], None
    for _ in range(4):
        before = views.before(cursor) if cursor else None
        page = views.page(wiring.manifest().renders(stage.now(), 2, before), 2)
        seen += [video["renderId"] for video in page["videos"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break

    assert seen == made[::-1]


@pytest.mark.parametrize("cursor", ["", "x", "bm90IGEgdGltZQ==", "\u0430", "=" * 99])
def test_a_cursor_of_somebodys_own_making_is_refused(cursor):
    with pytest.raises(ValueError, match=r"\w"):
        views.before(cursor)
