"""Packages for Lambda: compiled for its Python, without what nothing reads, and no less."""

import ast
import importlib.util
import py_compile
import re
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import Cloud

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/videoconductor/python/videoconductor"
RESOURCES = Cloud.template()["Resources"]
UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH


@pytest.fixture
def packing(monkeypatch):
    """The recipe, as if Lambda had the Python that tests run with."""
    spec = importlib.util.spec_from_file_location("packing", ROOT / "layers/packing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.RUNTIME == (3, 13)
    monkeypatch.setattr(module, "RUNTIME", sys.version_info[:2])
    return module


def place(path):
    return Path(importlib.util.cache_from_source(str(path)))


def test_every_function_and_every_layer_with_code_is_built_by_the_recipe():
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::Serverless::Function":
            assert resource["Metadata"] == {"BuildMethod": "makefile", "ContextPath": "layers"}, (
                name
            )
            assert resource["Properties"].get("Runtime") in {None, "python3.13"}
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            folder = ROOT / resource["Properties"]["ContentUri"]
            has_code = any(folder.rglob("*.py")) or (folder / "requirements.txt").exists()
            assert (resource.get("Metadata", {}).get("ContextPath") == "layers") == has_code, name
    assert Cloud.template()["Globals"]["Function"]["Runtime"] == "python3.13"


@pytest.mark.parametrize("folder", ["layers/videoconductor", "functions/submit"])
def test_what_is_packed_has_bytecode_for_each_module(packing, tmp_path, folder):
    packing.pack(ROOT / folder, tmp_path)
    sources = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.py")}
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*.py")} == sources
    compiled = {path for path in tmp_path.rglob("*") if path.suffix == ".pyc"}
    assert compiled == {place(tmp_path / source) for source in sources}
    assert list(packing.uncompiled(tmp_path)) == []


def is_missing(path, _):
    place(path).unlink()


def is_of_another_python(path, _):
    content = place(path).read_bytes()
    place(path).write_bytes(b"\x00\x00\r\n" + content[4:])


def compares_times(path, _):
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)


def compares_hashes(path, _):
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def is_of_another_text(path, _):
    path.write_text("x = 2\n")


def is_torn(path, _):
    place(path).write_bytes(place(path).read_bytes()[:-1])


@pytest.mark.parametrize(
    "harm",
    [
        is_missing,
        is_of_another_python,
        compares_times,
        compares_hashes,
        is_of_another_text,
        is_torn,
    ],
)
def test_a_package_is_refused_if_one_piece_of_bytecode(packing, tmp_path, harm):
    path = tmp_path / "python/deep/one.py"
    path.parent.mkdir(parents=True)
    path.write_text("x = 1\n")
    packing.compile_all(tmp_path)
    packing.check(tmp_path)
    harm(path, None)
    with pytest.raises(packing.NotPacked, match=r"python/deep/one\.py"):
        packing.check(tmp_path)


def test_what_does_not_compile_is_not_packed(packing, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/app.py").write_text("def (:\n")
    with pytest.raises(packing.NotPacked, match=r"app\.py"):
        packing.pack(tmp_path / "code", tmp_path / "packed")


def test_no_other_python_than_the_runtimes_packs(packing, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "RUNTIME", (3, 10))
    with pytest.raises(packing.NotPacked, match=r"3\.10"):
        packing.pack(ROOT / "functions/submit", tmp_path)


# ── What is left out ──────────────────────────────────────────────────────────────────────────


def clients(text):
    """The services that wiring makes clients for."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_client"
    }


def test_every_service_that_a_client_is_made_for_is_left_in(packing):
    text = (PACKAGE / "wiring.py").read_text("utf-8")
    assert clients(text) == packing.SERVICES
    assert clients(text.replace('_client("sqs")', '_client("athena")')) != packing.SERVICES


def test_wiring_alone_makes_clients():
    for path in [*PACKAGE.rglob("*.py"), *ROOT.glob("functions/*/app.py")]:
        made = re.findall(r"create_client\(|boto3\.(?:client|resource|Session)\(", path.read_text())
        assert set(made) == ({"create_client("} if path.name == "wiring.py" else set()), path


def imported():
    """Every module that the package and the functions name in an import."""
    for path in [*PACKAGE.rglob("*.py"), *ROOT.glob("functions/*/app.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def left_out(packing, name):
    parts = name.split(".")
    if parts[:2] == ["aws_lambda_powertools", "utilities"]:
        return bool(parts[2:]) and parts[2] not in packing.UTILITIES
    places = {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return any(pattern.removesuffix(".py") in places for pattern in packing.UNREAD)


def test_nothing_that_is_imported_is_left_out(packing):
    assert [name for name in imported() if left_out(packing, name)] == []
    assert left_out(packing, "aws_lambda_powertools.utilities.parameters")
    assert left_out(packing, "pydantic.v1")
    assert not left_out(packing, "pydantic")


def test_a_client_is_as_it_was_but_for_words(packing, tmp_path, monkeypatch):
    """Each service's model and rules, from the botocore that is installed."""
    import botocore
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    whole = Path(botocore.__file__).parent / "data"
    folder = tmp_path / "data"
    for name in sorted(packing.SERVICES | {"athena"}):
        for path in (whole / name).rglob("*.*"):
            copied = folder / path.relative_to(whole)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())
    (folder / "endpoints.json").write_bytes((whole / "endpoints.json").read_bytes())
    packing.trim_services(folder)
    assert not (folder / "athena").exists()
    text = "".join(path.read_text() for path in folder.rglob("service-2.json"))
    assert "<p>" not in text
    before = Loader([str(whole)], include_default_search_paths=False)
    after = Loader([str(folder)], include_default_search_paths=False)
    for name in packing.SERVICES:
        models = [
            ServiceModel(one.load_service_model(name, "service-2")) for one in (before, after)
        ]
        assert models[0].operation_names == models[1].operation_names
        for operation in models[0].operation_names:
            old, new = (model.operation_model(operation) for model in models)
            assert (old.http, old.name, old.endpoint) == (new.http, new.name, new.endpoint)
            for side in ("input_shape", "output_shape"):
                shapes = getattr(old, side), getattr(new, side)
                assert (shapes[0] is None) == (shapes[1] is None)
                if shapes[0] is not None:
                    assert list(shapes[0].members) == list(shapes[1].members)
        prefix = models[0].endpoint_prefix
        old_regions, new_regions = (
            {
                p["partition"]: p["services"].get(prefix)
                for p in one.load_data("endpoints")["partitions"]
            }
            for one in (before, after)
        )
        assert old_regions == new_regions
    rules = "endpoint-rule-set-1"
    assert before.load_service_model("s3", rules) == after.load_service_model("s3", rules)


def test_a_member_that_is_named_documentation_stays(packing):
    model = {"documentation": "<p>words</p>", "members": {"documentation": {"shape": "Text"}}}
    assert packing._without_words(model) == {"members": {"documentation": {"shape": "Text"}}}
