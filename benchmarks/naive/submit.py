"""The door as it is often written: all of it at the top, and three calls a request.

A key that came before is looked up, then there is a record, then an execution.
"""

import json
import os
import uuid

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from naive_models import Clip, ClipRequest, Render

logger = Logger(service="naive")
metrics = Metrics(namespace="Naive", service="naive")
tracer = Tracer(service="naive")
app = APIGatewayHttpResolver(enable_validation=True)
dynamodb = boto3.client("dynamodb")
machine = boto3.client("stepfunctions")


@app.post("/v1/videos")
def submit(request: ClipRequest) -> Response[str]:
    asked = app.current_event.headers.get("idempotency-key", uuid.uuid4().hex)
    render_id = uuid.uuid5(uuid.NAMESPACE_URL, asked).hex
    key = {"pk": {"S": f"RENDER#{render_id}"}, "sk": {"S": "RENDER"}}
    table = os.environ["TABLE_NAME"]
    found = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if found:
        body = json.dumps({"renderId": render_id, "status": found["status"]["S"]})
        return Response(202, "application/json", body)
    render = Render(renderId=render_id, status="planned", clip=Clip(request=request))
    dynamodb.put_item(
        TableName=table,
        Item={
            **key,
            "status": {"S": render.status},
            "document": {"S": render.model_dump_json()},
        },
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
