"""The house's own rules: names, arrows, the shape of the machine and of what it may do."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.api import ManualArgs, lint
from pydantic import ValidationError

from tests.workflow.conftest import FILM_STATES, STATES, Cloud, definition

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/videoconductor/python/videoconductor"
TEMPLATE = Cloud.template()
MACHINE = json.loads(definition())
FILM_MACHINE = json.loads(definition("render_film"))
# A clip's turn in a film: a machine inside the machine.
TURN = FILM_MACHINE["States"]["Clips"]["ItemProcessor"]
MACHINES = {"render_clip": MACHINE, "render_film": FILM_MACHINE, "a turn": TURN}

PURE = {
    "__init__",
    "accounts",
    "asking",
    "budgets",
    "bus",
    "answers",
    "client.asking",
    "client.errors",
    "client.results",
    "clip",
    "compatible",
    "conductor",
    "copying",
    "details",
    "director",
    "doctoring",
    "drift",
    "entrance",
    "errors",
    "examining",
    "existing",
    "filming",
    "identity",
    "inbox",
    "inputs",
    "intake",
    "ledger",
    "listing",
    "models",
    "mp4",
    "orchestration",
    "outbox",
    "openapi",
    "openapi.examples",
    "openapi.operations",
    "openapi.schemas",
    "pacing",
    "permits",
    "pictures",
    "pictures.boxes",
    "pictures.colours",
    "pictures.compose",
    "pictures.drawing",
    "pictures.layout",
    "pictures.reading",
    "pictures.stacking",
    "pictures.templates",
    "pictures.typeface",
    "pictures.wording",
    "planning",
    "pricing",
    "providers",
    "quality",
    "quotes",
    "reading",
    "reconciling",
    "recovering",
    "remastering",
    "reports",
    "revival",
    "script",
    "script.checks",
    "script.clips",
    "script.compiler",
    "script.films",
    "script.reading",
    "script.schema",
    "slots",
    "spending",
    "statements",
    "sweeping",
    "tokens",
    "tools",
    "tools.arguments",
    "tools.catalog",
    "tools.desk",
    "tools.wording",
    "treasurer",
    "views",
    "waiting",
    "webhooks",
    "workflow",
    "workflow.failing",
    "workflow.finishing",
    "workflow.framing",
    "workflow.guards",
    "workflow.polling",
    "workflow.starting",
}
EDGES = {
    "addresses",
    "aws",
    "books",
    "client.calls",
    "client.files",
    "download",
    "events",
    "letters",
    "library",
    "machine",
    "manifest",
    "pictures.decoding",
    "pictures.frames",
    "providers.xai",
    "receivers",
    "tools.protocol",
    "turns",
    "webhook_queue",
}
# What the edges share: requests to hosts of strangers, errors of AWS.
SHARED_BY_EDGES = {"addresses", "aws"}
GLUE = {"client", "door", "pictures.painting", "task", "tools.direct", "wiring"}
# What makes pictures: heavy to import, and in the layer of one function alone.
PICTURE_TOOLS = {"PIL", "av"}
FORBIDDEN_IN_PURE = {"boto3", "botocore", "httpx", "os", "socket", "time", "requests", "subprocess"}
# What may be built at import: loggers, metrics, and values that never change.
CONSTANTS = {
    "Logger",
    "Metrics",
    "Parameter",
    "Patience",
    "TypeVar",
    "_Bounds",
    "datetime",
    "frozenset",
    "httpx.Timeout",
    "ipaddress.ip_network",
    "logging.getLogger",
    "range",
    "re.compile",
    "timedelta",
}
BANNED_WORDS = ("utils", "helpers", "common", "manager", "service", "processor")
BANNED_NAMES = re.compile(r"^(handle|do|my)_\w+$|^(msg|req|res|cfg|info|data)$")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> set[str]:
    """Modules imported when the code runs; what only a type checker reads does not count."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for child in branch.body
        for node in ast.walk(child)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    prefix = "videoconductor."
    return {
        name.removeprefix(prefix)
        for name in imports(path)
        if name.startswith(prefix) and name.removeprefix(prefix) in MODULES
    }


