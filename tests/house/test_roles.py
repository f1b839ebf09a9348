"""Each role against the code that has it: nothing missing, nothing over.

What a function's code can come to is told by `reach`, from its file through wiring to the edges.
It knows of actions, of the table's indexes, of machines, queues and secrets. It does not know under
which prefix of the bucket a key lies, and rules out no branch: what a role leaves out although the
code could come to it is named here, with the reason, and the whole stack runs with AUTH=true, under
these very roles, in tests/e2e.
"""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.house.reach import Code
from tests.house.test_access import source
from tests.workflow.conftest import ROOT

# Methods of clients and what they need to be allowed.
ACTIONS = {
    "DynamoDBClient.batch_get_item": {"dynamodb:BatchGetItem"},
    "DynamoDBClient.get_item": {"dynamodb:GetItem"},
    "DynamoDBClient.put_item": {"dynamodb:PutItem"},
    "DynamoDBClient.scan": {"dynamodb:Scan"},
    "DynamoDBClient.update_item": {"dynamodb:UpdateItem"},
    "EventBridgeClient.put_events": {"events:PutEvents"},
    "S3Client.abort_multipart_upload": {"s3:AbortMultipartUpload"},
    "S3Client.complete_multipart_upload": {"s3:PutObject"},
    "S3Client.copy_object": {"s3:GetObject", "s3:PutObject"},
    "S3Client.create_multipart_upload": {"s3:PutObject"},
    "S3Client.get_object": {"s3:GetObject"},
    "S3Client.head_object": {"s3:GetObject"},
    "S3Client.list_objects_v2": {"s3:ListBucket"},
    "S3Client.put_object": {"s3:PutObject"},
    "S3Client.upload_part": {"s3:PutObject"},
}
# Those of which the first argument says it.
NAMED = {
    ("S3Client.generate_presigned_url", "get_object"): {"s3:GetObject"},
    ("S3Client.generate_presigned_url", "put_object"): {"s3:PutObject"},
    ("S3Client.get_paginator", "list_objects_v2"): {"s3:ListBucket"},
}
# What is seen to by what calls them, below.
ELSEWHERE = {"DynamoDBClient", "SFNClient", "SQSClient", "SecretsManagerClient"}
WRITES = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
}
# Without s3:ListBucket S3 answers 403, not 404, for what is not there.
MEANT_TO_BE_ABSENT = {"_ABSENT", "_NO_SUCH_VERSION"}
MACHINES = {
    "start": "states:StartExecution RenderClip",
    "start_film": "states:StartExecution RenderFilm",
    "running": "states:ListExecutions RenderClip",
    "films_running": "states:ListExecutions RenderFilm",
    "is_running": "states:DescribeExecution RenderClip",
    "is_film_running": "states:DescribeExecution RenderFilm",
    "page": "states:ListExecutions RenderClip",
    "film_page": "states:ListExecutions RenderFilm",
    "input": "states:DescribeExecution RenderFilm",
}
QUEUE = {
    "put": "sqs:SendMessage WebhookQueue",
    "postpone": "sqs:ChangeMessageVisibility WebhookQueue",
}
LETTERS = {"sqs:GetQueueAttributes DeadLetters", "sqs:GetQueueAttributes WebhookDeadLetters"}
SECRETS = {"api_key_secret", "service_tokens_secret", "webhook_key_secret"}

# What the code could come to and never does, with the functions it is true of, and why.
MONEY_STAYS = "writes records whose money stays as it is; a write that moves money is a transaction"
NEVER: dict[str, tuple[str, set[str]]] = {
    "dynamodb:UpdateItem": (
        MONEY_STAYS,
        {
            "conclude",
            "doctor",
            "film",
            "on_delivery",
            "resolve",
            "sweep",
            "take_up",
            "thumbnail",
        },
    ),
    "dynamodb:BatchGetItem": (
        "shows a render, for which no counter is looked up",
        {"resolve"},
    ),
    "s3:PutObject": ("announces a run that was summed up", {"doctor", "sweep"}),
}
Needs = dict[str, set[str]]


