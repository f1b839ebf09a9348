"""The door as it is often written: all of it at the top, and three calls a request."""

import json
import os
import uuid

import boto3
import httpx
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig
from aws_lambda_powertools.utilities.idempotency.persistence.dynamodb import (
    DynamoDBPersistenceLayer,
)
from naive_models import Clip, ClipRequest, Render

logger = Logger(service="naive")
metrics = Metrics(namespace="Naive", service="naive")
tracer = Tracer(service="naive")
app = APIGatewayHttpResolver(enable_validation=True)
http = httpx.Client()
dynamodb = boto3.client("dynamodb")
machine = boto3.client("stepfunctions")
library = boto3.client("s3")
kept = DynamoDBPersistenceLayer(table_name=os.environ["TABLE_NAME"], boto3_client=dynamodb)
once = IdempotencyConfig(event_key_jmespath='headers."idempotency-key"')


@app.post("/v1/videos")
def submit(request: ClipRequest) -> Response[str]:
    render = Render(renderId=uuid.uuid4().hex, status="planned", clip=Clip(request=request))
    key = {"pk": {"S": f"RENDER#{render.renderId}"}, "sk": {"S": "RENDER"}}
    dynamodb.get_item(TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True)
    dynamodb.put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={**key, "document": {"S": render.model_dump_json()}},
        ConditionExpression="attribute_not_exists(pk)",
    )
    machine.start_execution(
        stateMachineArn=os.environ["STATE_MACHINE_ARN"],
        name=render.renderId,
        input=render.model_dump_json(),
    )
    body = json.dumps({"renderId": render.renderId, "status": render.status})
    return Response(202, "application/json", body)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event, context):
    return app.resolve(event, context)