def test_every_module_has_its_place():
    assert set(MODULES) == PURE | EDGES | GLUE


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_imports_no_edge_no_glue_and_nothing_from_outside(name):
    assert not ours(MODULES[name]) & (EDGES | GLUE)
    assert not {found.split(".")[0] for found in imports(MODULES[name])} & FORBIDDEN_IN_PURE


@pytest.mark.parametrize("name", sorted(EDGES))
def test_an_edge_imports_no_other_edge_and_no_glue(name):
    shared = set() if name in SHARED_BY_EDGES else SHARED_BY_EDGES
    assert not ours(MODULES[name]) & ((EDGES | GLUE) - {name} - shared)


# What opens connections: to the outside by one module; the client is a caller of our own API.
CONNECTING = re.compile(
    r"httpx\.(Client|AsyncClient|HTTPTransport|get|post|put|request|stream)$"
    r"|socket\.(socket|create_connection|create_server|getaddrinfo|gethostbyname)$"
    r"|urllib\.request\..+|http\.client\..+|requests\..+"
)
CONNECTED_BY = {"addresses", "client.calls", "client.files"}


def called(path: Path) -> set[str]:
    """What a module calls, by the name it is called by."""
    return {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }


def test_one_module_opens_connections_to_the_outside_and_follows_no_redirect():
    functions = {f"functions.{path.parent.name}": path for path in ROOT.glob("functions/*/app.py")}
    every = MODULES | functions
    found = {name for name, path in every.items() if any(map(CONNECTING.match, called(path)))}
    assert found == CONNECTED_BY
    # A caller's client has its own library for it, which no function has.
    theirs = {name for name, path in every.items() if "httpx" in imports(path)}
    assert {name.split(".")[0] for name in theirs} == {"client"}
    for name, path in every.items():
        names = {part.split(".")[0] for part in imports(path)}
        if name != "addresses":
            assert not names & {"aiohttp", "requests", "http", "ftplib", "urllib3"}, name
        assert "urllib.request" not in imports(path), name
        assert "follow_redirects=True" not in path.read_text(), name
    # Nothing is built at import, so whoever goes out through it has to call it.
    users = {name for name, path in MODULES.items() if "addresses" in ours(path)}
    assert users == {"download", "providers.xai", "receivers"}


PICTURES = {name for name in MODULES if name.split(".")[0] == "pictures"}


def lazily(path: Path) -> dict[str, set[str]]:
    """What each function of a module imports when it is called."""
    return {
        node.name: {
            f"{part.module}.{alias.name}"
            for part in ast.walk(node)
            if isinstance(part, ast.ImportFrom) and part.module
            for alias in part.names
        }
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_pictures_are_reached_through_the_painter_of_wiring_alone():
    users = {
        name for name, path in MODULES.items() if name not in PICTURES and ours(path) & PICTURES
    }
    assert users == {"wiring"}
    found = {
        function
        for function, names in lazily(MODULES["wiring"]).items()
        if any(".pictures" in name for name in names)
    }
    assert found == {"painter"}
    painters = {
        path.parent.name
        for path in ROOT.glob("functions/*/app.py")
        if "painter" in path.read_text()
    }
    assert painters == {"thumbnail"}


def test_what_makes_pictures_is_imported_by_no_other_module_and_lies_in_one_functions_layer():
    tools = {
        name
        for name, path in MODULES.items()
        if {found.split(".")[0] for found in imports(path)} & PICTURE_TOOLS
    }
    assert tools
    assert tools <= PICTURES
    required = (ROOT / "layers/dependencies/requirements.txt").read_text()
    assert not re.search(r"^(av|pillow)\b", required, re.MULTILINE | re.IGNORECASE)
    with_layer = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if "ThumbnailsLayer" in json.dumps(resource.get("Properties", {}).get("Layers", ""))
    }
    assert with_layer == {"ThumbnailFunction"}


