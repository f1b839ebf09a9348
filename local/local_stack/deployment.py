"""Deploys a package to a running ministack and finds out what it has become."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local_stack import routes
from local_stack.errors import DeployFailed
from local_stack.packaging import CODE_BUCKET, Package

STACK = "videoconductor"
DIGEST = "local-stack-digest"  # tag on the API, set when a deploy is complete
API = "AWS::ApiGatewayV2::Api"
FUNCTION = "AWS::Lambda::Function"
PATIENCE = 90.0

Clients = Callable[[str], Any]


@dataclass(frozen=True)
class Deployed:
    """What clients of the stack ask for."""

    api_id: str
    stage: str
    bucket: str
    table: str
    state_machine_arn: str
    event_bus: str
    secret: str
    tokens_secret: str


def deploy(
    clients: Clients, package: Package, parameters: Mapping[str, str]
) -> tuple[bool, Deployed]:
    """Create or update the stack; False and nothing done when nothing has changed."""
    if unknown := set(parameters) - package.parameters:
        raise DeployFailed(f"template.yaml has no parameter {', '.join(sorted(unknown))}")
    digest = package.digest(parameters)
    physical = physical_ids(clients("cloudformation"))
    if is_deployed(clients, package, physical, digest):
        return False, look_up(clients, package, physical)
    upload(clients("s3"), package)
    put_stack(clients("cloudformation"), package, parameters, exists=bool(physical))
    physical = physical_ids(clients("cloudformation"))
    wait_for_functions(clients("lambda"), package, physical)
    make_routes(clients, package, physical, digest)
    return True, look_up(clients, package, physical)


def is_deployed(
    clients: Clients, package: Package, physical: Mapping[str, str], digest: str
) -> bool:
    """Was the last complete deploy this very one?"""
    api = next((physical.get(name) for name in package.named(API)), None)
    if api is None:
        return False
    gateway = clients("apigatewayv2")
    try:
        tags = gateway.get_tags(ResourceArn=api_arn(gateway, api))["Tags"]
    except ClientError:
        return False
    return bool(tags.get(DIGEST) == digest)


def api_arn(gateway: Any, api_id: str) -> str:
    return f"arn:aws:apigateway:{gateway.meta.region_name}::/apis/{api_id}"


def upload(s3: Any, package: Package) -> None:
    """The zips and the template, to where CloudFormation reads them from."""
    s3.create_bucket(Bucket=CODE_BUCKET)
    for key, zipped in package.zips.items():
        s3.put_object(Bucket=CODE_BUCKET, Key=key, Body=zipped)
    s3.put_object(Bucket=CODE_BUCKET, Key="template.json", Body=package.template.encode())


def put_stack(
    cloudformation: Any, package: Package, parameters: Mapping[str, str], exists: bool
) -> None:
    """CreateStack or UpdateStack, until it is done."""
    arguments = {
        "StackName": STACK,
        "TemplateURL": f"{cloudformation.meta.endpoint_url}/{CODE_BUCKET}/template.json",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": given} for name, given in parameters.items()
        ],
    }
    try:
        (cloudformation.update_stack if exists else cloudformation.create_stack)(**arguments)
    except ClientError as refused:
        if "No updates are to be performed" in str(refused):
            return
        raise DeployFailed(f"template.yaml was refused: {refused}") from refused
    deadline = time.monotonic() + PATIENCE
    while (stack := described(cloudformation))["StackStatus"].endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise DeployFailed(f"the stack is still {stack['StackStatus']}")
        time.sleep(0.1)
    if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        reasons = failures(cloudformation)
        if not exists:
            cloudformation.delete_stack(StackName=STACK)
        raise DeployFailed(f"the stack is {stack['StackStatus']}: {reasons}")


def described(cloudformation: Any) -> dict[str, Any]:
    stack: dict[str, Any] = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    return stack


def failures(cloudformation: Any) -> str:
    """Which resources were refused, and why."""
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    return "; ".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    )


def physical_ids(cloudformation: Any) -> dict[str, str]:
    """Physical by logical id; nothing when there is no stack."""
    try:
        resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    except ClientError as absent:
        if absent.response["Error"]["Code"] == "ValidationError":
            return {}
        raise
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in resources
        if resource.get("PhysicalResourceId") and "DELETE" not in resource["ResourceStatus"]
    }


def wait_for_functions(lambdas: Any, package: Package, physical: Mapping[str, str]) -> None:
    """Until every function is active on its new code."""
    for name in package.named(FUNCTION):
        lambdas.get_waiter("function_updated_v2").wait(FunctionName=physical[name])


def make_routes(
    clients: Clients, package: Package, physical: Mapping[str, str], digest: str
) -> None:
    """The API's routes; then the mark that the deploy is complete."""
    lambdas, gateway = clients("lambda"), clients("apigatewayv2")
    table = routes.from_body(package.body)
    arns = {
        name: lambdas.get_function_configuration(FunctionName=physical[name])["FunctionArn"]
        for name in table.functions
    }
    for name in package.named(API):
        routes.make(gateway, physical[name], table, arns)
        gateway.tag_resource(ResourceArn=api_arn(gateway, physical[name]), Tags={DIGEST: digest})


def look_up(clients: Clients, package: Package, physical: Mapping[str, str]) -> Deployed:
    """The template's outputs and its API."""
    listed = described(clients("cloudformation")).get("Outputs", [])
    outputs = {output["OutputKey"]: output["OutputValue"] for output in listed}
    api = physical[package.named(API)[0]]
    stages = clients("apigatewayv2").get_stages(ApiId=api)["Items"]
    try:
        return Deployed(
            api_id=api,
            stage=stages[0]["StageName"],
            bucket=outputs["BucketName"],
            table=outputs["TableName"],
            state_machine_arn=outputs["StateMachineArn"],
            event_bus=outputs["EventBusName"],
            secret=outputs["XaiApiKeySecret"],
            tokens_secret=outputs["ServiceTokensSecret"],
        )
    except KeyError as missing:
        raise DeployFailed(f"template.yaml has no output {missing}") from missing
