"""What each function imports when it is loaded as on Lambda, and which services it describes."""

import importlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from videoconductor import workflow

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
# What loads a function, and says what it then has in memory. The first argument is what to add.
PROGRAM = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
opened = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and "/botocore/data/" in arguments[0]:
        opened.append(arguments[0])
sys.addaudithook(note)
exec(sys.argv[2])
import app
place = [path.partition("/botocore/data/")[2] for path in opened]
described = {path.partition("/")[0] for path in place if "/" in path}
print(json.dumps([sorted(sys.modules), sorted(described)]))
"""
# Nobody's on Lambda: the command line's, other ways to do what we do, and ways that cost much.
NEVER = {
    "aws_xray_sdk",
    "boto3",
    "click",
    "difflib",
    "email_validator",
    "httpx",
    "jsonschema",
    "multiprocessing",
    "requests",
    "rich",
    "s3transfer",
    "sqlite3",
    "typer",
    "yaml",
    "videoconductor.client",
    "videoconductor_cli",
    "xai_simulator",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.parameters",
    "aws_lambda_powertools.utilities.parser",
    "aws_lambda_powertools.utilities.validation",
}
# Heavy, each of these functions alone.
OWN = {
    "PIL": set(),
    "av": set(),
    "videoconductor.answers": {"mcp"},
    "videoconductor.openapi": set(),
    "videoconductor.pictures": set(),
    "videoconductor.script": set(),
    "mcp": {"mcp"},
    "mangum": {"mcp"},
    "anyio": {"mcp"},
    "videoconductor.tools": {"mcp"},
    "videoconductor.director": set(),
    "videoconductor.doctoring": {"doctor", "mcp", "sweep"},
    "videoconductor.examining": {"doctor"},
    "videoconductor.providers.xai": {"first_frame", "poll", "start"},
    "videoconductor.download": {"finalize"},
    "videoconductor.mp4": {"finalize", "record_failure", "thumbnail"},
    "videoconductor.workflow.failing": {"record_failure"},
    "videoconductor.workflow.finishing": {"finalize", "record_failure", "thumbnail"},
    "videoconductor.workflow.framing": {"first_frame"},
    "videoconductor.workflow.polling": {"finalize", "poll", "record_failure", "thumbnail"},
    "videoconductor.workflow.starting": {"start"},
    "aws_lambda_powertools.event_handler": {
        *("authorize", "browse", "budget", "describe", "doctor", "film", "generate", "mcp"),
        *("plan", "resolve", "submit"),
    },
}
# What the package mcp imports by itself.
OF_MCP = {"click", "httpx", "multiprocessing", "rich"}
# Modules of many documents, which each function of a clip loads.
DOCUMENTS = ("budgets", "clip", "intake", "ledger", "listing", "models", "quality")
# The clients that are built while a function is loaded.
SERVICES = {
    "submit": {"dynamodb", "stepfunctions"},
    "first_frame": {"dynamodb", "s3", "secretsmanager"},
    "start": {"dynamodb", "s3", "secretsmanager"},
    "poll": {"dynamodb", "s3", "secretsmanager"},
    "finalize": {"dynamodb", "events", "s3"},
}


def loading(folder: str, more: str) -> subprocess.CompletedProcess[str]:
    """An interpreter that has loaded a function as on Lambda, after it has done `more`."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT / "functions" / folder), more],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "layers/videoconductor/python"),
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        },
    )


@cache
def loaded(folder: str, more: str = "") -> tuple[set[str], set[str]]:
    """The modules that a function has imported once it is loaded, and the services described."""
    done = loading(folder, more)
    assert done.returncode == 0, done.stderr
    modules, described = json.loads(done.stdout)
    return set(modules), set(described)


def within(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def wrong(folder: str, more: str = "") -> set[str]:
    """What a function imports and is not to."""
    names, _ = loaded(folder, more)
    others = {package for package, functions in OWN.items() if folder not in functions}
    return {package for package in NEVER | others if within(names, package)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_function_imports_nothing_that_it_does_not_need(folder):
    assert wrong(folder) - (OF_MCP if folder == "mcp" else set()) == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_function_describes_the_services_it_calls_and_no_others(folder):
    assert loaded(folder)[1] == SERVICES.get(folder, set())


def test_what_a_function_imports_on_its_own_is_imported():
    for package, functions in OWN.items():
        for folder in functions:
            assert within(loaded(folder)[0], package), f"{folder} does without {package}"


def texts(module):
    """Annotations of a module's documents and tuples that are texts."""
    classes = [one for one in vars(module).values() if isinstance(one, type)]
    for one in classes:
        if one.__module__ == module.__name__ and (
            issubclass(one, BaseModel) or hasattr(one, "_fields")
        ):
            found = vars(one).get("__annotations__", {})
            yield from (f"{one.__name__}.{name}" for name in found if isinstance(found[name], str))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_annotation_of_a_document_has_to_be_compiled_when_it_is_loaded(name):
    """As `from __future__ import annotations` makes each of them a text: 0.1 M instructions."""
    assert list(texts(importlib.import_module(f"videoconductor.{name}"))) == []


def test_an_annotation_that_is_a_text_is_found():
    code = "from __future__ import annotations\nfrom pydantic import BaseModel\n"
    module = ModuleType("late")
    exec(code + "class One(BaseModel):\n    name: str\n", vars(module))  # noqa: S102
    assert list(texts(module)) == ["One.name"]


def test_a_verb_is_had_by_its_name_and_nothing_else_is():
    """Its module alone is imported, when it is asked for."""
    assert set(workflow.__all__) == {name for names in workflow._MODULES.values() for name in names}
    assert all(hasattr(workflow, name) for name in workflow.__all__)
    with pytest.raises(AttributeError, match="no attribute 'refund'"):
        _ = workflow.refund


@pytest.mark.parametrize(("folder", "is_built"), [("finalize", True), ("poll", False)])
def test_what_sends_clips_is_built_while_finalize_is_loaded(folder, is_built):
    more = """
import atexit
from videoconductor import wiring
atexit.register(lambda: sys.stderr.write(f"built {wiring.s3_once.cache_info().currsize}"))
"""
    assert f"built {int(is_built)}" in loading(folder, more).stderr


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("import boto3", {"boto3", "s3transfer", "multiprocessing"}),
        ("import rich.console", {"rich"}),
        ("import videoconductor.openapi", {"videoconductor.openapi", "videoconductor.script"}),
        ("import videoconductor.director", {"videoconductor.director"}),
        ("from aws_lambda_powertools.utilities import parameters", {"boto3"}),
    ],
)
def test_an_import_too_many_is_found(more, found):
    assert wrong("poll", more) >= found


def test_a_service_too_many_is_found():
    more = "from botocore.session import get_session\nget_session().create_client('sqs')"
    assert loaded("poll", more)[1] - SERVICES["poll"] == {"sqs"}


def test_without_lambda_nothing_is_built_at_import():
    more = "del os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']"
    assert loaded("submit", more)[1] == set()
