"""State Finalize as it is often written: all of it imported and built at the top."""

import json
import os

import boto3
import httpx
from aws_lambda_powertools import Logger, Metrics, Tracer
from naive_models import Render

logger = Logger(service="naive")
metrics = Metrics(namespace="Naive", service="naive")
tracer = Tracer(service="naive")
dynamodb = boto3.client("dynamodb")
library = boto3.client("s3")
events = boto3.client("events")
http = httpx.Client()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event, context):
    render = Render.model_validate(event)
    content = http.get(render.clip.url).content
    library.put_object(Bucket=os.environ["BUCKET_NAME"], Key=render.renderId, Body=content)
    done = {"renderId": render.renderId, "status": "finalized"}
    dynamodb.put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={"pk": {"S": f"RENDER#{render.renderId}"}, "sk": {"S": "ENTRY"}},
    )
    events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS_NAME"],
                "Source": "naive",
                "DetailType": "Finalized",
                "Detail": json.dumps(done),
            }
        ]
    )
    return render.model_copy(update={"status": "finalized"}).model_dump(mode="json")
