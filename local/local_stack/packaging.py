"""Packages template.yaml for the local stack: SAM to CloudFormation, functions to small zips.

What differs from the cloud is here and nowhere else: a function's runtime is a `bootstrap` that
runs AWS's own runtime client on this interpreter, its layers lie in its own zip under `opt/`,
third-party requirements are those of this interpreter.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import re
import shlex
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack.errors import DeployFailed, MissingPiece

Template = dict[str, Any]

CODE_BUCKET = "local-stack-code"
LAYER = "AWS::Serverless::LayerVersion"
FUNCTION = "AWS::Serverless::Function"
MACHINE = "AWS::Serverless::StateMachine"
EPOCH = (1980, 1, 1, 0, 0, 0)
NOT_PACKAGED = frozenset({"__pycache__", ".DS_Store", "Makefile", "requirements.txt"})


@dataclass(frozen=True)
class Package:
    """A CloudFormation template and the zips it refers to, by key in the code bucket."""

    template: str
    zips: Mapping[str, bytes]
    body: Template  # of the HTTP API: routes are made from it
    resources: Mapping[str, str]  # logical id: type, of those without a condition
    parameters: frozenset[str]  # that the template declares

    def named(self, resource_type: str) -> list[str]:
        """Logical ids of this type that exist locally."""
        return sorted(name for name, kind in self.resources.items() if kind == resource_type)

    def digest(self, parameters: Mapping[str, str]) -> str:
        """Equal digests need no deploy."""
        given = json.dumps(dict(parameters), sort_keys=True)
        return hashlib.sha256(f"{self.template}\0{given}".encode()).hexdigest()


def package(project: Path, region: str, template_name: str = "template.yaml") -> Package:
    """The project's template, ready for ministack."""
    source = read_template(project / template_name)
    zips = localize(source, project)
    declared = frozenset(source.get("Parameters", {}))
    numbers = numeric_parameters(source)
    translated = translate(source, region)
    resources = translated["Resources"]
    for resource in resources.values():
        unquote_numbers(resource, numbers)
    return Package(
        template=json.dumps(translated, sort_keys=True),
        zips=zips,
        body=api_body(resources),
        resources={
            name: resource["Type"]
            for name, resource in resources.items()
            if "Condition" not in resource
        },
        parameters=declared,
    )


def read_template(path: Path) -> Template:
    """YAML with CloudFormation's short tags."""
    try:
        from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingPiece("aws-sam-translator", "pip install -e '.[local]'") from missing
    try:
        template: Template = yaml_parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingPiece(str(path), "cd to the project's root, or name it") from None
    return template


def localize(template: Template, project: Path) -> dict[str, bytes]:
    """Point every function at a zip of ours and put the ASL in its place. Changes the template."""
    resources: Template = template["Resources"]
    shared = template.get("Globals", {}).get("Function", {})
    layers = {name: r for name, r in resources.items() if r["Type"] == LAYER}
    zips: dict[str, bytes] = {}
    for resource in resources.values():
        properties = resource.setdefault("Properties", {})
        if resource["Type"] == FUNCTION:
            used = [*shared.get("Layers", []), *properties.pop("Layers", [])]
            zipped = zip_with_layers(properties["CodeUri"], used, layers, project)
            key = f"{hashlib.sha256(zipped).hexdigest()[:32]}.zip"
            zips[key] = zipped
            properties["CodeUri"] = f"s3://{CODE_BUCKET}/{key}"
            properties["Runtime"] = "provided.al2023"
            properties.pop("Architectures", None)
        elif resource["Type"] == MACHINE and "DefinitionUri" in properties:
            path = project / properties.pop("DefinitionUri")
            properties["Definition"] = read_template(path)
    for gone in ("Layers", "Runtime", "Architectures", "CodeUri"):
        shared.pop(gone, None)
    for name in layers:
        del resources[name]
    return zips


def function_zip(template: Template, name: str, project: Path) -> bytes:
    """The zip of one function, named by its logical id, from the files as they are now."""
    resources = template["Resources"]
    properties = resources[name]["Properties"]
    shared = template.get("Globals", {}).get("Function", {})
    layers = {name: r for name, r in resources.items() if r["Type"] == LAYER}
    used = [*shared.get("Layers", []), *properties.get("Layers", [])]
    return zip_with_layers(properties["CodeUri"], used, layers, project)


def zip_with_layers(
    code: str, used: list[Any], layers: Mapping[str, Template], project: Path
) -> bytes:
    folders = [layer_of(reference, layers) for reference in used]
    return zip_function(project / code, [(project / path, prefix) for path, prefix in folders])


