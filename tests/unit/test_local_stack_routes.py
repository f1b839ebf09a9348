"""Routes from the OpenAPI document that SAM writes."""

from unittest.mock import Mock

import pytest

from local_stack import routes
from local_stack.routes import Authorizer, Route


def operation(function="SubmitFunction", **more):
    place = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31"
    uri = f"{place}/functions/${{{function}.Arn}}/invocations"
    integration = {"uri": {"Fn::Sub": uri}, "payloadFormatVersion": "2.0", "type": "aws_proxy"}
    return {"x-amazon-apigateway-integration": integration, **more}


JWT = {
    "x-amazon-apigateway-authorizer": {
        "type": "jwt",
        "jwtConfiguration": {"issuer": "https://issuer.example", "audience": ["clips"]},
        "identitySource": "$request.header.Authorization",
    }
}


def test_an_iam_route_is_an_iam_route():
    body = {"paths": {"/v1/videos": {"post": operation(security=[{"AWS_IAM": []}])}}}
    assert routes.from_body(body).routes == (Route("POST /v1/videos", "SubmitFunction", "AWS_IAM"),)


def test_a_jwt_route_brings_its_authorizer_and_scopes():
    body = {
        "components": {"securitySchemes": {"Login": JWT}},
        "paths": {"/v1/videos/{renderId}": {"get": operation(security=[{"Login": ["read"]}])}},
    }
    table = routes.from_body(body)
    assert table.routes == (
        Route("GET /v1/videos/{renderId}", "SubmitFunction", "JWT", "Login", ("read",)),
    )
    assert table.authorizers["Login"] == Authorizer(
        "Login", "https://issuer.example", ("clips",), "$request.header.Authorization"
    )


TOKEN = {
    "x-amazon-apigateway-authorizer": {
        "type": "request",
        "authorizerUri": {
            "Fn::Sub": [
                "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${A}/invocations",
                {"A": {"Fn::GetAtt": ["AuthorizeFunction", "Arn"]}},
            ]
        },
        "authorizerResultTtlInSeconds": 45,
        "identitySource": ["$request.header.Authorization"],
        "authorizerPayloadFormatVersion": "2.0",
        "enableSimpleResponses": True,
    }
}


def test_an_authorizer_that_is_a_function_is_made_with_all_that_the_template_says():
    body = {
        "components": {"securitySchemes": {"ServiceToken": TOKEN}},
        "paths": {"/generate": {"post": operation(security=[{"ServiceToken": []}])}},
    }
    table = routes.from_body(body)
    assert table.functions == {"SubmitFunction", "AuthorizeFunction"}
    gateway = Mock()
    for kind in ("routes", "integrations", "authorizers"):
        getattr(gateway, f"get_{kind}").return_value = {"Items": []}
    gateway.create_integration.return_value = {"IntegrationId": "i1"}
    gateway.create_authorizer.return_value = {"AuthorizerId": "a1"}
    arns = {"SubmitFunction": "arn:submit", "AuthorizeFunction": "arn:authorize"}
    routes.make(gateway, "api", table, arns)
    gateway.create_authorizer.assert_called_once_with(
        ApiId="api",
        Name="ServiceToken",
        AuthorizerType="REQUEST",
        IdentitySource=["$request.header.Authorization"],
        AuthorizerUri="arn:authorize",
        AuthorizerPayloadFormatVersion="2.0",
        AuthorizerResultTtlInSeconds=45,
        EnableSimpleResponses=True,
    )
    gateway.create_route.assert_called_once_with(
        ApiId="api",
        RouteKey="POST /generate",
        Target="integrations/i1",
        AuthorizationType="CUSTOM",
        AuthorizerId="a1",
    )


def test_any_method_and_the_default_route_have_their_keys():
    method = "x-amazon-apigateway-any-method"
    body = {"paths": {"/mcp": {method: operation()}, "/$default": {method: operation()}}}
    assert [route.key for route in routes.from_body(body).routes] == ["$default", "ANY /mcp"]


def test_an_unknown_authorizer_is_an_error_and_never_an_open_route():
    body = {"paths": {"/v1/videos": {"post": operation(security=[{"Custom": []}])}}}
    with pytest.raises(ValueError, match="Custom"):
        routes.from_body(body)


def test_two_authorizers_on_one_route_are_an_error():
    body = {"paths": {"/v1/videos": {"post": operation(security=[{"AWS_IAM": []}, {"NONE": []}])}}}
    with pytest.raises(ValueError, match="more than one"):
        routes.from_body(body)


def test_an_integration_without_a_function_is_an_error():
    broken = {"x-amazon-apigateway-integration": {"uri": "https://example.com"}}
    with pytest.raises(ValueError, match="no function"):
        routes.from_body({"paths": {"/v1/videos": {"post": broken}}})


def test_making_routes_replaces_those_of_an_earlier_deploy():
    gateway = Mock()
    gateway.get_routes.return_value = {"Items": [{"RouteId": "old"}]}
    gateway.get_integrations.return_value = {"Items": []}
    gateway.get_authorizers.return_value = {"Items": []}
    gateway.create_integration.return_value = {"IntegrationId": "i1"}
    body = {
        "paths": {
            "/v1/videos": {
                "get": operation(security=[{"AWS_IAM": []}]),
                "post": operation(security=[{"AWS_IAM": []}]),
            }
        }
    }
    routes.make(gateway, "api", routes.from_body(body), {"SubmitFunction": "arn:function"})
    gateway.delete_route.assert_called_once_with(ApiId="api", RouteId="old")
    gateway.create_integration.assert_called_once()
    assert [call.kwargs["RouteKey"] for call in gateway.create_route.call_args_list] == [
        "GET /v1/videos",
        "POST /v1/videos",
    ]
    assert {call.kwargs["AuthorizationType"] for call in gateway.create_route.call_args_list} == {
        "AWS_IAM"
    }