def code_needs(code: Code, folder: str) -> set[str]:
    """What a function's code may do, as `service:Action` with the resource where it is told."""
    root = f"functions.{folder}"
    reached = {}
    for name in [name for name in code.nodes if name.startswith(f"{root}.")]:
        reached |= code.reached(name)
    needs: set[str] = set()
    for name, facts in reached.items():
        for call in facts.calls:
            kind = call.name.partition(".")[0]
            if found := ACTIONS.get(call.name) or NAMED.get((call.name, call.first)):
                needs |= found
            elif (call.name, call.first) == ("DynamoDBClient.get_paginator", "query") or (
                call.name == "DynamoDBClient.query"
            ):
                indexes = {value for option, value in facts.options if option == "IndexName"}
                needs |= {f"dynamodb:Query {index}" for index in indexes} or {"dynamodb:Query"}
            elif call.name == "DynamoDBClient.transact_write_items":
                needs |= transaction(code, reached)
            else:
                known = kind in ELSEWHERE or not kind.startswith(tuple("DEKLS"))
                assert known, f"{name}: which action is {call.name}({call.first!r})?"
        if any(call.name.startswith("S3Client.") for call in facts.calls):
            needs |= {"s3:ListBucket"} if facts.names & MEANT_TO_BE_ABSENT else set()
            needs |= {"s3:GetObjectVersion"} if "VersionId" in facts.names else set()
    methods = {name.removeprefix("videoconductor.") for name in reached}
    needs |= {what for name, what in MACHINES.items() if f"machine.Machine.{name}" in methods}
    needs |= {
        what for name, what in QUEUE.items() if f"webhook_queue.WebhookQueue.{name}" in methods
    }
    needs |= LETTERS if "letters.DeadLetters.count" in methods else set()
    read = {one for facts in reached.values() for one in facts.fields}
    needs |= {f"secretsmanager:GetSecretValue {one}" for one in SECRETS if _setting(one) in read}
    return needs


def transaction(code: Code, reached: Any) -> set[str]:
    """The writes of the table's transaction; conditions come with terms that somebody made."""
    kinds = {
        kind
        for name, facts in reached.items()
        if code.home[name] == "videoconductor.manifest"
        for kind in facts.names & set(WRITES)
    }
    made = {one for facts in reached.values() for one in facts.made}
    if "videoconductor.budgets.Terms" not in made:
        kinds -= {"ConditionCheck"}
    return {WRITES[kind] for kind in kinds}


def _setting(name: str) -> str:
    return f"videoconductor.wiring.Settings.{name}"


@cache
def code() -> Code:
    return Code(ROOT)


def _statements(template: dict[str, Any], function: str) -> Iterator[tuple[str, str]]:
    """Actions and resources of a function's policies, as the template has them."""
    for policy in template["Resources"][function]["Properties"]["Policies"]:
        for statement in policy["Statement"]:
            for action in _listed(statement["Action"]):
                for target in _listed(statement["Resource"]):
                    yield action, json.dumps(target)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_grants(template: dict[str, Any], function: str) -> set[str]:
    """What a role allows, in the words of `code_needs`."""
    properties = template["Resources"][function]["Properties"]
    variables = properties.get("Environment", {}).get("Variables", {})
    found: set[str] = set()
    for action, target in _statements(template, function):
        found |= _worded(action, target, variables)
    return found - platform(template, function)


def _worded(action: str, target: str, variables: dict[str, Any]) -> set[str]:
    if action == "dynamodb:Query":
        index = re.search(r"/index/(\w+)", target)
        return {f"{action} {index[1]}" if index else action}
    if action.startswith("states:"):
        is_film = "RenderFilm" in target or "render-film" in target
        return {f"{action} {'RenderFilm' if is_film else 'RenderClip'}"}
    if action.startswith("sqs:"):
        named = re.search(r"\w*(Queue|Letters)\w*", target)
        return {f"{action} {named[0] if named else target}"}
    if action == "secretsmanager:GetSecretValue":
        secrets = {json.dumps(value): name for name, value in variables.items()}
        return {f"{action} {_of_variable(secrets.get(target, target))}"}
    return {action}


