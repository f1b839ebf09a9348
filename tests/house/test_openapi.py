"""The OpenAPI document says what the code says, and what the template lets in."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from local_stack import packaging, routes
from videoconductor import openapi
from videoconductor.clip import ClipRequest
from videoconductor.models import ModelCatalog
from videoconductor.quality import QualityModes

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "docs/openapi.json"
MODES = QualityModes.from_json((ROOT / "presets/video-presets.json").read_text())
MODELS = ModelCatalog.from_json((ROOT / "presets/models.json").read_text())
# It speaks the Model Context Protocol, which describes itself.
NOT_DESCRIBED = {"ANY /mcp"}
AUTHORIZERS = {"AWS_IAM": "sigv4", "ServiceToken": "serviceToken", None: None}


@cache
def document() -> dict[str, Any]:
    return openapi.document(MODES, MODELS)


@cache
def deployed() -> tuple[routes.Route, ...]:
    """The routes of the template after the SAM transform."""
    source = packaging.read_template(ROOT / "template.yaml")
    # The transform wants code to be in S3 already.
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://bucket/key"
        elif resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://bucket/key"
    resources = packaging.translate(source, "us-east-1")["Resources"]
    return routes.from_body(packaging.api_body(resources)).routes


def described() -> dict[str, str | None]:
    """The security scheme of each route of the document, by route."""
    return {
        f"{method.upper()} {path}": next(
            (name for need in operation["security"] for name in need), None
        )
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    }


def test_the_document_in_the_docs_is_the_one_of_the_code():
    assert json.loads(WRITTEN.read_text()) == json.loads(json.dumps(document())), (
        "write it anew: .venv/bin/videoconductor openapi > docs/openapi.json"
    )


def test_it_is_an_openapi_3_1_document():
    errors = [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()]
    assert errors == []
    assert document()["openapi"] == "3.1.0"


def test_it_has_the_routes_of_the_template_and_their_authorizers():
    secured = {
        route.key: AUTHORIZERS["AWS_IAM" if route.authorization == "AWS_IAM" else route.authorizer]
        for route in deployed()
    }
    assert secured.keys() >= NOT_DESCRIBED
    assert described() == {key: name for key, name in secured.items() if key not in NOT_DESCRIBED}
    assert None in secured.values()


def test_every_field_of_a_request_is_explained():
    schemas = document()["components"]["schemas"]
    fields = schemas["ClipRequest"]["properties"]
    assert fields.keys() == {field.alias for field in ClipRequest.model_fields.values()}
    for name in (
        "ClipRequest",
        "Attachment",
        "Retrial",
        "Remastering",
        "ThumbnailOrder",
        "Overlay",
    ):
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description"), f"{name}.{field}"


def test_every_link_and_reference_leads_somewhere():
    text = json.dumps(document())
    names = [
        operation["operationId"]
        for operations in document()["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))
    linked = {
        link["operationId"]
        for operations in document()["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    }
    assert linked
    assert linked <= set(names)
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in document()["components"][kind]
        if f'#/components/{kind}/{name}"' not in text
    ]
    assert unused == []


@pytest.mark.parametrize("status", [403, 404, 409, 503])
def test_a_status_that_an_error_becomes_is_described(status):
    assert str(status) in document()["components"]["responses"]
