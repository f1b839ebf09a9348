"""The bill of materials of what was built: CycloneDX 1.6, as JSON."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from supply_chain.licences import licence
from supply_chain.pins import LAYERS, Pin, canonical, deployed
from videoconductor import __version__


class NotAsPinned(Exception):
    """What was built holds something else than what is pinned."""


def bill(project: Path, build: Path) -> str:
    """The bill of the layers under `build`, where `sam build` put them, a folder for each.

    Raises NotAsPinned where a layer holds a package too many, too few, or of another version.
    """
    bom = Bom()
    bom.metadata.component = Component(
        name="videoconductor", version=__version__, type=ComponentType.APPLICATION
    )
    for layer, pins in deployed(project).items():
        folder = build / LAYERS[layer]
        _compare(layer, pins, dict(_built(folder / "python")))
        wheels = _wheels(folder / "wheels.json")
        for pin in pins:
            part = _component(layer, pin, wheels.get(pin.name, ""))
            bom.components.add(part)
            bom.register_dependency(bom.metadata.component, [part])
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    return text + "\n"


def _wheels(path: Path) -> dict[str, str]:
    """The sha256 of the file that each package came as, from what the build wrote down."""
    try:
        found: dict[str, str] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotAsPinned(f"{path} is not there") from None
    return {canonical(name): digest for name, digest in found.items()}


def _built(folder: Path) -> Iterator[tuple[str, str]]:
    for found in importlib.metadata.distributions(path=[str(folder)]):
        yield canonical(found.metadata["Name"]), found.version


def _compare(layer: str, pins: list[Pin], built: dict[str, str]) -> None:
    wanted = {pin.name: pin.version for pin in pins}
    for name in sorted(wanted.keys() | built.keys()):
        if wanted.get(name) != built.get(name):
            there, pinned = built.get(name, "not there"), wanted.get(name, "not at all")
            raise NotAsPinned(f"layer {layer}: {name} is {there}, pinned is {pinned}")


def _component(layer: str, pin: Pin, digest: str) -> Component:
    if digest not in pin.hashes:
        raise NotAsPinned(f"layer {layer}: {pin.name} came as {digest or 'nobody knows what'}")
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{layer}/{pin.name}@{pin.version}",
        purl=PackageURL("pypi", None, pin.name, pin.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        properties=[
            Property(name="videoconductor:layer", value=layer),
            Property(name="videoconductor:licence", value=licence(pin.name)),
        ],
    )
