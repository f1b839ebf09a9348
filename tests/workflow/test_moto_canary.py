"""Says so when moto moves what the workflow tests replace."""

import inspect

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
