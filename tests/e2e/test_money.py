"""A cap under a burst, through the real template: real processes, real conditional writes."""

from __future__ import annotations

import collections
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from videoconductor import wiring
from videoconductor.books import Books
from videoconductor.clip import SETTLED
from videoconductor.ledger import Counter
from videoconductor.manifest import Manifest

CLIP = {"duration": 6}  # six seconds at $0.05
CENTS = 10**8


def cap(cloud, film, usd):
    table = Manifest(cloud.endpoints.table, cloud.client("dynamodb"), wiring.now)
    table.change_caps(lambda caps: caps.with_cap("film", film, Decimal(usd)), "a test")


def film_counter(cloud, film):
    books, counter = Books(cloud.endpoints.table, cloud.client("dynamodb")), Counter("film", film)
    return books.standing([counter])[counter]


def at_rest(cloud, ids):
    """These renders as they are on record, once all of them are at rest.

    Read from the table itself: the API's function would wait for its turn among those of the clips.
    """
    manifest = Manifest(cloud.endpoints.table, cloud.client("dynamodb"), wiring.now)
    end = time.monotonic() + 300
    while time.monotonic() < end:
        renders = manifest.read_many(ids)
        if all(render.status in SETTLED for render in renders.values()):
            return [renders[render_id] for render_id in ids]
        time.sleep(0.5)
    raise AssertionError(collections.Counter(r.status for r in renders.values()))


@pytest.mark.long
def test_of_64_starts_at_once_a_cap_of_three_dollars_lets_out_ten(cloud, prompt):
    film = "capped"
    cap(cloud, film, "3.00")
    faults = {0: " [[sim:start429]]", 1: " [[sim:poll503]]", 2: " [[sim:poll429]]"}
    prompts = [f"{prompt} {number}{faults.get(number % 8, '')}" for number in range(64)]

    def submit(number):
        fields = {"prompt": prompts[number], "clipId": f"{number:02}", **CLIP}
        return cloud.submit(pipelineRequestId=film, **fields)["renderId"]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(submit, range(64)))
    ends = at_rest(cloud, ids)

    assert collections.Counter(end.status for end in ends) == {"finalized": 10, "failed": 54}
    jobs = [job for text in prompts for job in cloud.jobs(text)]
    assert len(jobs) == 10
    assert sum(job["cost_usd_ticks"] for job in jobs) == 300 * CENTS
    refused = [end for end in ends if end.status == "failed"]
    assert {(end.failure.error, end.failure.code) for end in refused} == {
        ("BudgetExceeded", "cap:film")
    }
    assert all("'capped' is $3.00" in end.failure.message for end in refused)
    assert film_counter(cloud, film)[:2] == (0, 300 * CENTS)

    # Room for one more; xAI refuses the first that takes it, and so another may have it.
    cap(cloud, film, "3.30")
    unlucky = cloud.submit(prompt=f"{prompt} [[sim:nocredits]]", pipelineRequestId=film, **CLIP)
    [unlucky] = at_rest(cloud, [unlucky["renderId"]])
    assert unlucky.failure.error == "OutOfCredits"
    assert film_counter(cloud, film)[:2] == (0, 300 * CENTS)
    for render, status in zip(refused, ["finalized", "failed"], strict=False):
        assert cloud.call("POST", f"/v1/videos/{render.render_id}/retry", {}).status_code == 200
        assert [end.status for end in at_rest(cloud, [render.render_id])] == [status]
    assert sum(len(cloud.jobs(text)) for text in prompts) == 11
    assert film_counter(cloud, film)[:2] == (0, 330 * CENTS)
