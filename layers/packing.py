"""Packs a layer or a function for Lambda: its files, the wheels it requires, all of it compiled.

Lambda's disks are read-only: without bytecode in the package each cold start compiles every module
anew, two to three times the work of importing it. So each `.py` has its `.pyc` beside it, made by
the runtime's own version of Python and never compared with its source; a build without is none.
What is never read on Lambda stays out: botocore describes 400 services, in 27 MB. We call six, and
of their 300 operations 26: a client that is built reads all that is there about its service.

Run by `sam build` through layers/Makefile: `python3.13 packing.py FOLDER TARGET`. Standard library
alone, for nothing of ours is installed where that runs.
"""

from __future__ import annotations

import compileall
import gzip
import importlib.util
import json
import marshal
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from py_compile import PycInvalidationMode
from types import CodeType
from typing import Any

RUNTIME = (3, 13)  # of Lambda, as template.yaml has it
ARM64 = (
    *("--python-version", "3.13", "--implementation", "cp"),
    *("--platform", "manylinux_2_28_aarch64"),
    *("--platform", "manylinux_2_17_aarch64"),
    *("--platform", "manylinux2014_aarch64"),
)
# The services that a client is made for, and what is called of each; on Lambda there is no other.
# botocore itself calls CreateSession and HeadBucket, of buckets elsewhere, and DescribeEndpoints.
OPERATIONS = {
    "dynamodb": {
        *("BatchGetItem", "DescribeEndpoints", "GetItem", "PutItem", "Query", "Scan"),
        *("TransactWriteItems", "UpdateItem"),
    },
    "events": {"PutEvents"},
    "s3": {
        *("AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload"),
        *("CreateSession", "GetObject", "HeadBucket", "HeadObject", "ListObjectsV2", "PutObject"),
        "UploadPart",
    },
    "secretsmanager": {"GetSecretValue"},
    "sqs": {"ChangeMessageVisibility", "GetQueueAttributes", "SendMessage"},
    "stepfunctions": {"DescribeExecution", "ListExecutions", "StartExecution"},
}
NOT_PACKED = ("__pycache__", "*.egg-info", ".DS_Store", "requirements.txt", "Makefile")
# Of Powertools' utilities, those that what we import of it imports.
UTILITIES = frozenset({"data_classes", "jmespath_utils"})
# A page for browsers, commands, examples, pydantic before its second version, lists of files, types
# for checkers, what a wheel's compiled code is made of, urllib3 within a browser.
# Licences stay, and METADATA, from which the bill of materials is made.
UNREAD = (
    "*.dist-info/RECORD",
    "*.dist-info/sboms",
    "*/*.pyi",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.js",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.css",
    "bin",
    "botocore/data/*/*/examples-1.json",
    "dateutil/zoneinfo/*.tar.gz",
    "pydantic/mypy.py",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
)
_UNCHECKED = 0b01  # the flags of a .pyc that is not compared with its source


class NotPacked(Exception):
    """What was packed is not as it has to be."""


def pack(folder: Path, target: Path, platform: Sequence[str] = ARM64) -> None:
    """Put what lies in `folder`, and what its requirements.txt names, into `target`.

    Raises NotPacked, and CalledProcessError when pip has not come to an end.
    """
    if sys.version_info[:2] != RUNTIME:
        raise NotPacked(f"needs Python {RUNTIME[0]}.{RUNTIME[1]}, the runtime's own")
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*NOT_PACKED), dirs_exist_ok=True)
    if (folder / "requirements.txt").exists():
        install(folder / "requirements.txt", target, platform)
        trim(target / "python")
    compile_all(target)
    check(target)


def install(requirements: Path, target: Path, platform: Sequence[str]) -> None:
    """Wheels for Lambda, none without its hash, and nothing that is built here.

    wheels.json then has the sha256 of each.
    """
    report = target / "report.json"
    target.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    pip += ["--root-user-action", "ignore", "--require-hashes", "--no-deps", "--no-compile"]
    pip += ["--only-binary", ":all:", *platform, "--requirement", str(requirements)]
    pip += ["--target", str(target / "python"), "--report", str(report)]
    subprocess.run(pip, check=True)  # noqa: S603
    wheels = {
        one["metadata"]["name"]: one["download_info"]["archive_info"]["hashes"]["sha256"]
        for one in json.loads(report.read_text("utf-8"))["install"]
    }
    text = json.dumps(wheels, indent=1, sort_keys=True)
    (target / "wheels.json").write_text(text, "utf-8")
    report.unlink()


