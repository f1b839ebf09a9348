"""What the stack must be and no scanner looks at, over the template as SAM translates it.

Each check names what is wrong in a stack. The stack as it is has nothing wrong; each mutant, a copy
with one thing changed, must have. Routes are in test_access, roles against code in test_roles.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import yaml

from local_stack.packaging import translate
from tests.house.test_access import source
from tests.workflow.conftest import ROOT

Resource = dict[str, Any]
LOG_DELIVERY = {  # AWS: "these actions do not support resource-level permissions"
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
# Writes to CloudWatch Logs; SAM gives it to every function.
LOGGING = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
READERS = {
    "XaiApiKey": {"FirstFrameFunctionRole", "StartFunctionRole", "PollFunctionRole"},
    "ServiceTokens": {"AuthorizeFunctionRole", "McpFunctionRole"},
    "WebhookKey": {"CallBackFunctionRole"},
}
COPIERS = {"FinalizeFunctionRole"}
STATEFUL = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
PAID = ("FirstFrame", "Start")
# Lambda turned it away before any code ran; ours are raised where no POST is sent after them.
BEFORE_ANY_POST = {
    "Lambda.TooManyRequestsException",
    "LibraryUnavailable",
    "ManifestUnavailable",
    "RecordChanged",
}
# A message that was taken is deleted, which is how SQS knows; a delivery of logs is not the logs.
DELETES = {"sqs:DeleteMessage", "logs:DeleteLogDelivery"}
DESTROYS = re.compile(r"delete|remove|purge|terminate|restore|bypass|putlifecycle|putbucket|putkey")
SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL")


@dataclass
class Stack:
    """Resources as CloudFormation gets them, the machines, and the template's text."""

    resources: dict[str, Resource]
    parameters: dict[str, Any]
    machines: dict[str, Resource]
    text: str

    def of(self, kind: str) -> dict[str, Resource]:
        """Properties of all resources of a kind, by logical id."""
        return {
            name: one.get("Properties", {})
            for name, one in self.resources.items()
            if one["Type"] == f"AWS::{kind}"
        }

    def statements(self) -> Iterator[tuple[str, Resource]]:
        """Role and statement, of all roles."""
        for name, role in self.of("IAM::Role").items():
            for policy in role.get("Policies", ()):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield name, statement

    def actions(self) -> Iterator[tuple[str, str]]:
        """Role and action, of all roles."""
        for name, statement in self.statements():
            for action in listed(statement["Action"]):
                yield name, action

    def states(self) -> Iterator[tuple[str, str, Resource]]:
        """Machine, name and state, those of maps included."""
        for machine, definition in self.machines.items():
            for name, state in _states(definition["States"]):
                yield machine, name, state


def _states(states: Resource) -> Iterator[tuple[str, Resource]]:
    for name, state in states.items():
        yield name, state
        yield from _states(state.get("ItemProcessor", {}).get("States", {}))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def named(value: Any) -> str:
    """The logical id that a Ref or a GetAtt leads to; other values as text."""
    match value:
        case {"Ref": str() as name} | {"Fn::GetAtt": [str() as name, _]}:
            return name
    return json.dumps(value)


def stack_of(template: Resource) -> Stack:
    machines = {
        path.name.partition(".")[0]: yaml.safe_load(path.read_text("utf-8"))
        for path in ROOT.glob("statemachine/*.asl.yaml")
    }
    translated = translate(copy.deepcopy(template), "us-east-1")
    return Stack(
        translated["Resources"],
        translated["Parameters"],
        machines,
        (ROOT / "template.yaml").read_text("utf-8"),
    )


@cache
def stack() -> Stack:
    return stack_of(source())


Wrong = Iterator[str]


# ── Roles and policies ────────────────────────────────────────────────────────────────────────


def managed_policies(stack: Stack) -> Wrong:
    """AWS's own policies allow more than anybody here needs: but for the one that SAM adds."""
    for name, role in stack.of("IAM::Role").items():
        is_function = name.removesuffix("Role") in stack.of("Lambda::Function")
        for arn in role.get("ManagedPolicyArns", ()):
            if arn != LOGGING or not is_function:
                yield f"{name}: {arn}"
    yield from stack.of("IAM::ManagedPolicy")
    yield from stack.of("IAM::User")


