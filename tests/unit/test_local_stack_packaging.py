"""Packaging of a template of the same shape as ours."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from local_stack import packaging
from local_stack.errors import DeployFailed, MissingPiece
from local_stack.packaging import Package, package

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  LeaseSeconds: {Type: Number, Default: 90}
  Environment: {Type: String, Default: cloud}
Conditions:
  IsCloud: !Equals [!Ref Environment, cloud]
Globals:
  Function:
    Runtime: python3.13
    Architectures: [arm64]
    Handler: app.handler
    Layers: [!Ref DependenciesLayer, !Ref CodeLayer, !Ref PresetsLayer]
Resources:
  DependenciesLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: layers/dependencies}
  CodeLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: layers/code}
  PresetsLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: presets}
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth: {EnableIamAuthorizer: true, DefaultAuthorizer: AWS_IAM}
  SubmitFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/submit/
      Events:
        Submit: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: POST, Path: /v1/videos}}
  RenderClip:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: statemachine/render.asl.yaml
      DefinitionSubstitutions:
        SubmitFunctionArn: !GetAtt SubmitFunction.Arn
        LeaseSeconds: !Ref LeaseSeconds
      Role: arn:aws:iam::123456789012:role/machine
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Condition: IsCloud
    Properties: {AlarmName: failing}
"""
ASL = """
StartAt: Submit
States:
  Submit: {Type: Task, Resource: "${SubmitFunctionArn}", Next: Wait}
  Wait: {Type: Wait, Seconds: "${LeaseSeconds}", End: true}
"""
FILES = {
    "template.yaml": TEMPLATE,
    "statemachine/render.asl.yaml": ASL,
    "functions/submit/app.py": "def handler(event, context): ...",
    "layers/dependencies/requirements.txt": "boto3==1.0  # whatever\n",
    "layers/code/videoconductor/__init__.py": "",
    "layers/code/videoconductor/__pycache__/x.pyc": "stale",
    "presets/models.json": "{}",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def resource(packaged: Package, name: str) -> dict:
    return json.loads(packaged.template)["Resources"][name]["Properties"]


def test_a_function_has_its_layers_in_its_own_zip(project):
    [zipped] = package(project, "us-east-1").zips.values()
    archive = zipfile.ZipFile(io.BytesIO(zipped))
    assert archive.namelist() == [
        "app.py",
        "bootstrap",
        "opt/models.json",
        "opt/python/videoconductor/__init__.py",
    ]
    assert archive.getinfo("bootstrap").external_attr >> 16 == 0o755


def test_the_bootstrap_runs_the_runtime_client_with_layers_and_presets_in_place(project):
    [zipped] = package(project, "us-east-1").zips.values()
    script = zipfile.ZipFile(io.BytesIO(zipped)).read("bootstrap").decode()
    assert script.startswith("#!/bin/sh\n")
    assert '-m awslambdaric "$_HANDLER"' in script
    assert 'PRESETS_DIR="$LAMBDA_TASK_ROOT/opt"' in script
    assert 'PYTHONPATH="$LAMBDA_TASK_ROOT:$LAMBDA_TASK_ROOT/opt/python"' in script


def test_the_function_runs_the_bootstrap_and_keeps_its_handler(project):
    function = resource(package(project, "us-east-1"), "SubmitFunction")
    assert function["Runtime"] == "provided.al2023"
    assert function["Handler"] == "app.handler"
    assert "Layers" not in function
    assert "arm64" not in json.dumps(function)


def test_the_same_files_make_the_same_package(project):
    first = package(project, "us-east-1")
    os.utime(project / "functions/submit/app.py", (1, 1))
    again = package(project, "us-east-1")
    assert (first.zips, first.template) == (again.zips, again.template)
    assert first.digest({"A": "1"}) == again.digest({"A": "1"}) != again.digest({"A": "2"})


def test_changed_code_makes_another_package(project):
    first = package(project, "us-east-1")
    (project / "layers/code/videoconductor/__init__.py").write_text("changed = True")
    assert first.digest({}) != package(project, "us-east-1").digest({})


def test_a_number_in_the_state_machine_stays_a_number(project):
    properties = resource(package(project, "us-east-1"), "RenderClip")
    text = "".join(properties["DefinitionString"]["Fn::Join"][1])
    assert '"Seconds": ${LeaseSeconds}' in text
    assert '"Resource": "${SubmitFunctionArn}"' in text


def test_resources_that_only_the_cloud_has_are_not_counted_on(project):
    packaged = package(project, "us-east-1")
    assert packaged.named("AWS::Lambda::Function") == ["SubmitFunction"]
    assert packaged.named("AWS::CloudWatch::Alarm") == []
    assert packaged.parameters == {"LeaseSeconds", "Environment"}


def test_a_requirement_that_is_not_installed_is_named_with_the_command(project):
    requirements = project / "layers/dependencies/requirements.txt"
    requirements.write_text("no-such-distribution-anywhere==1\n")
    with pytest.raises(MissingPiece, match="no-such-distribution-anywhere") as missing:
        package(project, "us-east-1")
    assert missing.value.command == f"pip install -r {requirements}"


def test_a_template_that_sam_refuses_is_refused_with_its_words(project):
    path = project / "template.yaml"
    path.write_text(TEMPLATE.replace("Handler: app.handler", "NoSuchProperty: 1"))
    with pytest.raises(DeployFailed, match="SAM transform refused"):
        package(project, "us-east-1")


def test_without_a_template_the_message_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(MissingPiece, match=r"template\.yaml"):
        package(tmp_path, "us-east-1")


def test_a_layer_that_a_makefile_builds_lies_as_its_folder_does():
    def lies(**metadata):
        layer = {"Properties": {"ContentUri": "layers/x"}, "Metadata": metadata}
        return packaging.layer_of({"Ref": "X"}, {"X": layer})

    assert lies(BuildMethod="python3.13") == ("layers/x", "opt/python/")
    assert lies(BuildMethod="makefile") == lies() == ("layers/x", "opt/")


def test_how_a_layer_is_built_and_pinned_is_not_packaged(tmp_path):
    for name in ("Makefile", "requirements.txt", "kept.py"):
        (tmp_path / name).write_text("")
    assert [path.name for path in packaging.files_under(tmp_path)] == ["kept.py"]


def test_hashes_of_pins_are_no_packages(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("pydantic==2.0 \\\n    --hash=sha256:" + "a" * 64 + "\n")
    packaging.check_requirements(path)
