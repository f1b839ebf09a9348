"""Packages for Lambda: compiled for its Python, without what nothing reads, and no less."""

import ast
import importlib.util
import py_compile
import re
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import boto3
import botocore
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.session import get_session
from moto import mock_aws

from benchmarks.imports import size
from tests.workflow.conftest import Cloud
from videoconductor.library import Library

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/videoconductor/python/videoconductor"
WHOLE = Path(botocore.__file__).parent / "data"
RESOURCES = Cloud.template()["Resources"]
# What a function of benchmarks/naive would load with our code and presets: see benchmarks.imports.
NAIVE_BYTES = 37_700_000
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


def installed(target):
    """The layer of dependencies, from what these tests import: the wheels are of this machine."""
    for line in (ROOT / "layers/dependencies/requirements.txt").read_text().splitlines():
        if not (pinned := re.match(r"([\w-]+)==([\w.]+)", line)):
            continue
        wheel = distribution(pinned[1])
        assert wheel.version == pinned[2], "the tests run with other versions than Lambda"
        for file in wheel.files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target / file)


def test_what_a_function_loads_is_half_as_large_as_the_naive_way(packing, tmp_path):
    installed(tmp_path / "python")
    packing.trim(tmp_path / "python")
    packing.compile_all(tmp_path)
    for folder in ("layers/videoconductor", "functions/submit"):
        packing.pack(ROOT / folder, tmp_path)
    assert size(tmp_path, ROOT / "presets") <= NAIVE_BYTES / 2


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
    assert clients(text) == packing.OPERATIONS.keys()
    assert clients(text.replace('_client("sqs")', '_client("athena")')) != packing.OPERATIONS.keys()


# Names of operations that mean something else with us.
OTHERS = {"create_connection"}


def called(packing, text):
    """The operations of the services we call that are named in a module: as a call or as a text."""
    loader = Loader([str(WHOLE)], include_default_search_paths=False)
    places = {}
    for service in packing.OPERATIONS:
        for operation in loader.load_service_model(service, "service-2")["operations"]:
            places.setdefault(xform_name(operation), set()).add((service, operation))
    for node in ast.walk(ast.parse(text)):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
        if isinstance(name, str) and name not in OTHERS:
            yield from places.get(name, ())


def kept(packing):
    return {(name, one) for name, operations in packing.OPERATIONS.items() for one in operations}


def test_every_operation_that_is_called_is_left_in_and_no_other(packing):
    texts = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py")]
    texts += [path.read_text("utf-8") for path in ROOT.glob("functions/*/app.py")]
    ours = {one for text in texts for one in called(packing, text)}
    botocores = kept(packing) - ours
    assert ours <= kept(packing)
    assert botocores == {
        ("dynamodb", "DescribeEndpoints"),
        ("s3", "CreateSession"),
        ("s3", "HeadBucket"),
    }
    more = "s3.delete_object(Key=key)\npages = s3.get_paginator('list_parts')"
    assert set(called(packing, more)) == {("s3", "DeleteObject"), ("s3", "ListParts")}


def test_what_botocore_calls_by_itself_is_left_in(packing):
    """As it does of a bucket that is elsewhere, or of an express one."""
    found = set()
    for path in WHOLE.parent.glob("*.py"):
        calls = re.findall(r"_client\.\w+\(", path.read_text("utf-8"))
        found |= {one for call in calls for one in called(packing, f"{call})")}
    assert found == {("s3", "CreateSession"), ("s3", "HeadBucket")}
    described = Loader([str(WHOLE)]).load_service_model("dynamodb", "service-2")
    discovery = ServiceModel(described).endpoint_discovery_operation
    assert discovery.name in packing.OPERATIONS["dynamodb"]


def test_what_a_service_has_not_is_not_packed(packing, trimmed, monkeypatch):
    monkeypatch.setitem(packing.OPERATIONS, "sqs", {"SendMessage", "SendPigeon"})
    with pytest.raises(packing.NotPacked, match="sqs has no SendPigeon"):
        trimmed()


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


@pytest.fixture
def trimmed(packing, tmp_path):
    """What is left of the botocore that is installed, and of a service that nobody calls."""

    def made():
        folder = tmp_path / "data"
        for name in {*packing.OPERATIONS, "athena"}:
            shutil.copytree(WHOLE / name, folder / name)
        for path in WHOLE.glob("*.json"):
            shutil.copy(path, folder)
        packing.trim_services(folder)
        return folder

    return made


def shapes_of(shape, seen):
    """All that a request or an answer is made of, as botocore finds it when it reads or writes."""
    if shape is None or shape.name in seen:
        return seen
    seen[shape.name] = shape
    inside = {"structure": lambda: [*shape.members.values()], "list": lambda: [shape.member]}
    inside["map"] = lambda: [shape.key, shape.value]
    for one in inside.get(shape.type_name, list)():
        shapes_of(one, seen)
    return seen