def _of_variable(variable: str) -> str:
    """The setting that an environment variable is."""
    from videoconductor.wiring import Settings

    aliases = {field.alias: name for name, field in Settings.model_fields.items()}
    return aliases.get(variable, variable)


def platform(template: dict[str, Any], function: str) -> set[str]:
    """What Lambda does in a function's name: takes messages from its queue."""
    for resource in template["Resources"].values():
        is_mapping = resource["Type"] == "AWS::Lambda::EventSourceMapping"
        if is_mapping and resource["Properties"]["FunctionName"] == {"Ref": function}:
            taking = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
            return {f"sqs:{action} WebhookQueue" for action in taking}
    return set()


def functions(template: dict[str, Any]) -> dict[str, str]:
    """Logical id of each function, and its folder."""
    return {
        name: re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def gaps(template: dict[str, Any], function: str, seen: Code) -> tuple[set[str], set[str]]:
    """What a role lacks, and what it has and no code of its function comes to."""
    folder = functions(template)[function]
    needs, grants = code_needs(seen, folder), role_grants(template, function)
    never = {action for action, (_, those) in NEVER.items() if folder in those}
    return needs - grants - never, grants - needs


@pytest.mark.parametrize("function", sorted(functions(source())))
def test_a_role_allows_what_its_code_can_come_to_and_nothing_else(function):
    missing, over = gaps(source(), function, code())
    assert missing == set(), "not allowed, and the code may do it"
    assert over == set(), "allowed, and no code does it"


@pytest.mark.parametrize("action", sorted(NEVER))
def test_what_is_said_never_to_happen_is_not_allowed_and_could(action):
    template = source()
    names = {folder: name for name, folder in functions(template).items()}
    for folder in NEVER[action][1]:
        assert action in code_needs(code(), folder), f"{folder}: no code comes to it any more"
        assert action not in role_grants(template, names[folder]), f"{folder}: it is allowed"


def test_what_each_function_is_let_do_is_told_in_full():
    """The graph sees all of it: no function but those without a client comes to nothing."""
    bare = {folder for folder in functions(source()).values() if not code_needs(code(), folder)}
    assert bare == {"describe"}


@cache
def edge_methods() -> set[str]:
    edges = ("library.Library", "manifest.Manifest", "books.Books", "events.Events")
    return {
        name
        for edge in (*edges, "machine.Machine", "webhook_queue.WebhookQueue")
        for name in code().methods(f"videoconductor.{edge}")
        if not name.startswith("__")
    }


# Methods of other things that have the name of one of an edge's.
OTHERS = {
    ("callback", "library.Library._upload"),  # ExitStack
    ("read", "addresses._Answer.read"),  # an answer to HTTP
    ("run", "tools.protocol._asgi"),  # MCP's sessions
    ("save", "pictures.compose._jpeg"),  # Pillow
    ("start", "addresses._looked_up"),  # a thread
    ("start", "addresses.bounded"),
    ("start", "script.compiler.resolved"),  # a match
    ("update", "client.files.written"),  # a digest
    ("update", "copying._Scan.watch"),
}


def test_no_call_of_an_edge_goes_unseen_because_its_owner_could_not_be_told():
    blind = {
        (name, node.removeprefix("videoconductor."))
        for node in code().nodes
        for name in code().facts(node).blind & edge_methods()
    }
    assert blind <= OTHERS


# ── Mutants ───────────────────────────────────────────────────────────────────────────────────


def _allowing(template, function, action):
    for policy in template["Resources"][function]["Properties"]["Policies"]:
        for statement in policy["Statement"]:
            if action in _listed(statement["Action"]):
                return statement
    raise AssertionError(f"{function} has no {action}")


def without(function, action):
    def change(template):
        statement = _allowing(template, function, action)
        statement["Action"] = [one for one in _listed(statement["Action"]) if one != action]

    return change


def along_with(function, action, more):
    def change(template):
        statement = _allowing(template, function, action)
        statement["Action"] = [*_listed(statement["Action"]), more]

    return change


def on(function, action, resource):
    def change(template):
        _allowing(template, function, action)["Resource"] = resource

    return change


LACKING = {
    "no read of the record": ("PollFunction", without("PollFunction", "dynamodb:GetItem")),
    "no counters": ("StartFunction", without("StartFunction", "dynamodb:UpdateItem")),
    "no clips": ("FinalizeFunction", without("FinalizeFunction", "s3:PutObject")),
    "no events": ("ConcludeFunction", without("ConcludeFunction", "events:PutEvents")),
    "the table without its index": (
        "BrowseFunction",
        on("BrowseFunction", "dynamodb:Query", {"Fn::GetAtt": ["Table", "Arn"]}),
    ),
    "the other machine": (
        "SubmitFunction",
        on("SubmitFunction", "states:StartExecution", {"Ref": "RenderFilm"}),
    ),
    "the other secret": (
        "StartFunction",
        on("StartFunction", "secretsmanager:GetSecretValue", {"Fn::GetAtt": ["WebhookKey", "Id"]}),
    ),
    "no messages": ("NotifyFunction", without("NotifyFunction", "sqs:SendMessage")),
}
LAVISH = {
    "a read of everything": (
        "PlanFunction",
        along_with("PlanFunction", "dynamodb:GetItem", "dynamodb:Scan"),
    ),
    "a delete": (
        "FinalizeFunction",
        along_with("FinalizeFunction", "s3:PutObject", "s3:DeleteObject"),
    ),
    "a write for who only looks": (
        "BrowseFunction",
        along_with("BrowseFunction", "dynamodb:GetItem", "dynamodb:PutItem"),
    ),
    "a stop of executions": (
        "TakeUpFunction",
        along_with("TakeUpFunction", "states:DescribeExecution", "states:StopExecution"),
    ),
}


@pytest.mark.parametrize("mutant", LACKING)
def test_what_a_role_lacks_is_found(mutant):
    function, change = LACKING[mutant]
    template = copy.deepcopy(source())
    change(template)
    assert gaps(template, function, code())[0]


@pytest.mark.parametrize("mutant", LAVISH)
def test_what_a_role_has_too_much_is_found(mutant):
    function, change = LAVISH[mutant]
    template = copy.deepcopy(source())
    change(template)
    assert gaps(template, function, code())[1]


CALLS = {
    "s3:GetObject": "wiring.library().document(text)",
    "s3:PutObject": "wiring.director().accept(text, door.film_order(app), 'me', None)",
    "dynamodb:PutItem": "wiring.manifest().change_caps(lambda caps: caps, 'me')",
    "states:StartExecution RenderClip": "wiring.conductor().resume(text)",
    "secretsmanager:GetSecretValue service_tokens_secret": "wiring.identify(text)",
    "events:PutEvents": "wiring.conductor().abandon(text)",
}


@cache
def changed_code() -> Code:
    """The code with all of CALLS in the function Plan, and Notify without its errand."""
    plan, notify = "functions/plan/app.py", "functions/notify/app.py"
    line = "    text = door.body_text(app)\n"
    calls = "".join(f"    {call}\n" for call in CALLS.values())
    told = "webhooks.notify(event, wiring.manifest(), wiring.webhook_queue())"
    texts = {path: (ROOT / path).read_text("utf-8") for path in (plan, notify)}
    assert line in texts[plan]
    assert told in texts[notify]
    changes = {
        plan: texts[plan].replace(line, line + calls, 1),
        notify: texts[notify].replace(told, "None"),
    }
    return Code(ROOT, changes)


@pytest.mark.parametrize("action", sorted(CALLS))
def test_code_that_outgrows_its_role_is_found(action):
    missing, _ = gaps(source(), "PlanFunction", changed_code())
    assert action in missing


def test_a_role_that_its_code_has_shrunk_below_is_found():
    _, over = gaps(source(), "NotifyFunction", changed_code())
    assert over == {"dynamodb:GetItem", "dynamodb:Query", "sqs:SendMessage WebhookQueue"}
