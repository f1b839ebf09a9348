"""What the template says about webhooks is what the program relies on."""

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.workflow.conftest import Cloud
from videoconductor import receivers, reports, webhooks, wiring
from videoconductor.clip import Notice, Render

ROOT = Path(__file__).parents[2]
TEMPLATE = Cloud.template()
RESOURCES = TEMPLATE["Resources"]
SIX_TIMES = 6  # docs.aws.amazon.com/lambda: services-sqs-configure


def sample() -> Render:
    document = json.loads((ROOT / "events/thumbnail.json").read_text())
    return Render.model_validate({**document, "callbackUrl": "https://hooks.example.com/"})


def policies(function: str) -> str:
    return json.dumps(RESOURCES[function]["Properties"]["Policies"])


def test_this_machine_is_called_back_on_the_local_stack_alone():
    """The variable is set for all functions at once, by what no parameter can turn round."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["CALLBACK_LOOPBACK"] == ["IsCloud", "", "true"]  # an !If
    assert TEMPLATE["Conditions"]["IsCloud"] == ["Environment", "cloud"]  # an !Equals
    assert TEMPLATE["Parameters"]["Environment"]["AllowedValues"] == ["cloud", "local"]
    text = (ROOT / "template.yaml").read_text()
    assert text.count("CALLBACK_LOOPBACK") == 1
    # Empty counts as not set.
    assert wiring.Settings.model_validate({}).callback_loopback is False


def test_the_queue_fits_the_function_and_the_schedule():
    queue = RESOURCES["WebhookQueue"]["Properties"]
    timeout = TEMPLATE["Globals"]["Function"]["Timeout"]
    assert "Timeout" not in RESOURCES["CallBackFunction"]["Properties"]
    assert queue["VisibilityTimeout"] >= SIX_TIMES * timeout
    assert queue["RedrivePolicy"]["maxReceiveCount"] == webhooks.MAX_ATTEMPTS
    assert queue["MessageRetentionPeriod"] > webhooks.MAX_WAIT * webhooks.MAX_ATTEMPTS
    dead = RESOURCES["WebhookDeadLetters"]["Properties"]
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["SqsManagedSseEnabled"] is dead["SqsManagedSseEnabled"] is True


def test_the_mapping_reports_each_failure_and_is_bounded():
    mapping = RESOURCES["CallBackMapping"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 50
    assert mapping["BatchSize"] == 1  # a notice that raises repeats no other


def test_every_event_of_ours_that_ends_something_is_told():
    rule = RESOURCES["NotifyFunction"]["Properties"]["Events"]["AtRest"]["Properties"]
    assert rule["Pattern"]["source"] == ["videoconductor"]
    types = {*reports.DETAIL_TYPES.values(), reports.FILM_READY}
    assert set(rule["Pattern"]["detail-type"]) == types
    assert rule["DeadLetterConfig"]
    assert rule["RetryPolicy"]


def test_one_function_reads_the_key_and_neither_has_more_than_it_needs():
    readers = {
        name
        for name, resource in RESOURCES.items()
        if "WebhookKey" in json.dumps(resource.get("Properties", {}).get("Policies", ""))
    }
    assert readers == {"CallBackFunction"}
    assert RESOURCES["WebhookKey"]["DeletionPolicy"] == "Retain"
    for name in ("NotifyFunction", "CallBackFunction"):
        assert "s3:" not in policies(name)
        assert "events:" not in policies(name)
    assert "PutItem" not in policies("NotifyFunction")
    senders = {name for name in RESOURCES if "sqs:SendMessage" in json.dumps(RESOURCES[name])}
    assert {"NotifyFunction", "ResolveFunction", "FilmFunction"} <= senders
    assert "CallBackFunction" not in senders


def test_the_sample_of_the_queue_is_the_notice_of_the_sample_of_the_bus():
    found = webhooks.news(sample())
    event = json.loads((ROOT / "events/notify.json").read_text())
    [record] = json.loads((ROOT / "events/call_back.json").read_text())["Records"]
    assert found is not None
    assert Notice.model_validate_json(record["body"]) == found.notice
    assert event["detail-type"] == found.notice.type
    assert set(event["detail"]) == set(found.told) - {"links"}


PAGE = (ROOT / "docs/webhooks.md").read_text()


def test_the_receiver_shown_takes_what_is_signed_for_it_once_and_nothing_else():
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    secret = webhooks.secret("key", "token:studio")
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        env={"WEBHOOK_SECRET": secret, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    found = webhooks.news(sample())
    assert found is not None
    text = webhooks.body(found.notice, found.told)

    def answered(by: str, content: str) -> int:
        now = datetime.now(UTC)
        headers = webhooks.headers(found.notice.webhook_id, now, text, [by])
        url = f"http://127.0.0.1:{port}/"
        return httpx.post(url, content=content, headers=headers, trust_env=False).status_code

    try:
        assert _listens(port)
        assert answered(secret, text) == answered(secret, text) == 204
        assert answered(secret, text.replace("opener", "closer")) == 401
        assert answered(webhooks.secret("key", "token:other"), text) == 401
    finally:
        started.terminate()
        printed = started.communicate(timeout=10)[0]
    assert printed == f"ClipReady {found.told['links']['self']}\n"


def _listens(port: int) -> bool:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False


def test_the_webhook_shown_is_as_it_is_sent():
    [shown] = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)]
    found = webhooks.news(sample())
    assert found is not None
    sent = json.loads(webhooks.body(found.notice, found.told))
    assert set(shown) == set(sent)
    assert set(shown["data"]) == set(sent["data"])
    assert shown["timestamp"] == sent["timestamp"]


def test_the_schedule_shown_is_the_one_that_is_kept():
    words = "after 5 seconds, 5 minutes, 30 minutes, 2, 5, 10 and 7 hours"
    assert words in PAGE
    assert (5, 300, 1800, *(h * 3600 for h in (2, 5, 10, 7))) == webhooks.BACKOFF
    assert f"{webhooks.MAX_ATTEMPTS} attempts, the last of them 25 to 27 hours after" in PAGE
    shortest = sum(webhooks.BACKOFF) / 3600
    assert (round(shortest), round(shortest * (1 + webhooks.JITTER))) == (25, 27)
    assert f"up to {webhooks.MAX_WAIT // 3600} hours" in PAGE
    assert f"first {webhooks.MAX_MISSING} of the clips" in PAGE
    assert f"waited for {receivers.SECONDS:g} seconds" in PAGE
