"""Other people's clients: these tests fetch packages, so they run only when asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = "clients" in (config.getoption("-m") or "")
    reason = "downloads from the npm registry; run with -m clients"
    if shutil.which("node") is None or shutil.which("npm") is None:
        asked, reason = False, "node and npm are not installed"
    for item in items:
        if HERE in item.path.parents and not asked:
            item.add_marker(pytest.mark.skip(reason=reason))
