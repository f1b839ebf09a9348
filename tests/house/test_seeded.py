"""The seeded bugs can still be put in, and the page that lists them is the one of today."""

from __future__ import annotations

import re

import pytest

from tests.seeded import PAGE, ROOT
from tests.seeded.bugs import BUGS, page


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_seeded_bug_can_still_be_put_in(bug):
    before = (ROOT / bug.path).read_text()
    assert bug.seeded(before) != before
    for test in bug.tests:
        path, _, name = test.partition("::")
        text = (ROOT / path).read_text()
        assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE), test


def test_there_are_bugs_enough_and_each_has_a_name_of_its_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 14


def test_the_page_of_seeded_bugs_lists_these():
    assert (ROOT / PAGE).read_text() == page()