def test_no_function_loads_pictures_scripts_or_what_they_need_before_it_is_called():
    folders = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
    program = (
        "import importlib.util, json, sys\n"
        f"for folder in {folders!r}:\n"
        f"    path = {str(ROOT)!r} + f'/functions/{{folder}}/app.py'\n"
        "    spec = importlib.util.spec_from_file_location(folder, path)\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    path = str(PACKAGE.parent)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert "videoconductor.wiring" in loaded
    heavy = {name for name in loaded if name.split(".")[0] in {*PICTURE_TOOLS, "boto3"}}
    ours_heavy = {
        name
        for name in loaded
        if name.startswith(("videoconductor.pictures", "videoconductor.script"))
    }
    assert heavy | ours_heavy == set()


# What speaks MCP: slow to import, and in the layer of one function alone.
MCP = {"mcp", "mcp_types", "mangum", "anyio", "starlette"}


def test_what_speaks_mcp_is_imported_by_one_module_and_lies_in_one_functions_layer():
    def of_mcp(path: Path) -> bool:
        return bool({found.split(".")[0] for found in imports(path)} & MCP)

    assert {name for name, path in MODULES.items() if of_mcp(path)} == {"tools.protocol"}
    importers = {name for name, path in MODULES.items() if "tools.protocol" in ours(path)}
    assert importers == set()
    users = {
        path.parent.name
        for path in ROOT.glob("functions/*/app.py")
        if "videoconductor.tools.protocol" in imports(path)
    }
    assert users == {"mcp"}
    with_layer = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if "McpLayer" in json.dumps(resource.get("Properties", {}).get("Layers", ""))
    }
    assert with_layer == {"McpFunction"}


def test_only_wiring_reads_the_environment():
    readers = {name for name, path in MODULES.items() if "os.environ" in path.read_text()}
    assert readers == {"wiring"}


def test_nothing_but_loggers_metrics_and_constants_is_built_at_import():
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                built = ast.unparse(node.value.func)
                assert built in CONSTANTS, f"{name} builds {built} at import"