def layer_of(reference: Any, layers: Mapping[str, Template]) -> tuple[str, str]:
    """A layer's folder and where its files end under a function's root."""
    layer = layers.get(reference.get("Ref", "")) if isinstance(reference, dict) else None
    if layer is None:
        raise DeployFailed(f"a layer that is not in the template cannot run locally: {reference}")
    # A makefile takes the folder as it is, python/ and all.
    method = str(layer.get("Metadata", {}).get("BuildMethod", ""))
    prefix = "opt/python/" if method.startswith("python") else "opt/"
    return layer["Properties"]["ContentUri"], prefix


def zip_function(code: Path, layers: list[tuple[Path, str]]) -> bytes:
    """The same bytes for the same files, whenever and wherever."""
    entries = {"bootstrap": (bootstrap().encode(), 0o755)}
    for root, prefix in [(code, ""), *layers]:
        if not root.is_dir():
            raise MissingPiece(str(root), "git checkout, it is named in template.yaml")
        check_requirements(root / "requirements.txt")
        for path in files_under(root):
            entries[prefix + path.relative_to(root).as_posix()] = (path.read_bytes(), 0o644)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            content, mode = entries[name]
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def files_under(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in NOT_PACKAGED and not name.endswith(".egg-info")
        )
        yield from (Path(folder) / name for name in sorted(names) if name not in NOT_PACKAGED)


def bootstrap() -> str:
    """What Lambda starts: AWS's runtime client on this interpreter, with the layers beside it.

    The last argument is not read: it shows whose process this is.
    """
    return f"""#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}
export PYTHONPATH="$LAMBDA_TASK_ROOT:$LAMBDA_TASK_ROOT/opt/python"
export PRESETS_DIR="$LAMBDA_TASK_ROOT/opt"
exec {shlex.quote(sys.executable)} -m awslambdaric "$_HANDLER" "$LAMBDA_TASK_ROOT"
"""


def check_requirements(path: Path) -> None:
    """Locally a dependencies layer is this interpreter: it has to have them."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip())
        if name is None:
            continue
        try:
            importlib.metadata.distribution(name.group())
        except importlib.metadata.PackageNotFoundError:
            raise MissingPiece(name.group(), f"pip install -r {path}") from None


def translate(template: Template, region: str) -> Template:
    """The SAM transform, in process: no network, no credentials."""
    import boto3
    from samtranslator.model.exceptions import (  # type: ignore[import-untyped]
        InvalidDocumentException,
    )
    from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
    from samtranslator.translator.translator import (  # type: ignore[import-untyped]
        Translator,
    )
    from samtranslator.utils.py27hash_fix import (  # type: ignore[import-untyped]
        to_py27_compatible_template,
        undo_mark_unicode_str_in_template,
    )

    to_py27_compatible_template(template, {})
    session = boto3.Session(region_name=region)
    translator = Translator({}, Parser(), boto_session=session)
    try:
        translated = translator.translate(template, parameter_values={})
    except InvalidDocumentException as refused:
        causes = "; ".join(str(cause.message) for cause in refused.causes)
        raise DeployFailed(f"the SAM transform refused template.yaml: {causes}") from refused
    finally:
        translator.metrics.publish()  # to nowhere; otherwise it complains
    plain: Template = undo_mark_unicode_str_in_template(translated)
    return plain


def numeric_parameters(template: Template) -> frozenset[str]:
    return frozenset(
        name
        for name, parameter in template.get("Parameters", {}).items()
        if parameter["Type"] == "Number"
    )


def unquote_numbers(resource: Template, numbers: frozenset[str]) -> None:
    """`Seconds: ${LeaseSeconds}` is a number on AWS, which substitutes before it parses.

    SAM has parsed already and has made `"${LeaseSeconds}"` of it.
    """
    properties = resource.get("Properties", {})
    text = properties.get("DefinitionString")
    if not isinstance(text, dict):
        return
    lines = text["Fn::Join"][1]
    for name, given in properties.get("DefinitionSubstitutions", {}).items():
        if isinstance(given, dict) and given.get("Ref") in numbers:
            lines[:] = [line.replace(f'"${{{name}}}"', f"${{{name}}}") for line in lines]


def api_body(resources: Template) -> Template:
    """The OpenAPI document of the one HTTP API."""
    for resource in resources.values():
        if resource["Type"] == "AWS::ApiGatewayV2::Api":
            body: Template = resource["Properties"].get("Body", {})
            return body
    return {}
