"""What a run finds around it: the settings of the environment, and what is built from them."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from videoconductor import inputs, wiring
from videoconductor.download import Bounds, Downloads
from videoconductor.wiring import Settings
from videoconductor_cli.errors import BadInput
from videoconductor_cli.jobs.board import Board
from videoconductor_cli.jobs.making import Times, Tools
from videoconductor_cli.jobs.manifest import Manifest
from videoconductor_cli.jobs.plans import Rules
from videoconductor_cli.jobs.running import Stop

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def settings() -> Settings:
    """The settings of the environment. Raises BadInput for a malformed one."""
    try:
        return wiring.settings()
    except ValidationError as invalid:
        # Without the values: one of them is the key.
        found = invalid.errors(include_url=False, include_input=False)
        lines = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in found]
        raise BadInput("\n".join(lines)) from None


def rules(given: Settings) -> Rules:
    """What plans are made by."""
    defaults = wiring.plan_defaults()
    trusted = {*defaults.trusted_origins, *_own_origin(given)}
    return Rules(
        wiring.quality_modes(), wiring.models(), replace(defaults, trusted_origins=trusted)
    )


def tools(given: Settings, folder: Path, manifest: Manifest, board: Board, stop: Stop) -> Tools:
    """What the making of clips needs of the world."""
    origins = {*given.source_origins, *_own_origin(given)}
    bounds = Bounds(max_bytes=given.max_clip_bytes, seconds=given.copy_seconds)
    return Tools(
        manifest=manifest,
        provider=wiring.provider,
        downloads=Downloads(origins, bounds),
        folder=folder,
        times=Times(given.poll_interval_ms / 1000, given.poll_timeout_ms / 1000),
        new_id=new_id,
        now=wiring.now,
        clock=time.monotonic,
        pause=stop.pause,
        check=stop.check,
        jitter=wiring.jitter(),
        show=board.show,
        say=board.say,
    )


def new_id() -> str:
    """An id that nobody else has."""
    return uuid.uuid4().hex


def is_simulated(given: Settings) -> bool:
    """Whether xAI is a simulator: something on this machine is."""
    host = inputs.origin(given.api_base_url).partition("//")[2]
    return any(host == name or host.startswith(f"{name}:") for name in LOOPBACK)


def _own_origin(given: Settings) -> list[str]:
    """Where a simulator has its clips and sample images: where it is itself."""
    return [inputs.origin(given.api_base_url)] if is_simulated(given) else []