def test_each_function_folder_holds_one_short_file():
    for folder in (ROOT / "functions").iterdir():
        files = [f for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
        assert [f.name for f in files] == ["app.py"], folder
        code = [line for line in files[0].read_text().splitlines() if line.strip()]
        assert 5 <= len(code) <= 45, f"{folder.name}: {len(code)} lines"


def test_state_folder_resource_substitution_and_verb_share_a_name():
    from videoconductor import workflow

    tasks = {name for name, state in MACHINE["States"].items() if state["Type"] == "Task"}
    assert tasks == set(STATES)
    substitutions = TEMPLATE["Resources"]["RenderClip"]["Properties"]["DefinitionSubstitutions"]
    for state, folder in STATES.items():
        function = TEMPLATE["Resources"][f"{state}Function"]["Properties"]
        assert function["CodeUri"] == f"functions/{folder}/"
        assert substitutions[f"{state}FunctionArn"] == f"{state}Function.Arn"
        assert callable(getattr(workflow, folder))
        text = (ROOT / "functions" / folder / "app.py").read_text()
        assert f"from videoconductor.workflow import {folder}\n" in text
        assert f"{folder}(" in text


def test_the_same_goes_for_the_machine_of_films():
    from videoconductor import filming

    tasks = {
        name
        for machine in (FILM_MACHINE, TURN)
        for name, state in machine["States"].items()
        if state["Type"] == "Task" and ":lambda:" in state["Resource"]
    }
    assert tasks == set(FILM_STATES)
    substitutions = TEMPLATE["Resources"]["RenderFilm"]["Properties"]["DefinitionSubstitutions"]
    for state, folder in FILM_STATES.items():
        function = TEMPLATE["Resources"][f"{state}Function"]["Properties"]
        assert function["CodeUri"] == f"functions/{folder}/"
        assert substitutions[f"{state}FunctionArn"] == f"{state}Function.Arn"
        assert callable(getattr(filming, folder))
        assert f"filming.{folder}(" in (ROOT / "functions" / folder / "app.py").read_text()


@pytest.mark.parametrize(
    ("machine", "resource"), [("render_clip", "RenderClip"), ("render_film", "RenderFilm")]
)
def test_each_substitution_is_used_and_each_use_has_one(machine, resource):
    text = (ROOT / f"statemachine/{machine}.asl.yaml").read_text()
    used = set(re.findall(r"\$\{(\w+)\}", text))
    assert used == set(TEMPLATE["Resources"][resource]["Properties"]["DefinitionSubstitutions"])


def test_every_function_folder_is_in_the_template():
    in_template = {
        resource["Properties"]["CodeUri"].rstrip("/").rpartition("/")[2]
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert in_template == {folder.name for folder in (ROOT / "functions").iterdir()}


def targets(state: dict) -> set[str]:
    found = {state[key] for key in ("Next", "Default") if key in state}
    for rule in (*state.get("Choices", ()), *state.get("Catch", ())):
        found.add(rule["Next"])
    return found


def graph_problems(machine: dict) -> list[str]:
    states = machine["States"]
    problems = [
        f"{name} leads to {target}, which is not there"
        for name, state in states.items()
        for target in targets(state)
        if target not in states
    ]
    reached, todo = set(), [machine["StartAt"]]
    while todo:
        name = todo.pop()
        if name in states and name not in reached:
            reached.add(name)
            todo += targets(states[name])
    problems += [f"{name} cannot be reached" for name in states if name not in reached]
    for name in reached:
        seen, todo = set(), [name]
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo += targets(states[at]) & set(states)
        if not any(
            states[at].get("End") or states[at]["Type"] in {"Succeed", "Fail"} for at in seen
        ):
            problems.append(f"{name} leads to no end")
    return problems


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_has_no_dangling_unreachable_or_endless_state(name):
    assert graph_problems(MACHINES[name]) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Wait": {"Type": "Wait", "SecondsPath": "$.waitSeconds", "Next": "Pol"}}, "leads to Pol"),
        ({"Island": {"Type": "Succeed"}}, "Island cannot be reached"),
        ({"AwaitLease": {"Type": "Pass", "Next": "AwaitLease"}}, "AwaitLease leads to no end"),
    ],
)
def test_the_graph_check_bites(change, problem):
    broken = {**MACHINE, "States": {**MACHINE["States"], **change}}
    assert any(problem in found for found in graph_problems(broken))


@pytest.mark.parametrize("machine", [MACHINE, FILM_MACHINE], ids=["render_clip", "render_film"])
def test_a_machine_is_clean_under_cfn_lint_when_it_is_inlined(machine):
    text = json.dumps(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {
                "RenderClip": {
                    "Type": "AWS::StepFunctions::StateMachine",
                    "Properties": {
                        "RoleArn": "arn:aws:iam::123456789012:role/machine",
                        "Definition": machine,
                    },
                }
            },
        }
    )
    assert lint(text, config=ManualArgs(regions=["us-east-1"])) == []


def test_only_our_own_not_sent_classes_and_throttling_are_retried_around_the_paid_post():
    retried = {name for rule in MACHINE["States"]["Start"]["Retry"] for name in rule["ErrorEquals"]}
    assert retried == {
        "Lambda.TooManyRequestsException",
        "RecordChanged",
        "ManifestUnavailable",
        "LibraryUnavailable",
    }


def test_the_machine_and_the_verbs_agree_on_what_a_crash_is_called():
    from videoconductor import workflow

    crashes = next(
        set(rule["ErrorEquals"])
        for rule in MACHINE["States"]["Start"]["Catch"]
        if rule["Next"] == "AwaitLease"
    )
    assert crashes == workflow.CRASHES


