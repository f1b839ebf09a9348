"""`videoconductor webhook` against a stack's outputs, key and queues."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from standardwebhooks import Webhook
from typer.testing import CliRunner

from videoconductor import webhooks
from videoconductor_cli import address, showing, webhook_desk
from videoconductor_cli.main import app
from videoconductor_cli.webhook_desk import WebhookDesk


class Stacks:
    """CloudFormation, as far as outputs go."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if StackName == "nobody":
            words = {"Code": "ValidationError", "Message": "Stack with id nobody does not exist"}
            raise ClientError({"Error": words}, "DescribeStacks")
        found = self._outputs if StackName == "vc" else {}
        listed = [{"OutputKey": name, "OutputValue": value} for name, value in found.items()]
        return {"Stacks": [{"Outputs": listed}]}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("VIDEOCONDUCTOR_STACK", raising=False)
    with mock_aws():
        sqs = boto3.client("sqs")
        made = SimpleNamespace(
            sqs=sqs,
            queue=sqs.create_queue(QueueName="queue")["QueueUrl"],
            dead=sqs.create_queue(QueueName="dead")["QueueUrl"],
        )
        boto3.client("secretsmanager").create_secret(Name="key", SecretString="master")
        stacks = Stacks(
            {
                "WebhookKeySecret": "key",
                "WebhookQueueUrl": made.queue,
                "WebhookDeadLettersUrl": made.dead,
            }
        )

        def client(name: str) -> Any:
            return stacks if name == "cloudformation" else boto3.client(name)

        monkeypatch.setattr(
            webhook_desk, "find", lambda name, _: WebhookDesk(client, name, patience=0)
        )
        yield made


def run(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, ["webhook", *arguments])
    return outcome.exit_code, outcome.stdout, outcome.stderr


def test_the_secret_is_that_of_the_caller_named_or_of_who_asks(stack):
    code, out, _ = run("secret", "--caller", "token:ci", "--stack", "vc")
    assert (code, out.strip()) == (0, webhooks.secret("master", "token:ci"))
    Webhook(out.strip())
    me = boto3.client("sts").get_caller_identity()["Arn"]
    assert run("secret", "--stack", "vc")[1].strip() == webhooks.secret("master", me)


def test_dead_letters_are_listed_and_stay_until_they_are_tried_again(stack):
    notice = {
        "type": "ClipReady",
        "webhookId": "wh_1",
        "happenedAt": "2026-11-22T20:15:36Z",
        "renderId": "r1",
    }
    stack.sqs.send_message(QueueUrl=stack.dead, MessageBody=json.dumps(notice))
    for _ in range(2):
        code, out, _ = run("dead", "--stack", "vc", "--json")
        [shown] = json.loads(out)["webhooks"]
        assert (code, shown["webhookId"], shown["of"]) == (0, "wh_1", "r1")
    assert "wh_1" in run("dead", "--stack", "vc", "--redeliver")[1]
    [moved] = stack.sqs.receive_message(QueueUrl=stack.queue)["Messages"]
    assert json.loads(moved["Body"]) == notice
    assert "none was given up" in run("dead", "--stack", "vc")[2]


def test_another_stack_says_so(stack):
    boto3.client("cloudformation").create_stack(
        StackName="other",
        TemplateBody=json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}),
    )
    code, _, words = run("secret", "--stack", "other")
    assert (code, "WebhookKeySecret" in words) == (2, True)
    assert run("secret", "--stack", "nobody")[0] == 3


def test_renders_are_told_once_more(monkeypatch):
    asked = []
    monkeypatch.setattr(
        address, "client", lambda *_: SimpleNamespace(redeliver=lambda name: asked.append(name))
    )
    assert run("redeliver", "r1", "r2")[0] == 0
    assert asked == ["r1", "r2"]


def test_status_says_how_telling_went():
    callback = {
        "attempts": 2,
        "lastStatus": None,
        "lastError": "no answer within 10 s",
        "nextAttemptAt": "2026-11-22T20:20:00Z",
        "deliveredAt": None,
        "givenUpAt": None,
    }
    last = "(2 attempts, the last: no answer within 10 s)"
    assert showing.told(None) is None
    assert showing.told(callback) == f"again at 2026-11-22T20:20:00Z {last}"
    dead = {**callback, "nextAttemptAt": None, "givenUpAt": "2026-11-23T20:20:00Z"}
    assert showing.told(dead) == f"given up {last}"
    taken = {**callback, "nextAttemptAt": None, "deliveredAt": "2026-11-22T20:16:00Z"}
    assert showing.told(taken) == "told at 2026-11-22T20:16:00Z"
    assert showing.told({**callback, "nextAttemptAt": None}) == "not told yet"
