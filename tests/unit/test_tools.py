"""The tools as they are shown to models, and what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from anyio import run
from mcp.client import Client

from videoconductor import planning, views, wiring
from videoconductor.clip import ClipRequest, FilmOrder
from videoconductor.entrance import Entrance, without_token
from videoconductor.errors import Unidentified
from videoconductor.intake import OrderDocument
from videoconductor.tools import catalog, protocol, wording
from videoconductor.tools.catalog import TOOLS
from videoconductor.tools.direct import DirectDesk

MODES, MODELS = wiring.quality_modes(), wiring.models()
OFFERED = catalog(MODES, MODELS)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_s_arguments_are_closed_described_and_speak_of_no_null(tool):
    offer = OFFERED.by_name[tool.name]
    jsonschema.Draft202012Validator.check_schema(offer.input_schema)
    jsonschema.Draft202012Validator.check_schema(offer.output_schema)
    assert offer.input_schema["additionalProperties"] is False
    assert "null" not in json.dumps(offer.input_schema["properties"])
    assert [n for n, p in offer.input_schema["properties"].items() if "description" not in p] == []
    assert offer.output_schema["type"] == "object"


def test_whatever_spends_can_be_limited_named_and_says_what_everything_costs():
    for tool in TOOLS:
        offer = OFFERED.by_name[tool.name]
        named = set(offer.input_schema["properties"])
        assert (tool.scope == "submit") == ("idempotencyKey" in named) == tool.is_open_world
        if tool.scope != "submit":
            continue
        assert "maxCostUsd" in named
        for name, mode in MODES.modes.items():
            request = ClipRequest(
                prompt="x",
                quality_mode=name,
                duration=1,
                image_url="https://example.com/x.png" if mode.requires_image else None,
            )
            price = planning.plan(request, MODES, MODELS).estimate.lines[0].unit_usd
            assert f"${price:.2f} at {mode.resolution}" in offer.description


def test_no_choice_of_a_film_is_left_out():
    known = {"only": "clip"}
    assert {known.get(name, name) for name in FilmOrder.model_fields} == set(
        OrderDocument.model_fields
    )


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_clients_of_both_versions_are_told_the_same(mode, version):
    async def talk() -> Any:
        async with Client(protocol.server(OFFERED, None), mode=mode) as client:
            assert client.protocol_version == version
            return (await client.list_tools()).tools

    listed = run(talk)
    assert [tool.name for tool in listed] == list(OFFERED.by_name)
    for tool in listed:
        hints = tool.annotations
        spends = OFFERED.by_name[tool.name].tool.scope == "submit"
        assert hints.read_only_hint is not spends
        assert hints.open_world_hint is spends
        assert (hints.destructive_hint, hints.idempotent_hint) == (False, True)


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (0.3, "$0.30"), (12, "$12.00"), (0.0305, "$0.0305")]
)
def test_money_is_never_rounded_away(amount, text):
    assert wording.dollars(amount) == text


def test_the_address_in_a_challenge_is_the_one_that_was_called():
    event = {
        "rawPath": "/studio/mcp",
        "headers": {"Host": "video.example", "X-Forwarded-Proto": "https"},
        "requestContext": {"http": {"method": "POST"}, "domainName": "x"},
    }
    called = Entrance.of(event, "/mcp")

    base = "https://video.example/studio"
    assert called.metadata()["resource"] == f"{base}/mcp"
    assert called.challenge(Unidentified()) == (
        f'Bearer resource_metadata="{base}/.well-known/oauth-protected-resource"'
    )
    assert called.foreign(()) is None


def test_of_a_request_goes_on_what_mcp_reads_and_never_the_token():
    headers = {"Authorization": "Bearer x", "X-Forwarded-Port": "443,80", "Cookie": "\udcff"}
    read = {"accept": "*/*", "content-type": "application/json", "mcp-name": "video-list"}
    kept = without_token({"rawPath": "/mcp", "headers": {**headers, **read}})
    assert kept == {"rawPath": "/mcp", "headers": read}


def test_the_wait_of_a_call_that_asks_for_a_clip_begins_with_the_call(monkeypatch):
    clock, waited = [datetime(2026, 11, 22, tzinfo=UTC)], []

    def accept(*_: Any) -> Any:
        clock[0] += timedelta(seconds=3)
        return SimpleNamespace(render_id="render")

    commands = SimpleNamespace(accept=accept, remaster=accept)
    monkeypatch.setattr(wiring, "now", lambda: clock[0])
    monkeypatch.setattr(wiring, "conductor", lambda: commands)
    monkeypatch.setattr(wiring, "awaited", lambda _, seconds: waited.append(seconds))
    monkeypatch.setattr(wiring, "callback", lambda _: None)
    monkeypatch.setattr(wiring, "standings", lambda *_: None)
    monkeypatch.setattr(views, "detail", lambda *_: {})
    desk = DirectDesk("token:studio")

    desk.create(None, "key", 20)
    desk.remaster("parent", None, "key", 2)
    desk.render("render", 20)

    assert waited == [17, -1, 20]  # one look there is in any case
