"""Alarms, their pages, and the dashboard: each has the other; what a page says to run exists."""

import json
import re
import shlex

import pytest
import typer

from tests.house.test_access import source
from tests.workflow.conftest import ROOT
from videoconductor_cli.main import app

RESOURCES = source()["Resources"]
ALARMS = {
    name: one["Properties"]
    for name, one in RESOURCES.items()
    if one["Type"] == "AWS::CloudWatch::Alarm"
}
PAGES = {path.stem: path for path in sorted((ROOT / "docs/runbook").glob("*.md"))}
PARTS = ["What it means", "What to look at", "What to run", "If nobody does anything"]


def stem(alarm):
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alarm.removesuffix("Alarm")).lower()


def metrics(properties):
    """What an alarm watches, metric math included."""
    if "MetricName" in properties:
        return {(properties["Namespace"], properties["MetricName"])}
    parts = [one["MetricStat"]["Metric"] for one in properties["Metrics"] if "MetricStat" in one]
    return {(one["Namespace"], one["MetricName"]) for one in parts}


def shown():
    """What the dashboard shows, a dot standing for what stood above it."""
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found = set()
    for widget in json.loads(body)["widgets"]:
        above = []
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], str):
                row = [above[at] if name == "." else name for at, name in enumerate(metric)]
                found.add((row[0], row[1]))
                above = row
    return found


def test_every_alarm_has_its_page_and_every_page_its_alarm():
    assert set(PAGES) == {stem(alarm) for alarm in ALARMS}


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_names_its_page_which_has_every_part(alarm):
    path = PAGES[stem(alarm)]
    assert ALARMS[alarm]["AlarmDescription"].endswith(f"({path.relative_to(ROOT)})")
    text = path.read_text("utf-8")
    assert text.startswith(f"# {alarm}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_notifies_and_says_what_no_figures_mean(alarm):
    properties = ALARMS[alarm]
    assert RESOURCES[alarm]["Condition"] == "IsCloud"
    assert "TreatMissingData" in properties
    assert properties["AlarmActions"]["Fn::If"][1] == [{"Ref": "AlarmTopicArn"}]
    assert metrics(properties) <= shown()


def commands(text):
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


SAID = sorted({line for path in PAGES.values() for line in commands(path.read_text("utf-8"))})


@pytest.mark.parametrize("line", [one for one in SAID if one.startswith("videoconductor ")])
def test_a_command_of_the_runbook_is_one_and_takes_what_it_is_given(line):
    command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= options
    # The arguments too: parsed as the command line does, without anything being done.
    command.make_context(command.name, list(words))


def test_the_other_commands_of_the_runbook_are_of_aws_or_plain_curl():
    others = {line.split()[0] for line in SAID} - {"videoconductor"}
    assert others == {"aws", "curl"}


@pytest.mark.parametrize("line", [one for one in SAID if one.startswith("aws ")])
def test_a_command_of_aws_is_an_operation_of_its_service(line):
    import boto3

    service, operation = shlex.split(line)[1:3]
    if (service, operation) == ("logs", "tail"):
        return  # of the command line's own
    client = boto3.client(service, region_name="us-east-1")
    assert hasattr(client, operation.replace("-", "_"))


def test_a_change_of_words_a_page_or_a_metric_would_be_found():
    text = "```console\n$ videoconductor attach\n$ aws s3 rm\n```\n"
    assert commands(text) == ["videoconductor attach", "aws s3 rm"]
    assert stem("ExecutionsTimedOutAlarm") == "executions-timed-out"
    assert ("VideoConductor", "NobodyCountsThis") not in shown()