def wildcards(stack: Stack) -> Wrong:
    """No action with a star; no resource that is one, or the whole bucket, or any account's."""
    for role, statement in stack.statements():
        actions = set(listed(statement["Action"]))
        yield from (f"{role}: {action}" for action in actions if "*" in action)
        yield from (f"{role}: {key}" for key in ("NotAction", "NotResource") if key in statement)
        for target in listed(statement["Resource"]):
            text = json.dumps(target)
            is_all = target == "*" and not actions <= LOG_DELIVERY
            is_loose = target != "*" and re.search(r'Arn\}/\*"|:\*:|"arn:[^"]*:::?\*"', text)
            if is_all or is_loose:
                yield f"{role}: {sorted(actions)} on {text}"


def uncommented_stars(stack: Stack) -> Wrong:
    """A statement on every resource says above why."""
    lines = stack.text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r'\s*Resource: "\*"$', line):
            begin = next(at for at in range(number, 0, -1) if "- Effect:" in lines[at])
            if not lines[begin - 1].strip().startswith("# "):
                yield f"line {number + 1}"


def deletes(stack: Stack) -> Wrong:
    """Nobody deletes anything, changes how long it stays, or reads what was deleted."""
    for role, action in stack.actions():
        if DESTROYS.search(action.lower()) and action not in DELETES:
            yield f"{role}: {action}"


def overwriters(stack: Stack) -> Wrong:
    """Clips are written by who copies them."""
    for role, statement in stack.statements():
        puts = "s3:PutObject" in listed(statement["Action"])
        is_clip = "generated/videos" in json.dumps(statement["Resource"])
        if puts and is_clip and role not in COPIERS:
            yield role


def secret_readers(stack: Stack) -> Wrong:
    """Each secret has its readers by name, and is read by nobody else; nobody writes one."""
    found: dict[str, set[str]] = {name: set() for name in stack.of("SecretsManager::Secret")}
    for role, statement in stack.statements():
        for action in listed(statement["Action"]):
            if not action.startswith(("secretsmanager:", "ssm:", "kms:")):
                continue
            if action != "secretsmanager:GetSecretValue":
                yield f"{role}: {action}"
            for target in listed(statement["Resource"]):
                found.setdefault(named(target), set()).add(role)
    for name in found.keys() | READERS.keys():
        for role in found.get(name, set()) ^ READERS.get(name, set()):
            yield f"{name}: {role}"


def budget_writers(stack: Stack) -> Wrong:
    """Who changes caps for people writes no other item; who tells receivers, none of money."""
    bounds = {
        "BudgetFunctionRole": ["BUDGET"],
        "CallBackFunctionRole": ["RENDER#*", "FILM#*"],
    }
    for role, statement in stack.statements():
        if role in bounds and "dynamodb:PutItem" in listed(statement["Action"]):
            condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
            if condition.get("dynamodb:LeadingKeys") != bounds[role]:
                yield role


def what_sam_adds(stack: Stack) -> Wrong:
    """Beside a function's own policies: that Lambda may hand on what the function failed at."""
    for name, role in stack.of("IAM::Role").items():
        for policy in role.get("Policies", ()):
            if re.fullmatch(rf"{name}Policy\d+", policy["PolicyName"]):
                continue
            [statement] = policy["PolicyDocument"]["Statement"]
            asked = (statement["Action"], named(statement["Resource"]))
            if asked != ("sqs:SendMessage", "DeadLetters"):
                yield f"{name}: {asked}"


