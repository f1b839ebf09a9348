"""Seeded bugs: each is put into a copy of the project, and the tests named with it must notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/seeded-bugs.md"


@dataclass(frozen=True)
class Bug:
    """`old`, which `path` has exactly once, becomes `new`; at least one of `tests` must fail."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def seeded(self, text: str) -> str:
        """The file with the bug in it. Raises ValueError when it has moved."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: found {text.count(self.old)} times in {self.path}")
        return text.replace(self.old, self.new)
