"""Door: MCP over HTTP, each request by itself. Checks the service token: an HTTP API cannot send
the 401 that MCP's clients look for.
"""

from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, entrance, reading, tokens, views, wiring
from videoconductor.errors import ScopeMissing, Unidentified
from videoconductor.tools import protocol
from videoconductor.tools.direct import DirectDesk

app = door.application(shape=entrance.told)


@app.route(entrance.PATH, method=list(entrance.METHODS))
def mcp() -> Response[str]:
    event = app.current_event.raw_event
    called = entrance.Entrance.of(event, entrance.PATH)
    if problem := called.foreign(wiring.settings().cors_origins):
        return door.answer(entrance.told(problem), problem["status"])
    try:
        identity = wiring.identify(called.authorization)
        door.logger.append_keys(caller=identity.caller)
        if problem := called.unfit():
            status, headers = problem["status"], {"Allow": "POST"}
            return door.answer(entrance.told(problem), status, headers=headers)
        # As strictly as at every door: of a field given twice, the SDK takes the last.
        reading.document(door.body_text(app))
        desk, allow = DirectDesk(identity.caller), partial(tokens.require, identity)
        given = protocol.answered(entrance.without_token(event), wiring.catalog(), desk, allow)
    except (Unidentified, ScopeMissing) as refused:
        problem = views.problem(refused)
        headers = {"WWW-Authenticate": called.challenge(refused)}
        return door.answer(entrance.told(problem), problem["status"], headers=headers)
    headers = {**given["headers"], "Cache-Control": "no-store"}
    return Response(given["statusCode"], body=given["body"], headers=headers)


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
