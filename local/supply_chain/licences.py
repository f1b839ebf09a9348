"""What licences the deployed packages come under, by what each says of itself."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

from supply_chain.pins import Pin, deployed

# The names that packages have for the same licence, as SPDX has them.
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# What may be deployed without anybody having to think about it.
ACCEPTED = {"Apache-2.0", "BSD-3-Clause", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0"}
UNSAID = frozenset({"", "UNKNOWN", "Dual License"})
TABLES = "\n## Layer "


def page(project: Path) -> str:
    """docs/licences.md as it should be: its words as they are, its tables made anew."""
    words = (project / "docs/licences.md").read_text("utf-8").partition(TABLES)[0]
    lines = [words.rstrip("\n")]
    for layer, pins in deployed(project).items():
        lines += [f"{TABLES}{layer}", "", "| Package | Version | Licence |", "|---|---|---|"]
        lines += [f"| {pin.name} | {pin.version} | {licence(pin.name)} |" for pin in pins]
    return "\n".join([*lines, ""])


def licence(name: str) -> str:
    """The SPDX expression of an installed package's licence; PackageNotFoundError if it is not."""
    told = importlib.metadata.metadata(name)
    if "License-Expression" in told:
        return told["License-Expression"]
    short = "".join(told.get_all("License") or [])
    if short not in UNSAID and "\n" not in short and len(short) < 40:
        return SPDX.get(short, short)
    classifiers = told.get_all("Classifier") or []
    names = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    return " OR ".join(sorted({SPDX.get(one, one) for one in names})) or "not said"


def doubtful(pins: Iterable[Pin]) -> list[str]:
    """Packages none of whose licences is an accepted one."""
    return [pin.name for pin in pins if not set(licence(pin.name).split(" OR ")) & ACCEPTED]