def trust(stack: Stack) -> Wrong:
    """A role is taken on by Lambda or Step Functions; a function is invoked for one source."""
    services = {"lambda.amazonaws.com", "states.amazonaws.com"}
    for name, role in stack.of("IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            if not set(listed(statement["Principal"].get("Service", "*"))) <= services:
                yield name
    for name, permission in stack.of("Lambda::Permission").items():
        who = permission["Principal"]
        if who not in {"apigateway.amazonaws.com", "events.amazonaws.com"}:
            yield f"{name}: {who}"
        if not permission.get("SourceArn"):
            yield f"{name}: for whatever source"


# ── What is open, what is told ────────────────────────────────────────────────────────────────


def secret_variables(stack: Stack) -> Wrong:
    """A variable named like a secret holds a secret's ARN; no parameter takes one."""
    secrets = stack.of("SecretsManager::Secret")
    for name, function in stack.of("Lambda::Function").items():
        for variable, value in function.get("Environment", {}).get("Variables", {}).items():
            if SECRET_NAME.search(variable) and named(value) not in secrets:
                yield f"{name}: {variable}"
    for name in stack.parameters:
        if SECRET_NAME.search(name.upper()):
            yield name


def cors(stack: Stack) -> Wrong:
    """Pages may call from origins that somebody named, and never with cookies."""
    for name, api in stack.of("ApiGatewayV2::Api").items():
        text = json.dumps([api.get("CorsConfiguration"), api["Body"].get(CORS)]).lower()
        if '"*"' in text or '"allowcredentials": true' in text:
            yield name
    pattern = stack.parameters["CorsOrigins"]["AllowedPattern"]
    for origins in ("*", "https://*", "https://a.example,*"):
        if re.fullmatch(pattern, origins):
            yield f"CorsOrigins takes {origins}"


CORS = "x-amazon-apigateway-cors"


# ── Machines ──────────────────────────────────────────────────────────────────────────────────


def paid_retries(stack: Stack) -> Wrong:
    """What may send a POST is not run again by the machine after anything that may have sent it."""
    for machine, name, state in stack.states():
        retried = {error for rule in state.get("Retry", ()) for error in rule["ErrorEquals"]}
        if name in PAID and not retried <= BEFORE_ANY_POST:
            yield f"{machine}.{name}: {sorted(retried - BEFORE_ANY_POST)}"
        if "startExecution" in str(state.get("Resource")) and retried:
            yield f"{machine}.{name}: starts again what may be under way"


def lambda_retries(stack: Stack) -> Wrong:
    """What may send a POST is never invoked asynchronously, when Lambda would repeat it."""
    paid = {f"{name}Function" for name in PAID}
    for kind in ("Lambda::EventInvokeConfig", "Lambda::EventSourceMapping", "Lambda::Permission"):
        for name, properties in stack.of(kind).items():
            if named(properties["FunctionName"]) in paid:
                yield name


def bounded_machines(stack: Stack) -> Wrong:
    """A machine, and each of its tasks, ends at some time."""
    for name, definition in stack.machines.items():
        if not isinstance(definition.get("TimeoutSeconds"), int):
            yield name
    for machine, name, state in stack.states():
        if state["Type"] == "Task" and not state.get("TimeoutSeconds"):
            yield f"{machine}.{name}"


def silent_machines(stack: Stack) -> Wrong:
    """Errors are logged, documents are not: they hold prompts and temporary urls."""
    for name, machine in stack.of("StepFunctions::StateMachine").items():
        logging = machine.get("LoggingConfiguration", {})
        if logging.get("IncludeExecutionData") is not False or logging.get("Level") != "ERROR":
            yield name


def machine_roles(stack: Stack) -> Wrong:
    """A machine's role against what its states use: nothing missing, nothing over."""
    for name, machine in stack.of("StepFunctions::StateMachine").items():
        given = machine.get("DefinitionSubstitutions", {})
        definition = stack.machines[_snake(name)]
        allowed = {
            (action, json.dumps(target))
            for role, statement in stack.statements()
            if role == f"{name}Role"
            for action in listed(statement["Action"])
            for target in listed(statement["Resource"])
        }
        needed = {(action, '"*"') for action in LOG_DELIVERY}
        for _, state in _states(definition["States"]):
            needed |= _used(state, given, machine)
        for action, target in needed - allowed:
            yield f"{name} lacks {action} on {target}"
        for action, target in allowed - needed:
            yield f"{name} does not use {action} on {target}"


STATES_ARN = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
SYNC_RULE = "StepFunctionsGetEventsForStepFunctionsExecutionRule"


def _used(state: Resource, given: Resource, machine: Resource) -> set[tuple[str, str]]:
    """Actions and resources of one state.

    docs.aws.amazon.com/step-functions: stepfunctions-iam and iam-policies-eg-dist-map.
    """
    resource = str(state.get("Resource", ""))
    found: set[tuple[str, str]] = set()
    if function := re.fullmatch(r"\$\{(\w+FunctionArn)\}", resource):
        found = {("lambda:InvokeFunction", json.dumps(given[function[1]]))}
    elif resource.endswith(":states:startExecution.sync:2"):
        target = given[state["Parameters"]["StateMachineArn"].strip("${}")]
        found = {("states:StartExecution", json.dumps(target))}
        found |= _watching(f"{STATES_ARN}:execution:${{{named(target)}.Name}}:*")
        rule = STATES_ARN.replace(":states:", ":events:") + f":rule/{SYNC_RULE}"
        names = ("PutTargets", "PutRule", "DescribeRule")
        found |= {(f"events:{name}", _sub(rule)) for name in names}
    elif state["Type"] == "Task":
        found = {(f"whatever {resource} needs", "")}
    if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        own = machine["StateMachineName"]["Fn::Sub"]
        found |= {("states:StartExecution", _sub(f"{STATES_ARN}:stateMachine:{own}"))}
        # AWS's guide has had the one and the other for a map's own executions.
        found |= _watching(f"{STATES_ARN}:execution:{own}:*", f"{STATES_ARN}:execution:{own}/*")
    if "s3:getObject" in str(state.get("ItemReader", {}).get("Resource")):
        found |= {("s3:GetObject", _sub("${Bucket.Arn}/generated/films/*"))}
    return found


def _watching(*arns: str) -> set[tuple[str, str]]:
    names = ("states:DescribeExecution", "states:StopExecution")
    return {(name, _sub(arn)) for name in names for arn in arns}


def _sub(text: str) -> str:
    return json.dumps({"Fn::Sub": text})


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# ── Events and queues ─────────────────────────────────────────────────────────────────────────


def unbounded_events(stack: Stack) -> Wrong:
    """What comes without anybody waiting is tried again, so often, and kept when it was in vain."""
    for name, rule in stack.of("Events::Rule").items():
        for target in rule["Targets"]:
            if named(target.get("DeadLetterConfig", {}).get("Arn")) != "DeadLetters":
                yield f"{name}: no dead letters"
            if not {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"} <= set(
                target.get("RetryPolicy", {})
            ):
                yield f"{name}: no retry policy"
    told = {
        named(one["FunctionName"]): one for one in stack.of("Lambda::EventInvokeConfig").values()
    }
    for name, permission in stack.of("Lambda::Permission").items():
        if permission["Principal"] == "apigateway.amazonaws.com":
            continue
        config = told.get(named(permission["FunctionName"]), {})
        failed = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if named(failed) != "DeadLetters" or "MaximumRetryAttempts" not in config:
            yield f"{name}: what its function fails at is lost"


def undeliverable_letters(stack: Stack) -> Wrong:
    """Each rule, and no other, may put its dead letters into the queue."""
    allowed = {
        named(arn)
        for policy in stack.of("SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        for arn in listed(statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn"))
    }
    yield from allowed ^ set(stack.of("Events::Rule"))


