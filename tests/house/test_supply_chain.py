"""What layers hold: pinned, hashed, billed, and under licences that the page names."""

import copy
import json
import re
import tomllib
from collections import Counter

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply_chain import licences
from supply_chain.bill import NotAsPinned, bill
from supply_chain.pins import LAYERS, Pin, canonical, deployed, pins
from tests.house.test_access import source
from tests.workflow.conftest import ROOT

DEPLOYED = deployed(ROOT)
PINNED = {
    canonical(name): version
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for name, _, version in [line.partition(" ;")[0].partition("==")]
}


def asked(layer):
    """What a layer is to have, by the names in its `.in`."""
    lines = (ROOT / f"layers/{layer}.in").read_text("utf-8").splitlines()
    return {canonical(line) for line in lines if line and not line.startswith("#")}


def test_every_layer_with_packages_is_known():
    folders = {path.parent.name for path in ROOT.glob("layers/*/requirements.txt")}
    assert folders == set(LAYERS)
    for layer, resource in LAYERS.items():
        made = source()["Resources"][resource]
        assert made["Metadata"]["BuildMethod"] == "makefile", layer


@pytest.mark.parametrize("layer", LAYERS)
def test_every_package_of_a_layer_is_pinned_to_the_version_that_tests_run_with(layer):
    assert {pin.name for pin in DEPLOYED[layer]} >= asked(layer)
    for pin in DEPLOYED[layer]:
        # One version may be for older Pythons; Lambda's is 3.13.
        lines = (ROOT / "constraints.txt").read_text("utf-8")
        assert re.search(rf"^{re.escape(pin.name)}=={re.escape(pin.version)}( ;|$)", lines, re.M)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_pin_has_hashes(layer):
    assert [pin.name for pin in DEPLOYED[layer] if not pin.hashes] == []


@pytest.mark.parametrize("layer", LAYERS)
def test_everything_that_a_package_of_a_layer_requires_is_there(layer):
    """By the metadata of what is installed here, for Lambda's system and Python."""
    import importlib.metadata

    from packaging.requirements import Requirement

    there = {pin.name for pin in DEPLOYED[layer]}
    lambda_ = {"python_version": "3.13", "python_full_version": "3.13.0", "sys_platform": "linux"}
    lambda_ |= {"platform_machine": "aarch64", "platform_system": "Linux", "os_name": "posix"}
    for pin in DEPLOYED[layer]:
        for text in importlib.metadata.requires(pin.name) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({**lambda_, "extra": ""}):
                assert canonical(wanted.name) in there, f"{pin.name} requires {wanted.name}"


def test_layers_of_one_function_agree_on_what_both_hold():
    versions = {}
    for layer, those in DEPLOYED.items():
        for pin in those:
            versions.setdefault(pin.name, {})[pin.version] = layer
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_layers_have_what_the_project_says_it_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {canonical(re.match(r"[\w.-]+", one)[0]) for one in project["dependencies"]}
    # The client's and the command line's; functions make clients with botocore, which is boto3
    # without its import.
    of_people = {"boto3", "httpx", "typer", "rich"}
    assert needed - of_people <= {pin.name for pin in DEPLOYED["dependencies"]}


def test_layers_are_built_of_wheels_with_their_hashes_and_nothing_else():
    text = (ROOT / "layers/packing.py").read_text("utf-8")
    for option in ("--require-hashes", "--no-deps", "--only-binary", "--platform", "--no-compile"):
        assert f'"{option}"' in text


def test_no_file_of_the_layers_names_a_registry():
    for path in [*ROOT.glob("layers/*.in"), *ROOT.glob("layers/*/requirements.txt")]:
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", path.read_text()), path


# ── The bill of materials ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def build(tmp_path):
    """A build as `sam build` leaves it: packages' metadata, and what each came as."""
    for layer, those in DEPLOYED.items():
        folder = tmp_path / LAYERS[layer]
        for pin in those:
            info = folder / f"python/{pin.name.replace('-', '_')}-{pin.version}.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: {pin.version}\n"
            )
        wheels = {pin.name: min(pin.hashes) for pin in those}
        (folder / "wheels.json").write_text(json.dumps(wheels))
    return tmp_path


def test_the_bill_names_every_package_of_every_layer_once_and_as_it_came(build):
    text = bill(ROOT, build)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "videoconductor"
    found = Counter(
        (one["properties"][0]["value"], one["name"], one["version"], one["hashes"][0]["content"])
        for one in document["components"]
    )
    wanted = Counter(
        (layer, pin.name, pin.version, min(pin.hashes))
        for layer, those in DEPLOYED.items()
        for pin in those
    )
    assert found == wanted
    purls = {one["purl"] for one in document["components"]}
    assert "pkg:pypi/pydantic@" + PINNED["pydantic"] in purls


