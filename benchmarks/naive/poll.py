"""State Poll as it is often written: all of it imported and built at the top."""

import os

import boto3
import httpx
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities import parameters
from naive_models import Render

logger = Logger(service="naive")
metrics = Metrics(namespace="Naive", service="naive")
tracer = Tracer(service="naive")
dynamodb = boto3.client("dynamodb")
secrets = parameters.SecretsProvider(boto3_client=boto3.client("secretsmanager"))
http = httpx.Client()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event, context):
    render = Render.model_validate(event)
    key = secrets.get(os.environ["XAI_API_KEY_SECRET"])
    url = f"https://api.x.ai/v1/videos/{render.clip.requestId}"
    reply = http.get(url, headers={"Authorization": f"Bearer {key}"}).json()
    dynamodb.update_item(
        TableName=os.environ["TABLE_NAME"],
        Key={"pk": {"S": f"RENDER#{render.renderId}"}, "sk": {"S": "RENDER"}},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": reply["status"]}},
    )
    return render.model_copy(update={"status": reply["status"]}).model_dump(mode="json")
