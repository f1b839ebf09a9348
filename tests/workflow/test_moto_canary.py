"""Says so when moto moves what the workflow tests replace."""

import inspect

import pytest
from moto.dynamodb import models as dynamodb_models
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)


def test_lambda_tasks_still_invoke_through_the_name_we_replace():
    assert "boto_client_for(" in inspect.getsource(lambda_eval_utils.exec_lambda_function)


def test_waits_still_go_through_the_method_we_replace():
    assert "_wait_interval(" in inspect.getsource(WaitFunction._eval_body)


def test_retries_still_sleep_through_the_name_we_replace():
    assert "time.sleep(" in inspect.getsource(retrier_decl)


def test_transactions_still_keep_a_table_through_the_name_we_replace():
    backend = dynamodb_models.DynamoDBBackend
    assert "copy.deepcopy(" in inspect.getsource(backend.transact_write_items)


def test_a_cancelled_transaction_leaves_everything_as_it_was(stage):
    """A counter that was moved, and a record that was put, before the condition that fails."""
    key = {"pk": {"S": "SPEND#day"}, "sk": {"S": "d"}}
    table = {"TableName": "table"}
    stage.dynamodb.put_item(**table, Item={**key, "n": {"N": "1"}})
    before = stage.dynamodb.scan(**table)["Items"]
    writes = [
        {"Put": {**table, "Item": {"pk": {"S": "new"}, "sk": {"S": "new"}}}},
        {
            "Update": {
                **table,
                "Key": key,
                "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
        },
        {
            "ConditionCheck": {
                **table,
                "Key": {"pk": {"S": "no"}, "sk": {"S": "no"}},
                "ConditionExpression": "attribute_exists(pk)",
            }
        },
    ]
    with pytest.raises(stage.dynamodb.exceptions.TransactionCanceledException):
        stage.dynamodb.transact_write_items(TransactItems=writes)
    assert stage.dynamodb.scan(**table)["Items"] == before