def too_many(build):
    info = build / "McpLayer/python/leftpad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leftpad\nVersion: 1.0\n")
    return "leftpad"


def too_few(build):
    [info] = build.glob("ThumbnailsLayer/python/pillow-*.dist-info")
    (info / "METADATA").unlink()
    info.rmdir()
    return "pillow"


def another_version(build):
    [info] = build.glob("DependenciesLayer/python/urllib3-*.dist-info/METADATA")
    info.write_text("Metadata-Version: 2.1\nName: urllib3\nVersion: 0.1\n")
    return "urllib3"


def another_file(build):
    path = build / "DependenciesLayer/wheels.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "jmespath": "0" * 64}))
    return "jmespath"


def nobody_knows(build):
    (build / "McpLayer/wheels.json").unlink()
    return "wheels.json"


@pytest.mark.parametrize("mutant", [too_many, too_few, another_version, another_file, nobody_knows])
def test_a_build_that_is_not_as_pinned_gets_no_bill(build, mutant):
    name = mutant(build)
    with pytest.raises(NotAsPinned, match=name):
        bill(ROOT, build)


def test_a_requirement_that_is_no_pin_is_refused(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# of old\nhttpx==0.28.1 \\\n    --hash=sha256:" + "a" * 64 + "\n")
    assert pins(path) == [Pin("httpx", "0.28.1", frozenset({"a" * 64}))]
    path.write_text("httpx>=0.28\n")
    with pytest.raises(ValueError, match="no pin"):
        pins(path)


# ── Licences ──────────────────────────────────────────────────────────────────────────────────


def test_the_page_of_licences_is_up_to_date():
    assert (ROOT / "docs/licences.md").read_text("utf-8") == licences.page(ROOT)


def test_every_licence_is_an_accepted_one():
    assert licences.doubtful(pin for those in DEPLOYED.values() for pin in those) == []


def test_a_licence_that_nobody_accepted_is_told(monkeypatch):
    monkeypatch.setattr(licences, "licence", lambda name: "GPL-3.0-only OR LicenseRef-Other")
    assert licences.doubtful([Pin("readline", "1.0", frozenset())]) == ["readline"]


def test_the_page_says_which_wheel_brings_codecs_under_the_gpl():
    """As long as they are there, by the names of the libraries inside."""
    from pathlib import Path

    import av

    libraries = {path.name for path in Path(av.__file__).parent.parent.glob("av.libs/*")}
    bundled = {name for name in ("libx264", "libx265") if any(name in one for one in libraries)}
    text = (ROOT / "docs/licences.md").read_text("utf-8")
    assert all(f"`{name}`" in text for name in bundled)
    assert not libraries or ("av brings codecs under the GPL" in text) == bool(bundled)


# ── Exceptions of the audit ───────────────────────────────────────────────────────────────────


def test_every_exception_of_the_audit_is_explained_and_about_something_there():
    from auditing import exceptions, translated

    template = copy.deepcopy(source())
    exempt = exceptions(template)
    assert len({(one.check, one.kind) for one in exempt}) == len(exempt)
    kinds = {one["Type"] for one in translated(template)["Resources"].values()}
    for one in exempt:
        assert re.fullmatch(r"CKV2?_AWS_\d+", one.check)
        assert one.kind in kinds
        assert len(one.because.split()) > 8, one.check


def test_what_nobody_explained_and_what_explains_nothing_is_wrong():
    from auditing import Exempt, Finding, judged

    exempt = [Exempt("CKV_AWS_18", "AWS::S3::Bucket", "because")]
    known = Finding("CKV_AWS_18", "AWS::S3::Bucket", "Bucket", "logging")
    other = Finding("CKV_AWS_53", "AWS::S3::Bucket", "Bucket", "public")
    of_another = known._replace(kind="AWS::SQS::Queue", resource="Queue")
    assert list(judged([known], exempt)) == []
    assert list(judged([known, other], exempt)) == ["CKV_AWS_53 Bucket: public"]
    assert list(judged([known, of_another], exempt)) == ["CKV_AWS_18 Queue: logging"]
    assert list(judged([], exempt)) == [
        "CKV_AWS_18 of AWS::S3::Bucket is explained, and not found any more"
    ]


def test_a_scanner_that_could_not_look_has_not_passed(tmp_path):
    from auditing import scanned

    empty = {"results": {"failed_checks": []}, "summary": {"passed": 0, "parsing_errors": 1}}
    for output in ("no json", json.dumps(empty)):
        program = tmp_path / "checkov"
        program.write_text(f"#!/bin/sh\ncat <<'end'\n{output}\nend\n")
        program.chmod(0o755)
        with pytest.raises(OSError, match="checkov"):
            scanned(program, tmp_path / "template.yaml")