def endless_queues(stack: Stack) -> Wrong:
    """What a queue's function does not take comes to rest somewhere; every queue is encrypted."""
    queues = stack.of("SQS::Queue")
    for mapping in stack.of("Lambda::EventSourceMapping").values():
        queue = queues[named(mapping["EventSourceArn"])]
        redrive = queue.get("RedrivePolicy", {})
        if named(redrive.get("deadLetterTargetArn")) not in queues or not redrive.get(
            "maxReceiveCount"
        ):
            yield named(mapping["EventSourceArn"])
    yield from (name for name, queue in queues.items() if not queue.get("SqsManagedSseEnabled"))


# ── What is stored ────────────────────────────────────────────────────────────────────────────


def bucket_policy(stack: Stack) -> Wrong:
    """No plain HTTP, and nothing under generated/videos/ written over, whoever asks."""
    [policy] = stack.of("S3::BucketPolicy").values()
    statements = [
        statement["Fn::If"][1] if "Fn::If" in statement else statement
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    text = {json.dumps(one, sort_keys=True) for one in statements}
    arn = {"Fn::GetAtt": ["Bucket", "Arn"]}
    tls = {
        "Action": "s3:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        "Effect": "Deny",
        "Principal": "*",
        "Resource": [arn, {"Fn::Sub": "${Bucket.Arn}/*"}],
        "Sid": "TlsOnly",
    }
    once = {
        "Action": "s3:PutObject",
        "Condition": {
            "Bool": {"s3:ObjectCreationOperation": "true"},
            "Null": {"s3:if-none-match": "true"},
        },
        "Effect": "Deny",
        "Principal": "*",
        "Resource": {"Fn::Sub": "${Bucket.Arn}/generated/videos/*"},
        "Sid": "ClipsAreNeverOverwritten",
    }
    for wanted in (tls, once):
        if json.dumps(wanted, sort_keys=True) not in text:
            yield str(wanted["Sid"])
    yield from (str(one.get("Sid")) for one in statements if one["Effect"] != "Deny")


def passing_state(stack: Stack) -> Wrong:
    """What holds clips, records and secrets outlives the stack, and every change of it."""
    for name, resource in stack.resources.items():
        if resource["Type"] in STATEFUL:
            kept = {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")}
            if kept != {"Retain"}:
                yield name


def exposed_storage(stack: Stack) -> Wrong:
    """The bucket is private, versioned and encrypted; the table can be set back."""
    for name, bucket in stack.of("S3::Bucket").items():
        if set(bucket.get("PublicAccessBlockConfiguration", {}).values()) != {True}:
            yield f"{name}: public"
        if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{name}: no versions"
        if "BucketEncryption" not in bucket:
            yield f"{name}: plain"
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", ()):
            expiring = {key for key in rule if "Expiration" in key or "Transition" in key}
            if expiring and not str(rule.get("Prefix", "")).startswith(PASSING):
                yield f"{name}: {rule['Id']} lets things expire"
    for name, table in stack.of("DynamoDB::Table").items():
        recovery = table.get("PointInTimeRecoverySpecification", {})
        if recovery.get("PointInTimeRecoveryEnabled") is not True:
            yield f"{name}: no point-in-time recovery"


# Where things lie that are of no use once they were taken.
PASSING = ("incoming/",)


# ── The checks, and stacks that must not pass ─────────────────────────────────────────────────

Change = Callable[[Stack], None]


def put(path: str, value: Any) -> Change:
    """Sets what a path of names and numbers leads to: `Bucket/Properties/…`; None takes it away."""

    def change(stack: Stack) -> None:
        *way, last = path.split("/")
        place: Any = stack.resources
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if value is None:
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place.insert(int(last), value)
        else:
            place[last] = value

    return change


def allow(role: str, action: Any, resource: Any) -> Change:
    """Lets a role do something more."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    more = {"PolicyName": f"{role}Policy9", "PolicyDocument": {"Statement": [statement]}}
    return put(f"{role}/Properties/Policies/0", more)


def state(machine: str, name: str, key: str, value: Any) -> Change:
    """Sets a part of a state; None takes it away."""

    def change(stack: Stack) -> None:
        [found] = [one for where, at, one in stack.states() if (where, at) == (machine, name)]
        if value is None:
            del found[key]
        else:
            found[key] = value

    return change


def disallow(role: str, action: str) -> Change:
    def change(stack: Stack) -> None:
        for name, statement in stack.statements():
            if name == role:
                left = [one for one in listed(statement["Action"]) if one != action]
                statement["Action"] = left

    return change


def template_line(old: str, new: str) -> Change:
    def change(stack: Stack) -> None:
        assert old in stack.text
        stack.text = stack.text.replace(old, new)

    return change


def unbounded_machine(stack: Stack) -> None:
    del stack.machines["render_clip"]["TimeoutSeconds"]


ANY = "Lambda.ServiceException"
TABLE = {"Fn::GetAtt": ["Table", "Arn"]}
EVERYTHING = {"Fn::Sub": "${Bucket.Arn}/*"}
VIDEOS = {"Fn::Sub": "${Bucket.Arn}/generated/videos/*"}
KEY = {"Fn::GetAtt": ["XaiApiKey", "Id"]}
POLICY = "BucketPolicy/Properties/PolicyDocument/Statement"
PLAN = "PlanFunctionRole/Properties/Policies"
RETRIES = [{"ErrorEquals": [ANY], "MaxAttempts": 2}]
EVER = [{"ErrorEquals": ["States.ALL"]}]
FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
SENDING = "sqs:SendMessage"
INVOKED = {"FunctionName": {"Ref": "StartFunction"}, "MaximumRetryAttempts": 2}

CHECKS: list[tuple[Callable[[Stack], Wrong], dict[str, Change]]] = [
    (
        managed_policies,
        {
            "full access": put("PlanFunctionRole/Properties/ManagedPolicyArns/0", FULL),
            "on a machine": put("RenderClipRole/Properties/ManagedPolicyArns", [LOGGING]),
        },
    ),
    (
        wildcards,
        {
            "any action": allow("PlanFunctionRole", "dynamodb:*", TABLE),
            "some actions": allow("PlanFunctionRole", "dynamodb:Get*", TABLE),
            "any resource": allow("PlanFunctionRole", "dynamodb:GetItem", "*"),
            "all of the bucket": allow("PlanFunctionRole", "s3:GetObject", EVERYTHING),
            "every bucket": allow("PlanFunctionRole", "s3:GetObject", "arn:aws:s3:::*"),
            "all but": put(f"{PLAN}/0/PolicyDocument/Statement/0/NotResource", TABLE),
        },
    ),
    (uncommented_stars, {"no comment": template_line("            # The delivery of a", "\n")}),
    (
        deletes,
        {
            "a clip": allow("FinalizeFunctionRole", "s3:DeleteObject", VIDEOS),
            "a version": allow("SweepFunctionRole", ["s3:DeleteObjectVersion"], VIDEOS),
            "a record": allow("ResolveFunctionRole", "dynamodb:DeleteItem", TABLE),
            "in time": allow("BrowseFunctionRole", "s3:PutLifecycleConfiguration", EVERYTHING),
            "a queue": allow("NotifyFunctionRole", "sqs:PurgeQueue", TABLE),
        },
    ),
    (overwriters, {"poll": allow("PollFunctionRole", "s3:PutObject", VIDEOS)}),
    (
        secret_readers,
        {
            "one more": allow("BrowseFunctionRole", "secretsmanager:GetSecretValue", KEY),
            "one less": disallow("StartFunctionRole", "secretsmanager:GetSecretValue"),
            "a writer": allow("StartFunctionRole", "secretsmanager:PutSecretValue", KEY),
        },
    ),
    (
        budget_writers,
        {
            "any item": allow("BudgetFunctionRole", "dynamodb:PutItem", TABLE),
            "counters too": allow("CallBackFunctionRole", ["dynamodb:PutItem"], TABLE),
        },
    ),
    (
        what_sam_adds,
        {
            "another policy": put(
                "PollFunctionRole/Properties/Policies/0",
                {
                    "PolicyName": "SQSPollerPolicy",
                    "PolicyDocument": {"Statement": [{"Action": "sqs:*", "Resource": "*"}]},
                },
            )
        },
    ),
    (
        trust,
        {
            "anybody": put("SubmitFunctionSubmitPermission/Properties/Principal", "*"),
            "any source": put("NotifyFunctionAtRestPermission/Properties/SourceArn", None),
            "another account": put(
                "PollFunctionRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal",
                {"AWS": "*"},
            ),
        },
    ),
    (
        secret_variables,
        {
            "the key itself": put(
                "StartFunction/Properties/Environment/Variables/XAI_API_KEY", {"Ref": "XaiKey"}
            ),
            "a literal": put(
                "PollFunction/Properties/Environment/Variables/MAIL_PASSWORD", "hunter2"
            ),
        },
    ),
    (
        cors,
        {
            "every origin": put("HttpApi/Properties/Body/" + CORS, {"allowOrigins": ["*"]}),
            "with cookies": put("HttpApi/Properties/Body/" + CORS, {"allowCredentials": True}),
        },
    ),
    (
        paid_retries,
        {
            "AWS's own advice": state("render_clip", "Start", "Retry", RETRIES),
            "whatever it was": state("render_clip", "FirstFrame", "Retry", EVER),
            "a film's clip": state("render_film", "RenderClip", "Retry", EVER),
        },
    ),
    (
        lambda_retries,
        {
            "asynchronous": put(
                "Again", {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": INVOKED}
            )
        },
    ),
    (
        bounded_machines,
        {
            "the machine": unbounded_machine,
            "a task": state("render_clip", "Finalize", "TimeoutSeconds", None),
            "in the map": state("render_film", "TakeUp", "TimeoutSeconds", None),
        },
    ),
    (
        silent_machines,
        {
            "documents": put(
                "RenderClip/Properties/LoggingConfiguration/IncludeExecutionData", True
            ),
            "nothing": put("RenderFilm/Properties/LoggingConfiguration", None),
        },
    ),
    (
        machine_roles,
        {
            "one function less": disallow("RenderClipRole", "lambda:InvokeFunction"),
            "one function more": allow(
                "RenderClipRole",
                "lambda:InvokeFunction",
                {"Fn::GetAtt": ["SubmitFunction", "Arn"]},
            ),
            "another service": allow("RenderFilmRole", "sns:Publish", TABLE),
            "no items": disallow("RenderFilmRole", "s3:GetObject"),
            "no end of a child": disallow("RenderFilmRole", "events:PutRule"),
            "a state of another service": state(
                "render_clip", "Poll", "Resource", "arn:${Partition}:states:::sns:publish"
            ),
        },
    ),
    (
        unbounded_events,
        {
            "no dead letters": put(
                "OnUploadFunctionObjectCreated/Properties/Targets/0/DeadLetterConfig", None
            ),
            "no retry policy": put("SweepFunctionSchedule/Properties/Targets/0/RetryPolicy", None),
            "no destination": put("NotifyFunctionEventInvokeConfig", None),
        },
    ),
    (
        undeliverable_letters,
        {
            "a rule is left out": put(
                "DeadLettersPolicy/Properties/PolicyDocument/Statement/0/Condition/ArnEquals/"
                "aws:SourceArn/0",
                None,
            )
        },
    ),
    (
        endless_queues,
        {
            "no redrive": put("WebhookQueue/Properties/RedrivePolicy", None),
            "plain": put("DeadLetters/Properties/SqsManagedSseEnabled", None),
        },
    ),
    (
        bucket_policy,
        {
            "plain HTTP": put(f"{POLICY}/0", None),
            "overwriting": put(f"{POLICY}/1", None),
            "with a header of any kind": put(f"{POLICY}/1/Condition/Null", None),
            "somebody more": put(f"{POLICY}/0", {"Effect": "Allow", "Principal": "*"}),
        },
    ),
    (
        passing_state,
        {
            "the table": put("Table/DeletionPolicy", "Delete"),
            "the bucket": put("Bucket/UpdateReplacePolicy", None),
            "a secret": put("XaiApiKey/DeletionPolicy", None),
        },
    ),
    (
        exposed_storage,
        {
            "public": put(
                "Bucket/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy", False
            ),
            "no versions": put("Bucket/Properties/VersioningConfiguration", None),
            "expiry": put(
                "Bucket/Properties/LifecycleConfiguration/Rules/0",
                {"Id": "tidy", "Status": "Enabled", "ExpirationInDays": 30},
            ),
            "no recovery": put("Table/Properties/PointInTimeRecoverySpecification", None),
        },
    ),
]
MUTANTS = [
    pytest.param(check, change, id=f"{check.__name__}: {name}")
    for check, changes in CHECKS
    for name, change in changes.items()
]


@pytest.mark.parametrize("check", [check for check, _ in CHECKS], ids=lambda one: one.__name__)
def test_nothing_is_wrong_with(check):
    assert sorted(check(stack())) == []


@pytest.mark.parametrize(("check", "change"), MUTANTS)
def test_a_check_finds(check, change):
    mutant = copy.deepcopy(stack())
    change(mutant)
    assert set(check(mutant)) - set(check(stack()))


def test_every_check_has_a_mutant_and_stands_in_the_list():
    assert all(changes for _, changes in CHECKS)
    listed_checks = {check.__name__ for check, _ in CHECKS}
    written = {
        name
        for name, one in globals().items()
        if callable(one) and getattr(one, "__annotations__", {}).get("return") == Wrong
    }
    assert listed_checks == written


def test_a_policy_of_aws_that_sam_would_add_is_found():
    """By the template itself: an event of a queue brings a policy for every queue there is."""
    template = copy.deepcopy(source())
    events = template["Resources"]["CallBackFunction"]["Properties"].setdefault("Events", {})
    queue = {"Queue": {"Fn::GetAtt": ["WebhookQueue", "Arn"]}}
    events["Letters"] = {"Type": "SQS", "Properties": queue}
    template["Resources"]["PlanFunction"]["Properties"]["Policies"] = ["AmazonDynamoDBFullAccess"]
    found = "".join(managed_policies(stack_of(template)))
    assert "AWSLambdaSQSQueueExecutionRole" in found
    assert "AmazonDynamoDBFullAccess" in found
