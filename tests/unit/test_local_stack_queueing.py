"""The local stack's queue before its functions."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from local_stack.queueing import in_turn, queued

PATH = "/api"


def most_at_once(scopes, at_a_time):
    """How many of these requests were under way together, at most."""
    under_way, most, answered = [], [0], []

    async def app(scope, receive, send):
        under_way.append(scope)
        most[0] = max(most[0], len(under_way))
        await asyncio.sleep(0.01)
        under_way.remove(scope)
        answered.append(scope)

    async def asked():
        stack = queued(app, PATH, at_a_time)
        await asyncio.gather(*(stack(scope, None, None) for scope in scopes))

    asyncio.run(asked())
    assert len(answered) == len(scopes)
    return most[0]


def scope(number, path=f"{PATH}/v1/videos", query=b""):
    return {"type": "http", "path": path, "query_string": query, "number": number}


def test_requests_of_the_api_wait_for_their_turn():
    assert most_at_once([scope(number) for number in range(20)], 3) == 3


def test_what_is_asked_of_aws_itself_and_what_waits_for_a_render_take_no_turn():
    of_functions = [scope(number, "/table") for number in range(10)]
    waiting = [scope(number, query=b"wait=20") for number in range(10)]
    assert most_at_once([*of_functions, *waiting], 1) == 20


def test_of_the_functions_of_states_and_events_only_so_many_run_at_a_time():
    under_way, most, gate = [], [], threading.Event()

    def execute(function, event):
        under_way.append(event)
        most.append(len(under_way))
        gate.wait(0.02)
        under_way.remove(event)
        return function

    def many(events):
        most.clear()
        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(lambda event: waiting("f", event), events)) == {"f"}
        return max(most)

    waiting = in_turn(execute, 3)
    assert many([{"status": "planned", "number": n} for n in range(12)]) == 3
    # A request to the API may wait for what these do.
    assert many([{"requestContext": {}, "number": n} for n in range(12)]) > 3
