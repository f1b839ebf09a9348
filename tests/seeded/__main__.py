"""`make seeded`: each seeded bug in a copy of the project, and whether its tests notice.

    python -m tests.seeded [words of the bugs that are wanted]

The tests must pass in the copy without a bug, and with it fail by an assertion: what does not
even import proves nothing. With all bugs caught, docs/seeded-bugs.md is written anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.seeded import PAGE, ROOT, Bug
from tests.seeded.bugs import BUGS, page

AT_A_TIME = 2
SECONDS = 400  # for the tests of one bug
LEFT_OUT = (".*", "__pycache__", "*.egg-info", "generated")


def main(wanted: Collection[str]) -> int:
    """0 when every bug that is wanted was caught."""
    bugs = [bug for bug in BUGS if not wanted or any(word in bug.name for word in wanted)]
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        pristine = Path(folder) / "pristine"
        shutil.copytree(ROOT, pristine, ignore=shutil.ignore_patterns(*LEFT_OUT))
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            sound = pool.submit(_soundness, pristine, bugs)
            verdicts = [sound, *(pool.submit(_verdict, pristine, bug) for bug in bugs)]
            rows = list(zip(["without a bug", *(b.name for b in bugs)], verdicts, strict=True))
            outcomes = [_told(name, verdict.result()) for name, verdict in rows]
    caught = sum(outcomes[1:])
    sys.stdout.write(f"{caught} of {len(bugs)} caught\n")
    if all(outcomes) and not wanted:
        (ROOT / PAGE).write_text(page())
    return 0 if all(outcomes) else 1


def _told(name: str, problem: str) -> bool:
    sys.stdout.write(f"{'caught' if not problem else 'NOT CAUGHT':11} {name}  {problem}\n")
    sys.stdout.flush()
    return not problem


def _soundness(pristine: Path, bugs: Collection[Bug]) -> str:
    """What is wrong with the tests themselves; nothing when they pass without a bug."""
    tests = sorted({test for bug in bugs for test in bug.tests})
    told = _tested(pristine, pristine.parent / "pristine.json", tests)
    if told is None or told["failures"] or not told["passed"]:
        return f"they do not pass: {told and told['failures']}"
    return ""


def _verdict(pristine: Path, bug: Bug) -> str:
    """Why a bug counts as not caught; nothing when it was."""
    copy = pristine.parent / bug.name.replace(" ", "-")
    shutil.copytree(pristine, copy, copy_function=os.link)
    text = bug.seeded((copy / bug.path).read_text())
    (copy / bug.path).unlink()  # one of its own, not the one that is linked to
    (copy / bug.path).write_text(text)
    told = _tested(copy, copy.with_suffix(".json"), bug.tests)
    shutil.rmtree(copy)
    if told is None:
        return "its tests did not run"
    if not told["failures"]:
        return "its tests pass"
    by_assertion = [failure for failure in told["failures"] if failure["assertion"]]
    return "" if by_assertion else f"no assertion failed: {told['failures']}"


def _tested(copy: Path, outcome: Path, tests: Collection[str]) -> dict[str, Any] | None:
    """What pytest came to in a copy, on the copy's own package."""
    paths = [copy / "layers/videoconductor/python", copy / "local", copy]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SEEDED_OUTCOME": str(outcome),
    }
    command = [sys.executable, "-m", "pytest", "-p", "tests.seeded.watching", "-q", "-n", "0"]
    quiet = ["-p", "no:cacheprovider", "--show-capture=no", "--tb=no"]
    done = subprocess.run(
        [*command, *quiet, *tests],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode not in {0, 1} or not outcome.exists():
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-2000:])
        return None
    told: dict[str, Any] = json.loads(outcome.read_text())
    assert all(Path(home).is_relative_to(copy) for home in told["packages"]), told["packages"]
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