ALL_STATES = [
    (name, state) for machine in MACHINES.values() for name, state in machine["States"].items()
]
TASKS = [(name, state) for name, state in ALL_STATES if state["Type"] == "Task"]


def test_every_task_has_a_timeout_and_catches_everything():
    assert len(TASKS) == len(STATES) + len(FILM_STATES) + 1
    for name, state in [*TASKS, ("Clips", FILM_MACHINE["States"]["Clips"])]:
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        assert name == "Clips" or state["TimeoutSeconds"]
    assert all(machine["TimeoutSeconds"] for machine in (MACHINE, FILM_MACHINE))


def seconds_of(value):
    parameter = TEMPLATE["Parameters"].get(value) if isinstance(value, str) else None
    return parameter["Default"] if parameter else value


def test_a_states_timeout_is_longer_than_its_functions():
    for name, state in TASKS:
        if name in {**STATES, **FILM_STATES}:
            function = TEMPLATE["Resources"][f"{name}Function"]["Properties"]
            usual = TEMPLATE["Globals"]["Function"]["Timeout"]
            assert state["TimeoutSeconds"] > seconds_of(function.get("Timeout", usual)), name


def test_a_clip_of_a_film_may_take_as_long_as_a_clip_and_a_film_longer():
    assert TURN["States"]["RenderClip"]["TimeoutSeconds"] > MACHINE["TimeoutSeconds"]
    assert FILM_MACHINE["TimeoutSeconds"] > TURN["States"]["RenderClip"]["TimeoutSeconds"]


def test_one_clip_never_stops_the_others_and_nothing_is_collected():
    clips = FILM_MACHINE["States"]["Clips"]
    assert clips["ToleratedFailurePercentage"] == 100
    assert clips["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "DISTRIBUTED",
        "ExecutionType": "STANDARD",
    }
    assert clips["MaxConcurrency"]
    assert clips["ItemReader"]["Resource"].endswith(":states:::s3:getObject")
    # A map's results are limited to 256 KiB, so each item ends with nothing in its hands.
    ends = {name: state for name, state in TURN["States"].items() if state.get("End")}
    assert ends == {"Over": {"Type": "Pass", "Result": {}, "End": True}}
    assert clips["ResultPath"] is None
    assert {rule["Next"] for rule in clips["Catch"]} == {clips["Next"]} == {"Conclude"}


def test_a_film_that_is_not_whole_ends_red():
    states = FILM_MACHINE["States"]
    assert states["IsFinished"]["Default"] == "Incomplete"
    assert states["Incomplete"]["Type"] == states["Unrecorded"]["Type"] == "Fail"
    [choice] = states["IsFinished"]["Choices"]
    assert (choice["StringEquals"], choice["Next"]) == ("finished", "Finished")


def test_error_names_in_the_machines_are_error_classes_or_aws_names():
    from videoconductor import errors

    for _, state in ALL_STATES:
        for rule in (*state.get("Retry", ()), *state.get("Catch", ())):
            for name in rule["ErrorEquals"]:
                known = hasattr(errors, name) or name == ValidationError.__name__
                assert known or name.startswith(("Lambda.", "States.", "Sandbox.", "Runtime.")), (
                    name
                )


def test_every_value_that_a_choice_compares_is_one_its_document_can_have():
    from typing import get_args

    from videoconductor.clip import FilmStatus, Status, Turn

    known = {
        "$.status": {*get_args(Status), *get_args(FilmStatus)},
        "$.step": set(get_args(Turn.model_fields["step"].annotation)),
    }
    for name, state in ALL_STATES:
        for rule in state.get("Choices", ()):
            if "StringEquals" in rule:
                assert rule["StringEquals"] in known[rule["Variable"]], name


