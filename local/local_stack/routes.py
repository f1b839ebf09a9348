"""Makes an HTTP API's routes from its OpenAPI document.

SAM puts them in `Body` of AWS::ApiGatewayV2::Api, which ministack does not read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
ANY = "x-amazon-apigateway-any-method"
GOT = re.compile(r'\{"Fn::GetAtt": \["(\w+)", "Arn"\]\}')
INVOKED = re.compile(r"functions/\$\{(\w+)\.Arn\}/invocations")


@dataclass(frozen=True)
class Authorizer:
    """A JWT authorizer of the document."""

    name: str
    issuer: str
    audience: tuple[str, ...]
    identity_source: str


@dataclass(frozen=True)
class LambdaAuthorizer:
    """An authorizer that is a function: it is asked, with the request and no body, who calls."""

    name: str
    function: str  # logical id
    identity_sources: tuple[str, ...]
    ttl_seconds: int
    payload_format: str
    has_simple_answers: bool


@dataclass(frozen=True)
class Route:
    """One route: its key, the function behind it, who may call."""

    key: str
    function: str  # logical id
    authorization: str = "NONE"  # NONE, AWS_IAM, JWT or CUSTOM
    authorizer: str | None = None
    scopes: tuple[str, ...] = ()
    payload_format: str = "2.0"


@dataclass(frozen=True)
class RouteTable:
    routes: tuple[Route, ...] = ()
    authorizers: Mapping[str, Authorizer | LambdaAuthorizer] = field(default_factory=dict)

    @property
    def functions(self) -> frozenset[str]:
        """Logical ids of all that the gateway calls."""
        asked = {a.function for a in self.authorizers.values() if isinstance(a, LambdaAuthorizer)}
        return frozenset(asked | {route.function for route in self.routes})


def from_body(body: Mapping[str, Any]) -> RouteTable:
    """Routes and authorizers of an OpenAPI document as SAM writes it."""
    schemes = body.get("components", {}).get("securitySchemes", {})
    authorizers = {
        name: authorizer
        for name, scheme in schemes.items()
        if (authorizer := jwt_authorizer(name, scheme) or lambda_authorizer(name, scheme))
    }
    routes = [
        route(path, method, operation, authorizers)
        for path, operations in sorted(body.get("paths", {}).items())
        for method, operation in sorted(operations.items())
        if method in METHODS or method == ANY
        if "x-amazon-apigateway-integration" in operation
    ]
    return RouteTable(tuple(routes), authorizers)


def jwt_authorizer(name: str, scheme: Mapping[str, Any]) -> Authorizer | None:
    made = scheme.get("x-amazon-apigateway-authorizer", {})
    if made.get("type") != "jwt":
        return None
    jwt = made["jwtConfiguration"]
    source = made.get("identitySource", "$request.header.Authorization")
    if not isinstance(jwt["issuer"], str) or not all(isinstance(a, str) for a in jwt["audience"]):
        raise ValueError(f"{name}: issuer and audience have to be plain strings to run locally")
    return Authorizer(name, jwt["issuer"], tuple(jwt["audience"]), source)


def lambda_authorizer(name: str, scheme: Mapping[str, Any]) -> LambdaAuthorizer | None:
    made = scheme.get("x-amazon-apigateway-authorizer", {})
    if made.get("type") != "request":
        return None
    sources = made["identitySource"]
    return LambdaAuthorizer(
        name,
        function_in(made["authorizerUri"], name),
        tuple([sources] if isinstance(sources, str) else sources),
        int(made["authorizerResultTtlInSeconds"]),
        str(made["authorizerPayloadFormatVersion"]),
        bool(made.get("enableSimpleResponses", False)),
    )


def route(
    path: str,
    method: str,
    operation: Mapping[str, Any],
    authorizers: Mapping[str, Authorizer | LambdaAuthorizer],
) -> Route:
    """One operation. An authorization that is not understood is an error, never an open route."""
    integration = operation["x-amazon-apigateway-integration"]
    verb = "ANY" if method == ANY else method.upper()
    key = "$default" if path in {"/$default", "$default"} else f"{verb} {path}"
    function = function_in(integration["uri"], key)
    payload = str(integration.get("payloadFormatVersion", "2.0"))
    security: list[Mapping[str, list[str]]] = operation.get("security", [])
    if not security:
        return Route(key, function, payload_format=payload)
    (name, scopes), *others = security[0].items()
    if others or len(security) > 1:
        raise ValueError(f"{key}: more than one authorizer")
    if name == "AWS_IAM":
        return Route(key, function, "AWS_IAM", payload_format=payload)
    if name in authorizers:
        kind = "CUSTOM" if isinstance(authorizers[name], LambdaAuthorizer) else "JWT"
        return Route(key, function, kind, name, tuple(scopes), payload)
    if name == "NONE":
        return Route(key, function, payload_format=payload)
    raise ValueError(f"{key}: authorizer {name!r} is neither AWS_IAM nor one of its own")


def function_in(uri: Any, key: str) -> str:
    """The logical id of the function that an integration or an authorizer calls."""
    text = json.dumps(uri)
    found = INVOKED.search(text) or GOT.search(text)
    if found is None:
        raise ValueError(f"{key}: no function in {uri!r}")
    return found.group(1)


def make(api_gateway: Any, api_id: str, table: RouteTable, arns: Mapping[str, str]) -> None:
    """Replace the API's routes by those of the table. `arns`: functions by logical id."""
    remove_all(api_gateway, api_id)
    authorizer_ids = {
        name: api_gateway.create_authorizer(ApiId=api_id, Name=name, **described(authorizer, arns))[
            "AuthorizerId"
        ]
        for name, authorizer in table.authorizers.items()
    }
    integrations: dict[tuple[str, str], str] = {}
    for entry in table.routes:
        called = (entry.function, entry.payload_format)
        if called not in integrations:
            integrations[called] = api_gateway.create_integration(
                ApiId=api_id,
                IntegrationType="AWS_PROXY",
                IntegrationUri=arns[entry.function],
                IntegrationMethod="POST",
                PayloadFormatVersion=entry.payload_format,
            )["IntegrationId"]
        secured: dict[str, Any] = {"AuthorizationType": entry.authorization}
        if entry.authorizer is not None:
            secured["AuthorizerId"] = authorizer_ids[entry.authorizer]
            if entry.scopes:
                secured["AuthorizationScopes"] = list(entry.scopes)
        api_gateway.create_route(
            ApiId=api_id,
            RouteKey=entry.key,
            Target=f"integrations/{integrations[called]}",
            **secured,
        )


