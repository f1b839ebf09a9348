"""What a scanner finds in the stack, held against the exceptions that the template explains."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from local_stack.packaging import Template, read_template, translate

# What a resource of SAM becomes.
MADE_OF = {"AWS::Serverless::Function": "AWS::Lambda::Function"}


class Finding(NamedTuple):
    """A check of checkov, and a resource that failed it."""

    check: str
    kind: str
    resource: str
    words: str


class Exempt(NamedTuple):
    """A check that resources of a kind need not pass, and why."""

    check: str
    kind: str
    because: str


def exceptions(template: Template) -> list[Exempt]:
    """The exceptions of a template's Metadata. Raises KeyError for one without a reason."""
    rows = template["Metadata"]["Audit"]
    return [Exempt(row["Check"], row["Of"], row["Because"]) for row in rows]


def judged(findings: Iterable[Finding], exempt: Iterable[Exempt]) -> Iterator[str]:
    """What is not as it should be: findings nobody explained, explanations of nothing."""
    left = {(one.check, one.kind) for one in exempt}
    used = set()
    for found in findings:
        used.add((found.check, found.kind))
        if (found.check, found.kind) not in left:
            yield f"{found.check} {found.resource}: {found.words}"
    for check, kind in sorted(left - used):
        yield f"{check} of {kind} is explained, and not found any more"


def scanned(checkov: Path, document: Path) -> list[Finding]:
    """What checkov finds in a template, without a call to anybody. Raises OSError if it fails."""
    options = ("--framework", "cloudformation", "--output", "json", "--skip-download", "--compact")
    done = subprocess.run(  # noqa: S603
        [checkov, "--quiet", *options, "--file", document],
        capture_output=True,
        text=True,
        timeout=300,
    )
    try:
        report = json.loads(done.stdout)
        results, summary = report["results"], report["summary"]
    except (ValueError, KeyError, TypeError):
        raise OSError(f"checkov: {done.stderr.strip()[-500:] or done.stdout[:500]}") from None
    if summary["parsing_errors"] or not summary["passed"]:
        raise OSError(f"checkov could not read {document}: {summary}")
    return [_finding(one) for one in results["failed_checks"]]


def _finding(row: Any) -> Finding:
    kind, _, resource = row["resource"].partition(".")
    return Finding(row["check_id"], MADE_OF.get(kind, kind), resource, row["check_name"])


def translated(template: Template) -> Template:
    """The template as SAM makes it; code may be anywhere, the transform does not look at it."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in properties:
                properties[name] = "s3://bucket/key"
    return translate(template, "us-east-1")


def audit(checkov: Path, project: Path) -> dict[str, list[str]]:
    """What is wrong with template.yaml, and with what SAM makes of it."""
    source = project / "template.yaml"
    template = read_template(source)
    exempt = exceptions(template)
    with TemporaryDirectory() as folder:
        made = Path(folder) / "translated.json"
        made.write_text(json.dumps(translated(template)), "utf-8")
        documents = {"template.yaml": source, "template.yaml, translated": made}
        return {
            name: list(judged(scanned(checkov, path), exempt)) for name, path in documents.items()
        }