def trim(packages: Path) -> None:
    """Leave out what is never read on Lambda."""
    for pattern in UNREAD:
        for path in packages.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [*packages.rglob("tests/")]:
        shutil.rmtree(path)
    for path in packages.glob("aws_lambda_powertools/utilities/*/"):
        if path.name not in UTILITIES:
            shutil.rmtree(path)
    if (packages / "botocore/data").is_dir():
        trim_services(packages / "botocore/data")


def trim_services(folder: Path) -> None:
    """Leave botocore what it needs for OPERATIONS, as it is but for words that people read.

    Nothing is compressed: what a client reads would be unpacked anew at each cold start.
    Raises NotPacked if a service has not, or not any longer, what is called of it.
    """
    for path in folder.iterdir():
        if path.is_dir() and path.name not in OPERATIONS:
            shutil.rmtree(path)
    prefixes = set()
    for name, operations in OPERATIONS.items():
        # botocore takes the newest; no other version is ever asked for.
        *older, newest = sorted(path for path in (folder / name).iterdir() if path.is_dir())
        for path in older:
            shutil.rmtree(path)
        path = newest / "service-2.json.gz"
        model = json.loads(gzip.decompress(path.read_bytes()))
        if missing := operations - model["operations"].keys():
            raise NotPacked(f"{name} has no {', '.join(sorted(missing))}")
        prefixes.add(model["metadata"]["endpointPrefix"])
        _write(path.with_suffix(""), _of(model, operations))
        path.unlink()
        rules = newest / "endpoint-rule-set-1.json.gz"
        _write(rules.with_suffix(""), json.loads(gzip.decompress(rules.read_bytes())))
        rules.unlink()
    endpoints = json.loads((folder / "endpoints.json").read_text("utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: service for name, service in partition["services"].items() if name in prefixes
        }
    _write(folder / "endpoints.json", endpoints)


def _of(model: dict[str, Any], operations: Set[str]) -> dict[str, Any]:
    """A service's model with these operations, and the shapes that they are made of.

    Both without words, which botocore does not look for there; of a client's parameters it does.
    """
    called = {name: one for name, one in model["operations"].items() if name in operations}
    reached: set[str] = set()
    found = {*_shapes(called)}
    while found:
        reached |= found
        found = {*_shapes([model["shapes"][name] for name in found])} - reached
    shapes = {name: one for name, one in model["shapes"].items() if name in reached}
    parts = {"operations": _without_words(called), "shapes": _without_words(shapes)}
    return {**model, "documentation": "", **parts}


def _shapes(model: Any) -> Iterator[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(model, list):
        for part in model:
            yield from _shapes(part)
    elif isinstance(model, dict):
        for name, part in model.items():
            # A member of a structure may have that name too: that is no reference.
            if name == "shape" and isinstance(part, str):
                yield part
            else:
                yield from _shapes(part)


def _without_words(model: Any) -> Any:
    if isinstance(model, list):
        return [_without_words(part) for part in model]
    if not isinstance(model, dict):
        return model
    return {
        name: _without_words(part)
        for name, part in model.items()
        # A member of a structure may have that name too: that is no text.
        if name != "documentation" or not isinstance(part, str)
    }


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")), "utf-8")


def compile_all(target: Path) -> None:
    """A `.pyc` for each `.py`, naming files as Lambda will have them."""
    compileall.compile_dir(
        target,
        quiet=2,
        stripdir=str(target),
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def check(target: Path) -> None:
    """Raises NotPacked, naming files, if a `.py` has no `.pyc` that the runtime takes unseen."""
    if found := [str(path.relative_to(target)) for path in uncompiled(target)]:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise NotPacked(f"without bytecode: {', '.join(found[:5])}{more}")


def uncompiled(target: Path) -> Iterator[Path]:
    """Each `.py` whose `.pyc` is not there or is not for RUNTIME, unchecked and of its text."""
    for path in sorted(target.rglob("*.py")):
        place = path.parent / "__pycache__" / f"{path.stem}.cpython-{RUNTIME[0]}{RUNTIME[1]}.pyc"
        if not place.is_file() or not _is_of(place.read_bytes(), path.read_bytes()):
            yield path


def _is_of(compiled: bytes, source: bytes) -> bool:
    flags = int.from_bytes(compiled[4:8], "little")
    is_ours = compiled[:4] == importlib.util.MAGIC_NUMBER and flags == _UNCHECKED
    if not is_ours or compiled[8:16] != importlib.util.source_hash(source):
        return False
    try:
        return isinstance(marshal.loads(compiled[16:]), CodeType)  # noqa: S302
    except (EOFError, TypeError, ValueError):
        return False


if __name__ == "__main__":
    try:
        pack(Path(sys.argv[1]), Path(sys.argv[2]))
    except NotPacked as problem:
        sys.exit(f"{sys.argv[2]}: {problem}")
