"""Authorizer `ServiceToken`: says whose a Bearer token is. What it may do, the routes decide."""

from typing import Any

from videoconductor import door, wiring
from videoconductor.errors import Unidentified


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    route = event.get("routeKey")
    try:
        identity = wiring.identify(event.get("headers", {}).get("authorization"))
    except Unidentified:
        door.logger.info("refused", extra={"route": route, "error": "Unidentified"})
        return {"isAuthorized": False}
    vouched = {
        "caller": identity.caller,
        "tokenId": identity.token_id,
        "scopes": " ".join(identity.scopes),
    }
    door.logger.info("identified", extra={"route": route, **vouched})
    return {"isAuthorized": True, "context": vouched}