def test_a_client_is_as_it_was_but_for_words_and_operations(packing, trimmed):
    """Each service's model and rules, from the botocore that is installed."""
    folder = trimmed()
    assert not (folder / "athena").exists()
    before = Loader([str(WHOLE)], include_default_search_paths=False)
    after = Loader([str(folder)], include_default_search_paths=False)
    for name, operations in packing.OPERATIONS.items():
        whole, left = (one.load_service_model(name, "service-2") for one in (before, after))
        models = ServiceModel(whole), ServiceModel(left)
        assert set(models[1].operation_names) == operations
        for part in whole.keys() - {"documentation", "operations", "shapes"}:
            assert left[part] == whole[part]
        reached = set()
        for operation in operations:
            old, new = (model.operation_model(operation) for model in models)
            assert (
                packing._without_words(whole["operations"][operation])
                == (left["operations"][operation])
            )
            sides = zip(
                [old.input_shape, old.output_shape, *old.error_shapes],
                [new.input_shape, new.output_shape, *new.error_shapes],
                strict=True,
            )
            for was, now in sides:
                found = shapes_of(was, {}), shapes_of(now, {})
                assert found[0].keys() == found[1].keys()
                reached |= found[1].keys()
        assert set(left["shapes"]) - {"Expires"} <= reached  # the one that botocore puts in
        for shape in reached:
            assert left["shapes"][shape] == packing._without_words(whole["shapes"][shape])
        regions = [
            {
                p["partition"]: p["services"].get(models[0].endpoint_prefix)
                for p in one.load_data("endpoints")["partitions"]
            }
            for one in (before, after)
        ]
        assert regions[0] == regions[1]
        for rules in ("endpoint-rule-set-1", "paginators-1"):
            loaded = (one.load_service_model(name, rules) for one in (before, after))
            assert next(loaded) == next(loaded)


def sample(shape):
    """The least that an operation takes."""
    made = {
        "structure": lambda: {one: sample(shape.members[one]) for one in shape.required_members},
        "list": lambda: [sample(shape.member)],
        "map": dict,
        "string": lambda: shape.enum[0] if shape.enum else "name",
        "integer": lambda: 1,
    }
    return made[shape.type_name]()


@pytest.fixture
def packed(packing, trimmed, monkeypatch):
    """Each client there is, with nothing to go by but what is packed."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    session = get_session()
    loader = Loader([str(trimmed())], include_default_search_paths=False)
    session.register_component("data_loader", loader)
    return {name: session.create_client(name, "eu-central-1") for name in packing.OPERATIONS}


def test_each_operation_is_sent_and_its_answer_read(packing, packed):
    """The whole way of a request through botocore, but for the network."""
    sent = []

    def answer(request, **_):
        sent.append(request.url)
        body = b"<Answer/>" if ".s3." in request.url else b"{}"
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda: [body]))

    for name, operations in packing.OPERATIONS.items():
        client = packed[name]
        client.meta.events.register("before-send", answer)
        for operation in operations:
            wanted = sample(client.meta.service_model.operation_model(operation).input_shape)
            getattr(client, xform_name(operation))(**wanted)
        assert len(sent) >= len(operations)
        assert all("eu-central-1.amazonaws.com" in url for url in sent), sent
        sent.clear()
    with pytest.raises(AttributeError):
        packed["s3"].delete_object(Bucket="library", Key="clip")


def test_what_is_packed_writes_and_reads(packed):
    with mock_aws():
        boto3.client("s3", "eu-central-1").create_bucket(
            Bucket="library", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        library = Library("library", packed["s3"], "generated/videos")
        library.put_document("generated/films/one.json", b"{}")
        library.put_document("generated/films/one.json", b"[]")
        assert library.document("generated/films/one.json")[0] == b"{}"
        assert library.size("generated/films/one.json") == 2
        assert not library.exists("generated/films/two.json")
        assert library.deliveries(10) == ([], None)
        assert "X-Amz-Signature" in library.presigned_url("generated/films/one.json", 60)
        for name, call in {
            "secretsmanager": lambda client: client.get_secret_value(SecretId="none"),
            "dynamodb": lambda client: client.get_item(TableName="none", Key={"pk": {"S": "1"}}),
        }.items():
            with pytest.raises(packed[name].exceptions.ResourceNotFoundException):
                call(packed[name])


def test_a_member_that_is_named_shape_is_no_reference(packing):
    model = {"shape": "Box", "members": {"shape": {"shape": "Form"}}}
    assert set(packing._shapes(model)) == {"Box", "Form"}


def test_a_member_that_is_named_documentation_stays(packing):
    model = {"documentation": "<p>words</p>", "members": {"documentation": {"shape": "Text"}}}
    assert packing._without_words(model) == {"members": {"documentation": {"shape": "Text"}}}