def test_lease_is_longer_than_task_timeout_is_longer_than_function_timeout_is_longer_than_post():
    from videoconductor import workflow
    from videoconductor.providers import xai

    parameters = TEMPLATE["Parameters"]
    lease, task, function = (
        parameters[name]["Default"]
        for name in ("LeaseSeconds", "StartTaskSeconds", "StartFunctionSeconds")
    )
    # The last read may begin just before the bound.
    post = xai.POST_SECONDS + xai.POST_PATIENCE.connect + xai.POST_PATIENCE.read
    assert lease > task > function > post + workflow.MAX_SECONDS_BEFORE_POST


def test_the_same_order_of_times_holds_for_the_post_of_a_still():
    from videoconductor import workflow
    from videoconductor.providers import xai

    template = TEMPLATE["Resources"]
    assert template["FirstFrameFunction"]["Properties"]["Timeout"] == "StartFunctionSeconds"
    lease = template["FirstFrameFunction"]["Properties"]["Environment"]["Variables"]
    assert lease["START_LEASE_SECONDS"] == "LeaseSeconds"
    state = MACHINE["States"]["FirstFrame"]
    assert state["TimeoutSeconds"] == MACHINE["States"]["Start"]["TimeoutSeconds"]
    assert state["Retry"] == MACHINE["States"]["Start"]["Retry"]
    assert state["Catch"] == MACHINE["States"]["Start"]["Catch"]
    function = TEMPLATE["Parameters"]["StartFunctionSeconds"]["Default"]
    post = xai.STILL_SECONDS + xai.STILL_PATIENCE.connect + xai.STILL_PATIENCE.read
    assert function > post + workflow.MAX_SECONDS_BEFORE_POST


def test_the_error_tree_in_the_docstring_is_the_tree():
    from videoconductor import errors

    drawn = re.findall(r"^[│ ]*[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    classes = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.VideoConductorError)
    ]
    assert sorted([*drawn, "VideoConductorError"]) == sorted(classes)


def test_no_banned_name_is_a_module_class_function_or_argument():
    for path in [
        *PACKAGE.rglob("*.py"),
        *(ROOT / "local").rglob("*.py"),
        *ROOT.glob("functions/*/*.py"),
    ]:
        assert not any(word in path.stem for word in BANNED_WORDS), path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert not any(word in node.name.lower().split("_") for word in BANNED_WORDS), (
                    f"{path}: {node.name}"
                )
                assert not BANNED_NAMES.match(node.name), f"{path}: {node.name}"
            elif isinstance(node, ast.arg):
                assert not BANNED_NAMES.match(node.arg), f"{path}: {node.arg}"


def test_only_functions_that_call_the_provider_can_read_the_key():
    readers = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if "XaiApiKey" in json.dumps(resource.get("Properties", {}).get("Policies", ""))
    }
    assert readers == {"FirstFrameFunction", "StartFunction", "PollFunction"}


