"""What a cold start has to import and build, in instructions, and what it has to load, in bytes.

Packs the layers and functions as `sam build` does, but with wheels for this machine, and beside it
what a project has that lists its packages and no more. Counts with cachegrind what an interpreter
executes while it loads a function as Lambda does, above one that loads nothing: repeatable to a
tenth of a percent, whatever else the machine does. Needs valgrind, Python 3.13 and a registry.
Usage: python -m benchmarks.imports
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.rows import Row, verdict

ROOT = Path(__file__).resolve().parents[1]
NAIVE = Path(__file__).with_name("naive")
# Of the naive way's instructions, and of its bytes.
GOALS = {"submit": 1 / 4, "poll": 1 / 4, "finalize": 1 / 4}
GOAL_BYTES = 1 / 2
MILLION = 10**6
TRACER = "aws-xray-sdk==2.15.0"  # what Powertools' Tracer is made of
SETTINGS = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "TABLE_NAME": "table",
    "BUCKET_NAME": "library",
    "EVENT_BUS_NAME": "bus",
    "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:111122223333:stateMachine:RenderClip",
    "FILM_STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:111122223333:stateMachine:RenderFilm",
    "XAI_API_KEY_SECRET": "xai",
    "PRESETS_DIR": str(ROOT / "presets"),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PATH": os.environ["PATH"],
}


def recipe() -> Any:
    """The module that `sam build` runs."""
    spec = importlib.util.spec_from_file_location("packing", ROOT / "layers/packing.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(folder: Path) -> None:
    """What we deploy, under `ours`, and the naive way, under `naive`: layers and functions."""
    packing, here = recipe(), ()  # no platform: wheels for this machine
    ours, naive = folder / "ours", folder / "naive"
    for layer in ("dependencies", "videoconductor"):
        packing.pack(ROOT / "layers" / layer, ours / "layers", here)
    for name in GOALS:
        packing.pack(ROOT / "functions" / name, ours / name)
        (naive / name).mkdir(parents=True)
        (naive / name / "app.py").write_bytes((NAIVE / f"{name}.py").read_bytes())
        (naive / name / "naive_models.py").write_bytes((NAIVE / "naive_models.py").read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    pip += ["--root-user-action", "ignore", "--no-compile", "--only-binary", ":all:"]
    pip += ["--constraint", str(ROOT / "constraints.txt"), "--target", str(naive / "layers/python")]
    wanted = ["aws-lambda-powertools", "boto3", "httpx", "pydantic", TRACER]
    subprocess.run([*pip, *wanted], check=True)


def instructions(program: str, paths: list[Path]) -> int:
    """What an interpreter executes that runs a program, with these folders to import from."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    # Without site, whose .pth files are of this machine.
    done = subprocess.run(
        [*command, sys.executable, "-S", "-c", program],
        env={**SETTINGS, "PYTHONPATH": ":".join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(done.stderr[-2000:])
    return int(found[1].replace(",", ""))


def size(*folders: Path) -> int:
    """The bytes of all files in folders."""
    return sum(path.stat().st_size for one in folders for path in one.rglob("*") if path.is_file())


def rows(folder: Path | None = None) -> list[Row]:
    """A row for each function and measure; in `folder` are trees that are built already."""
    if folder is not None:
        return [*_rows(folder)]
    with tempfile.TemporaryDirectory() as made:
        build(Path(made))
        return [*_rows(Path(made))]


def _rows(folder: Path) -> Iterator[Row]:
    trees = {(name, way): folder / way for name in GOALS for way in ("naive", "ours")}
    # What is counted does not depend on what else runs: as many at a time as there are processors.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        empty = pool.submit(instructions, "pass", [])
        counted = {
            (name, way): pool.submit(
                instructions, "import app", [tree / name, tree / "layers/python"]
            )
            for (name, way), tree in trees.items()
        }
    for name, share in GOALS.items():
        naive, ours = (
            (counted[name, way].result() - empty.result()) / MILLION for way in ("naive", "ours")
        )
        goal = f"at most {share:.2f} of it"
        yield Row(
            f"import work of {name}", "M instructions", naive, ours, goal, ours <= share * naive
        )
    presets, package = size(ROOT / "presets"), ROOT / "layers/videoconductor"
    code = presets + sum(path.stat().st_size for path in package.rglob("*.py"))
    for name in GOALS:
        naive = (size(folder / "naive/layers", folder / "naive" / name) + code) / MILLION
        ours = (size(folder / "ours/layers", folder / "ours" / name) + presets) / MILLION
        goal = f"at most {GOAL_BYTES:.2f} of it"
        yield Row(f"unzipped size of {name}", "MB", naive, ours, goal, ours <= GOAL_BYTES * naive)
    packed = folder / "ours"
    sources = [*packed.rglob("*.py")]
    share = 1 - len([*recipe().uncompiled(packed)]) / len(sources)
    yield Row("modules with bytecode for the runtime", "share", 0, share, "all", share == 1)


if __name__ == "__main__":
    sys.exit(verdict(rows(Path(sys.argv[1]) if sys.argv[1:] else None)))
