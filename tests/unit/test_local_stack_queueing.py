"""The local stack's queue before its functions."""

import asyncio

from local_stack.queueing import queued

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