def test_no_function_can_delete_and_no_policy_has_a_wildcard_action():
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] not in {"AWS::Serverless::Function", "AWS::Serverless::StateMachine"}:
            continue
        for policy in resource["Properties"]["Policies"]:
            for statement in policy["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    assert "*" not in action, f"{name}: {action}"
                    # A message that was taken is deleted, which is how SQS knows.
                    may_delete = {"logs:DeleteLogDelivery", "sqs:DeleteMessage"}
                    assert "Delete" not in action or action in may_delete, f"{name}: {action}"


def allowed(resource: str) -> dict[str, list[str]]:
    """What a role may do, and to what."""
    found: dict[str, list[str]] = {}
    for policy in TEMPLATE["Resources"][resource]["Properties"]["Policies"]:
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            actions, targets = statement["Action"], statement["Resource"]
            for action in [actions] if isinstance(actions, str) else actions:
                found.setdefault(action, []).extend(
                    [targets] if isinstance(targets, str) else targets
                )
    return found


def test_who_takes_permits_and_settles_them_may_write_the_counters_and_nobody_else_may():
    def roles(action: str) -> set[str]:
        return {
            name
            for name, resource in TEMPLATE["Resources"].items()
            if "Policies" in resource.get("Properties", {}) and action in allowed(name)
        }

    # A permit is given if the caps are as they were; what is settled is settled whatever they are.
    takers = {"FirstFrameFunction", "StartFunction"}
    assert roles("dynamodb:ConditionCheckItem") == takers
    settlers = {"PollFunction", "FinalizeFunction", "RecordFailureFunction"}
    assert roles("dynamodb:UpdateItem") == takers | settlers


STATES_ARN = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
FILM_NAME = "${AWS::StackName}-render-film"


def test_the_role_of_a_film_holds_what_a_distributed_map_and_sync_need():
    """docs.aws.amazon.com/step-functions: iam-policies-eg-dist-map, stepfunctions-iam."""
    role, machine = allowed("RenderFilm"), TEMPLATE["Resources"]["RenderFilm"]["Properties"]
    assert machine["Name"] == FILM_NAME
    assert machine["Type"] == "STANDARD"
    # The map: starts executions of its own machine, and reads its items.
    assert role["states:StartExecution"] == ["RenderClip", f"{STATES_ARN}:stateMachine:{FILM_NAME}"]
    assert role["s3:GetObject"] == ["${Bucket.Arn}/generated/films/*"]
    executions = {
        f"{STATES_ARN}:execution:${{RenderClip.Name}}:*",
        # AWS's guide has had the one and the other for a map's own executions.
        f"{STATES_ARN}:execution:{FILM_NAME}:*",
        f"{STATES_ARN}:execution:{FILM_NAME}/*",
    }
    for action in ("states:DescribeExecution", "states:StopExecution"):
        assert set(role[action]) == executions
    # `.sync`: learns of the end of an execution by a managed rule.
    for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
        [rule] = role[action]
        assert rule.endswith(":rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")
    assert role["lambda:InvokeFunction"] == ["TakeUpFunction.Arn", "ConcludeFunction.Arn"]


def test_each_role_may_invoke_the_functions_of_its_machine_and_no_other():
    for resource, states in (("RenderClip", STATES), ("RenderFilm", FILM_STATES)):
        assert set(allowed(resource)["lambda:InvokeFunction"]) == {
            f"{state}Function.Arn" for state in states
        }


def test_who_may_start_executions():
    starters = {
        name: allowed(name)["states:StartExecution"]
        for name, resource in TEMPLATE["Resources"].items()
        if "Policies" in resource.get("Properties", {}) and "states:StartExecution" in allowed(name)
    }
    # A model asks for clips and for films, and so do files and events; a sweep and the doctor
    # resume both.
    both = ("McpFunction", "OnUploadFunction", "OnRequestFunction", "SweepFunction")
    for name in (*both, "DoctorFunction"):
        assert starters.pop(name) == ["RenderClip", "RenderFilm"], name
    assert {name: found[0] for name, found in starters.items()} == {
        "SubmitFunction": "RenderClip",
        "ResolveFunction": "RenderClip",
        "GenerateFunction": "RenderClip",
        "OnDeliveryFunction": "RenderClip",
        "FilmFunction": "RenderFilm",
        "RenderFilm": "RenderClip",
    }
    assert all(len(found) == 1 for name, found in starters.items() if name != "RenderFilm")


def test_a_resource_of_a_policy_is_a_star_only_where_aws_knows_no_narrower_one():
    for name, resource in TEMPLATE["Resources"].items():
        if "Policies" in resource.get("Properties", {}):
            for action, targets in allowed(name).items():
                assert "*" not in targets or action.startswith("logs:"), f"{name}: {action}"


def test_cors_is_off_unless_origins_are_named_and_never_for_everybody():
    parameter = TEMPLATE["Parameters"]["CorsOrigins"]
    allowed_values = re.compile(parameter["AllowedPattern"])
    assert parameter["Default"] == ""
    for origins in ("", "https://a.example", "https://a.example,http://localhost:3000"):
        assert allowed_values.fullmatch(origins)
    for origins in ("*", "https://*", "https://a.example,*", "https://a.example/x", "a.example"):
        assert not allowed_values.fullmatch(origins)
    cors = TEMPLATE["Resources"]["HttpApi"]["Properties"]["CorsConfiguration"]
    condition, configured, otherwise = cors
    assert (condition, otherwise) == ("HasCorsOrigins", "AWS::NoValue")
    assert configured["AllowOrigins"] == [",", "CorsOrigins"]
    assert "AllowCredentials" not in configured
    # Without it a client of MCP in a page does not see why it was refused.
    assert "www-authenticate" in configured["ExposeHeaders"]


def test_what_is_open_to_everybody_is_throttled_below_the_rest():
    api = TEMPLATE["Resources"]["HttpApi"]["Properties"]
    usual = api["DefaultRouteSettings"]["ThrottlingRateLimit"]
    found = {
        f"{one['Properties']['Method']} {one['Properties']['Path']}"
        for resource in TEMPLATE["Resources"].values()
        for one in resource.get("Properties", {}).get("Events", {}).values()
        if one["Properties"].get("Auth", {}).get("Authorizer") == "NONE"
    }
    assert found == set(api["RouteSettings"])
    assert all(limit["ThrottlingRateLimit"] < usual for limit in api["RouteSettings"].values())


def test_a_door_has_time_for_the_longest_wait():
    from videoconductor.waiting import MOST_SECONDS

    # API Gateway gives up after 30 seconds; a read of the table takes its own time.
    assert MOST_SECONDS + 5 <= TEMPLATE["Globals"]["Function"]["Timeout"] <= 30
    assert "Timeout" not in TEMPLATE["Resources"]["BrowseFunction"]["Properties"]


def test_events_are_put_under_our_own_name_only():
    for name, resource in TEMPLATE["Resources"].items():
        for policy in resource.get("Properties", {}).get("Policies", ()):
            for statement in policy["Statement"]:
                if "events:PutEvents" in json.dumps(statement["Action"]):
                    condition = statement["Condition"]["StringEquals"]
                    assert condition == {"events:source": "videoconductor"}, name


def test_what_holds_clips_and_records_survives_the_stack():
    for name in ("Bucket", "Table", "XaiApiKey", "ServiceTokens", "WebhookKey"):
        resource = TEMPLATE["Resources"][name]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_no_registry_address_stands_in_a_file():
    found = re.compile(r"https?://[^\s\"']*(pypi|npmjs|pythonhosted)[^\s\"']*", re.IGNORECASE)
    for path in (ROOT / "constraints.txt", ROOT / "pyproject.toml", ROOT / "Makefile"):
        assert not found.search(path.read_text()), path


def test_the_machines_are_control_flow_only():
    """Parameters name what a service is called with; no state makes up data of its own."""
    for name, state in ALL_STATES:
        assert not {"Assign", "ResultSelector", "Arguments", "Output"} & set(state), name
        assert ("Parameters" in state) == (name == "RenderClip"), name
    assert TURN["States"]["RenderClip"]["Parameters"] == {
        "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:render_clip",
        "Name.$": "$.name",
        "Input.$": "$.render",
    }


def test_the_doc_says_what_each_function_may_do_with_the_table():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = text.split("## Who may do what", 1)[1].split("\n## ", 1)[0]
    told = {
        row[0]: {word.strip() for word in row[1].split(",")} - {""}
        for line in section.splitlines()[4:]
        if len(row := [cell.strip() for cell in line.split("|")[1:]]) > 1
    }
    names = {
        "GetItem": "get",
        "PutItem": "put",
        "UpdateItem": "update",
        "Query": "query",
        "BatchGetItem": "batch get",
        "ConditionCheckItem": "condition check",
        "Scan": "scan",
    }
    found = {}
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()
            actions = (one.partition(":") for one in allowed(name))
            found[snake] = {names[what] for service, _, what in actions if service == "dynamodb"}
    assert told == found
