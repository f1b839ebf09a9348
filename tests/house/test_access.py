"""Who is let in where, read from the template as SAM makes it: no door without a guard."""

import copy
import json
from functools import cache

import pytest

from local_stack.packaging import read_template, translate
from tests.workflow.conftest import ROOT

# An HTTP API cannot send a 401 of its own with WWW-Authenticate: the function asks for the token.
# The other two say nothing about anybody.
OPEN = {"ANY /mcp", "GET /.well-known/oauth-protected-resource", "GET /health"}
BEARER = {"POST /api/mcp/v1/videos/generate", "GET /api/mcp/v1/videos/{renderId}"}
GUARDS = {"AWS_IAM", "ServiceToken"}
ANY_METHOD = "x-amazon-apigateway-any-method"
OTHER_DOORS = {
    "AWS::ApiGateway::RestApi",
    "AWS::AppSync::GraphQLApi",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::Lambda::Url",
}


@cache
def source():
    """template.yaml, with code from anywhere: the transform does not look at it."""
    template = read_template(ROOT / "template.yaml")
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in properties:
                properties[name] = "s3://bucket/key"
    return template


def guards(template):
    """Every way into a template from outside, and who guards it; None where nobody does."""
    resources = translate(copy.deepcopy(template), "us-east-1")["Resources"]
    found = {}
    for name, resource in resources.items():
        if resource["Type"] in OTHER_DOORS:
            found[f"{resource['Type']} {name}"] = None
        if resource["Type"] != "AWS::ApiGatewayV2::Api":
            continue
        body = resource["Properties"]["Body"]
        for path, operations in body["paths"].items():
            for method, operation in operations.items():
                verb = "ANY" if method == ANY_METHOD else method.upper()
                names = {name for one in operation.get("security", []) for name in one}
                [guard] = names or {"NONE"}
                found[f"{verb} {path}"] = None if guard == "NONE" else guard
    return found


@cache
def doors():
    return guards(source())


def test_every_route_is_guarded_but_for_three_by_name():
    found = doors()
    assert set(found.values()) == {None, *GUARDS}
    assert {key for key, guard in found.items() if guard is None} == OPEN
    assert {key for key, guard in found.items() if guard == "ServiceToken"} == BEARER
    assert all(key.split("/")[1] == "v1" for key, guard in found.items() if guard == "AWS_IAM")


def without_authorizer(template):
    route = template["Resources"]["BrowseFunction"]["Properties"]["Events"]["Renders"]
    route["Properties"]["Auth"] = {"Authorizer": "NONE"}
    return "GET /v1/videos"


def on_another_api(template):
    route = {"Type": "HttpApi", "Properties": {"Method": "GET", "Path": "/v2/videos"}}
    template["Resources"]["BrowseFunction"]["Properties"]["Events"]["Other"] = route
    return "GET /v2/videos"


def by_function_url(template):
    properties = template["Resources"]["GenerateFunction"]["Properties"]
    properties["FunctionUrlConfig"] = {"AuthType": "NONE"}
    return "AWS::Lambda::Url GenerateFunctionUrl"


@pytest.mark.parametrize("mutant", [without_authorizer, on_another_api, by_function_url])
def test_a_door_left_open_is_found(mutant):
    template = copy.deepcopy(source())
    opened = mutant(template)
    assert guards(template)[opened] is None
    assert opened not in OPEN


def test_the_authorizer_is_as_its_function_answers():
    """Format 2.0 with simple answers, which hold for every route; a policy's would for one."""
    resources = translate(copy.deepcopy(source()), "us-east-1")["Resources"]
    [api] = [one for one in resources.values() if one["Type"] == "AWS::ApiGatewayV2::Api"]
    scheme = api["Properties"]["Body"]["components"]["securitySchemes"]["ServiceToken"]
    made = scheme["x-amazon-apigateway-authorizer"]
    assert made["authorizerPayloadFormatVersion"] == "2.0"
    assert made["enableSimpleResponses"] is True
    assert made["identitySource"] == ["$request.header.Authorization"]
    assert "AuthorizeFunction" in json.dumps(made["authorizerUri"])
    invokers = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::Permission"
        and "AuthorizeFunction" in json.dumps(one["Properties"]["FunctionName"])
    ]
    assert [one["Principal"] for one in invokers] == ["apigateway.amazonaws.com"]


def test_only_the_authorizer_and_mcp_read_the_tokens_and_nothing_writes_them():
    readers = {}
    for name, resource in source()["Resources"].items():
        for policy in resource.get("Properties", {}).get("Policies", []):
            for statement in policy["Statement"] if isinstance(policy, dict) else []:
                if "ServiceTokens" in json.dumps(statement["Resource"]):
                    readers[name] = statement["Action"]
    assert readers == {
        "AuthorizeFunction": "secretsmanager:GetSecretValue",
        "McpFunction": "secretsmanager:GetSecretValue",
    }
