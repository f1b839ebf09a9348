"""A new provider is one file with two calls, and a row."""

from __future__ import annotations

import json
from pathlib import Path

from videoconductor import planning, wiring
from videoconductor.clip import ClipRequest
from videoconductor.models import ModelCatalog
from videoconductor.providers import MadeStill, Pending, Provider, Ready
from videoconductor.quality import QualityModes

PRESETS = Path(__file__).parents[2] / "presets"


class Reel:
    """As much of a provider as the contract asks for."""

    def __init__(self, base_url, api_key):
        self.base_url, self.api_key = base_url, api_key

    def start(self, plan, frame_url, trace):
        return {"ticket": f"{plan.model} {trace}"}

    def make_still(self, plan, trace):
        return MadeStill(f"{plan.image_model} {trace}".encode(), "image/png")

    def poll(self, job):
        return Ready(url=f"https://reel.example/{job['ticket']}") if job else Pending()

    def attach(self, request_id):
        return {"ticket": request_id}


def test_a_new_provider_is_a_class_what_builds_it_and_a_row(monkeypatch):
    rows = json.loads((PRESETS / "models.json").read_text())
    rows["models"]["reel-1"] = {
        **rows["models"]["grok-imagine-video-1.5-lite"],
        "provider": "reel",
        "source": "a test",
    }
    modes = json.loads((PRESETS / "video-presets.json").read_text())
    modes["modes"]["reel"] = {**modes["modes"]["preview"], "model": "reel-1"}
    monkeypatch.setitem(
        wiring.PROVIDERS, "reel", lambda: Reel("https://reel.example", wiring.api_key)
    )
    wiring.provider.cache_clear()

    planned = planning.plan(
        ClipRequest(prompt="a lamp", quality_mode="reel"),
        QualityModes.from_json(json.dumps(modes)),
        ModelCatalog.from_json(json.dumps(rows)),
    )
    provider: Provider = wiring.provider(planned.provider)

    assert (planned.provider, planned.model) == ("reel", "reel-1")
    job = provider.start(planned, lambda frame: frame.url, "trace-1")
    assert provider.poll(job) == Ready(url="https://reel.example/reel-1 trace-1")
    assert provider.make_still(planned, "trace-2") == MadeStill(b"None trace-2", "image/png")
    assert wiring.attach_job("reel", "7") == {"ticket": "7"}
    wiring.provider.cache_clear()


def test_every_model_has_a_provider(models):
    assert {row.provider for row in models.models.values()} <= set(wiring.PROVIDERS)
