"""`openapi`: the HTTP API's OpenAPI document; needs nothing running."""

from __future__ import annotations


def openapi() -> None:
    """Print the OpenAPI document of the HTTP API."""
    from videoconductor import wiring
    from videoconductor_cli import showing

    showing.give_json(wiring.document())
