"""The pinned packages of layers, read from their requirements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LAYERS = {
    "dependencies": "DependenciesLayer",
    "mcp": "McpLayer",
    "thumbnails": "ThumbnailsLayer",
}
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


@dataclass(frozen=True)
class Pin:
    """A package of one version, and the sha256 of each file that it may come as."""

    name: str
    version: str
    hashes: frozenset[str]


def pins(path: Path) -> list[Pin]:
    """The pins of a requirements file. Raises ValueError for a line that is none."""
    found = []
    text = re.sub(r"\\\n\s*", " ", path.read_text("utf-8"))
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = _PIN.match(line)
        if pin is None:
            raise ValueError(f"{path}: {line[:60]} is no pin")
        found.append(Pin(canonical(pin[1]), pin[2], frozenset(_HASH.findall(line))))
    return found


def canonical(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def deployed(project: Path) -> dict[str, list[Pin]]:
    """The pins of each layer, by its folder's name."""
    return {layer: pins(project / f"layers/{layer}/requirements.txt") for layer in LAYERS}
