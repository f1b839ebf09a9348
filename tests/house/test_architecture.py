"""The house's own rules: names, arrows, the shape of the machine and of what it may do."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from cfnlint.api import ManualArgs, lint

from tests.workflow.conftest import STATES, Cloud, definition

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/videoconductor/python/videoconductor"
TEMPLATE = Cloud.template()
MACHINE = json.loads(definition())

PURE = {
    "__init__",
    "clip",
    "conductor",
    "copying",
    "errors",
    "inputs",
    "intake",
    "models",
    "mp4",
    "pacing",
    "planning",
    "pricing",
    "providers",
    "quality",
    "reports",
    "script",
    "script.checks",
    "script.clips",
    "script.compiler",
    "script.films",
    "script.identity",
    "script.reading",
    "script.schema",
    "views",
    "workflow",
}
EDGES = {"download", "events", "library", "machine", "manifest", "providers.xai"}
GLUE = {"door", "task", "wiring"}
FORBIDDEN_IN_PURE = {"boto3", "botocore", "httpx", "os", "socket", "time", "requests", "subprocess"}
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
    assert not ours(MODULES[name]) & ((EDGES | GLUE) - {name})


def test_only_wiring_reads_the_environment():
    readers = {name for name, path in MODULES.items() if "os.environ" in path.read_text()}
    assert readers == {"wiring"}


def test_nothing_but_loggers_metrics_and_constants_is_built_at_import():
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                built = ast.unparse(node.value.func)
                assert built in {"Logger", "Metrics", "TypeVar", "frozenset", "re.compile"} or (
                    built in {"timedelta", "httpx.Timeout", "ipaddress.ip_network"}
                ), f"{name} builds {built} at import"


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
        assert f"workflow.{folder}(" in (ROOT / "functions" / folder / "app.py").read_text()


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


def test_the_machine_has_no_dangling_unreachable_or_endless_state():
    assert graph_problems(MACHINE) == []


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


def test_the_machine_is_clean_under_cfn_lint_when_it_is_inlined():
    text = json.dumps(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {
                "RenderClip": {
                    "Type": "AWS::StepFunctions::StateMachine",
                    "Properties": {
                        "RoleArn": "arn:aws:iam::123456789012:role/machine",
                        "Definition": MACHINE,
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


def test_every_task_has_a_timeout_and_catches_everything():
    for name, state in MACHINE["States"].items():
        if state["Type"] == "Task":
            assert state["TimeoutSeconds"]
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name


def test_error_names_in_the_machine_are_error_classes_or_aws_names():
    from videoconductor import errors

    for state in MACHINE["States"].values():
        for rule in (*state.get("Retry", ()), *state.get("Catch", ())):
            for name in rule["ErrorEquals"]:
                assert hasattr(errors, name) or name.startswith(
                    ("Lambda.", "States.", "Sandbox.", "Runtime.")
                ), name


def test_lease_is_longer_than_task_timeout_is_longer_than_function_timeout_is_longer_than_post():
    from videoconductor import workflow
    from videoconductor.providers import xai

    parameters = TEMPLATE["Parameters"]
    lease, task, function = (
        parameters[name]["Default"]
        for name in ("LeaseSeconds", "StartTaskSeconds", "StartFunctionSeconds")
    )
    # The last read may begin just before the bound.
    post = xai.POST_SECONDS + (xai.POST_TIMEOUT.connect or 0) + (xai.POST_TIMEOUT.read or 0)
    assert lease > task > function > post + workflow.MAX_SECONDS_BEFORE_POST


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


def test_the_start_and_poll_functions_alone_can_read_the_key():
    readers = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if "secretsmanager" in json.dumps(resource.get("Properties", {}).get("Policies", ""))
    }
    assert readers == {"StartFunction", "PollFunction"}


def test_no_function_can_delete_and_no_policy_has_a_wildcard_action():
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] not in {"AWS::Serverless::Function", "AWS::Serverless::StateMachine"}:
            continue
        for policy in resource["Properties"]["Policies"]:
            for statement in policy["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    assert "*" not in action, f"{name}: {action}"
                    assert "Delete" not in action or action == "logs:DeleteLogDelivery"


def test_what_holds_clips_and_records_survives_the_stack():
    for name in ("Bucket", "Table", "XaiApiKey"):
        resource = TEMPLATE["Resources"][name]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_layer_requirements_are_the_pinned_versions():
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    for line in (ROOT / "layers/dependencies/requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert line in constraints, line


def test_no_registry_address_stands_in_a_file():
    found = re.compile(r"https?://[^\s\"']*(pypi|npmjs|pythonhosted)[^\s\"']*", re.IGNORECASE)
    for path in (ROOT / "constraints.txt", ROOT / "pyproject.toml", ROOT / "Makefile"):
        assert not found.search(path.read_text()), path


def test_the_sample_yaml_of_the_machine_has_no_assign_and_no_parameters():
    text = yaml.safe_load((ROOT / "statemachine/render_clip.asl.yaml").read_text())
    for name, state in text["States"].items():
        assert not {"Assign", "Parameters", "ResultSelector", "Arguments"} & set(state), name
