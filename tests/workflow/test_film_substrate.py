"""What the tests of films take for granted about moto: says so when that is no longer so."""

import inspect
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import BotocoreStubber
from moto.stepfunctions.parser.asl.antlr.runtime.ASLParser import ASLParser
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback,
    state_task_service_sfn,
)

from tests.workflow.conftest import REGION, definition
from tests.workflow.test_film import script
from tests.workflow.test_film_failures import until


def test_nested_executions_still_go_through_the_names_we_replace():
    source = inspect.getsource(state_task_service_sfn.StateTaskServiceSfn)
    assert source.count("boto_client_for(") >= 2
    waiting = inspect.getsource(state_task_service_callback.StateTaskServiceCallback._eval_sync)
    assert "time.sleep(_DELAY_SECONDS_SYNC_CONDITION_CHECK)" in waiting


def test_requests_and_definitions_still_go_through_the_methods_we_replace():
    assert "self.process_request(" in inspect.getsource(BotocoreStubber.__call__)
    assert callable(ASLParser.state_machine)


def test_the_parser_still_wants_a_decimal_point(films):
    """Should this fail, FilmStage need not write it into the definition any more."""
    client = boto3.client("stepfunctions", REGION)
    text = definition("render_film")
    assert re.search(r'"ToleratedFailurePercentage": 100,', text)
    with pytest.raises(ClientError, match="ToleratedFailurePercentage"):
        client.create_state_machine(name="other", definition=text, roleArn="arn:aws:iam::1:role/r")


def test_of_many_writers_at_once_one_wins_each_round(films):
    workers = 6
    together = threading.Barrier(workers)
    # Threads that ask for it at the same moment may be given a class each.
    refused = films.dynamodb.exceptions.ConditionalCheckFailedException

    def write(number):
        won = 0
        for n in range(40):
            together.wait()
            with suppress(refused):
                films.dynamodb.put_item(
                    TableName="table",
                    Item={"pk": {"S": f"{n}"}, "sk": {"S": "x"}, "by": {"N": f"{number}"}},
                    ConditionExpression="attribute_not_exists(pk)",
                )
                films.s3.put_object(Bucket="library", Key=f"{n}", Body=b"", IfNoneMatch="*")
                won += 1
        return won

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(write, range(workers))) == 40


def test_stopping_a_film_ends_its_execution_and_leaves_the_clips(films):
    run, _ = films.accept(script("one [[sim:slow]]"))
    until(films.jobs)

    films.stop_film(run)

    client = boto3.client("stepfunctions", REGION)
    arn = films.film_machine_arn.replace("stateMachine", "execution") + f":{run.marker}"
    assert client.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert json.loads(client.describe_execution(executionArn=arn)["input"])["film"] == "film"
    films.settle()
    assert len(films.entries("film")) == 1
    assert "conclude" not in films.calls