def described(authorizer: Authorizer | LambdaAuthorizer, arns: Mapping[str, str]) -> dict[str, Any]:
    """An authorizer as CreateAuthorizer takes it."""
    if isinstance(authorizer, Authorizer):
        return {
            "AuthorizerType": "JWT",
            "IdentitySource": [authorizer.identity_source],
            "JwtConfiguration": {
                "Issuer": authorizer.issuer,
                "Audience": list(authorizer.audience),
            },
        }
    return {
        "AuthorizerType": "REQUEST",
        "IdentitySource": list(authorizer.identity_sources),
        "AuthorizerUri": arns[authorizer.function],
        "AuthorizerPayloadFormatVersion": authorizer.payload_format,
        "AuthorizerResultTtlInSeconds": authorizer.ttl_seconds,
        "EnableSimpleResponses": authorizer.has_simple_answers,
    }


def remove_all(api_gateway: Any, api_id: str) -> None:
    """Take away what an earlier deploy made."""
    for old in api_gateway.get_routes(ApiId=api_id)["Items"]:
        api_gateway.delete_route(ApiId=api_id, RouteId=old["RouteId"])
    for old in api_gateway.get_integrations(ApiId=api_id)["Items"]:
        api_gateway.delete_integration(ApiId=api_id, IntegrationId=old["IntegrationId"])
    for old in api_gateway.get_authorizers(ApiId=api_id)["Items"]:
        api_gateway.delete_authorizer(ApiId=api_id, AuthorizerId=old["AuthorizerId"])
