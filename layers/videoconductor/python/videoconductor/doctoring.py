"""What is wrong with a record, an entry, an object, an execution or a counter; and which command
helps. Judgement alone: who looks, and who mends, is elsewhere.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from videoconductor import budgets, permits, recovering, revival
from videoconductor.clip import SETTLED, Attempt, FilmRun, ManifestEntry, Noun, Render, Usd

if TYPE_CHECKING:
    from videoconductor.treasurer import Difference

Kind = Literal[
    "submit_unknown",
    "stalled",
    "held",
    "render_without_execution",
    "run_without_execution",
    "unannounced",
    "execution_without_record",
    "clip_without_entry",
    "object_without_entry",
    "entry_without_object",
    "delivery",
    "counter",
    "dead_letters",
    "unreadable",
]
Repair = Literal["resumed", "announced", "entered", "recovered"]

LOOKED_AT = (
    "deliveries",
    "renders",
    "runs",
    "entries",
    "executions",
    "objects",
    "counters",
    "queues",
)
# An object is written before anything names it, and a copy may be tried for some minutes.
OBJECT_GRACE = timedelta(minutes=30)
DOCTOR = "videoconductor doctor --repair"
MAY_POST = f"{DOCTOR} --may-post"
CONFLICT = "conflict"
_NAME = re.compile(
    r"(?P<render>[0-9a-f]{32})(?:-[0-9]+)?(?:\.(?P<other>[0-9a-f]{16}))?\.mp4", re.ASCII
)


class Finding(Noun):
    """One thing that is not as it should be.

    `name` says which: a render, `film/run`, a key, a counter, a queue. `since` is when it came to
    be so, where that is known; `held_usd` what is reserved for it. `commands` resolve it, as a
    person types them; several are alternatives. `repaired` is what was done about it just now.
    """

    kind: Kind
    name: str
    words: str
    since: datetime | None
    held_usd: Usd
    commands: tuple[str, ...]
    repaired: Repair | None

    def mended(self, how: Repair) -> Finding:
        """The same, once it is repaired."""
        return self.model_copy(update={"repaired": how, "commands": ()})


_DELIVERED = re.compile(r"incoming/([^/]+)/(?:[0-9]+\.mp4|still-[0-9]+)", re.ASCII)


def delivered_for(key: str) -> str | None:
    """The id of the render that something under incoming/ was delivered for; None for any other."""
    found = _DELIVERED.fullmatch(key)
    return found and found[1]


class Rendering(NamedTuple):
    """What the key of an object under the clips' prefix says."""

    film: str
    entry_id: str
    render_id: str | None
    is_conflict: bool


@dataclass(frozen=True)
class Places:
    """Where things are, as commands name them. `prefix` is that of clips, without a slash."""

    table: str
    bucket: str
    prefix: str

    def rendering(self, key: str) -> Rendering | None:
        """Whose object lies under a key; None for a key that no clip of ours has."""
        parts = key.removeprefix(f"{self.prefix}/").split("/")
        if not key.startswith(f"{self.prefix}/") or len(parts) != 4:
            return None
        film, clip, mode, name = parts
        found = _NAME.fullmatch(name)
        render_id, other = (found["render"], found["other"]) if found else (None, None)
        return Rendering(film, f"{clip}::{mode}", render_id, other is not None)

    def film(self, key: str) -> str | None:
        """The film in whose folder an object lies."""
        parts = key.removeprefix(f"{self.prefix}/").split("/")
        return parts[0] if key.startswith(f"{self.prefix}/") and len(parts) > 1 else None

    def uri(self, key: str) -> str:
        """An object as the AWS command line names it, quoted for a shell."""
        return shlex.quote(f"s3://{self.bucket}/{key}")


# ── Records ──────────────────────────────────────────────────────────────────────────────────────


def last_moved(record: Render) -> datetime:
    """When a render last reached a status."""
    return record.timeline[-1].at if record.timeline else record.created_at


def unresolved(record: Render) -> Finding | None:
    """A render of which only a person can say how it goes on: it waits for one since then."""
    name = shlex.quote(record.render_id)
    retry = f"videoconductor retry {name} --may-charge-twice"
    abandon = f"videoconductor abandon {name}"
    attach = f"videoconductor attach {name}"
    if record.status == "stalled":
        words = f"{_of(record)}: its job may still finish: {_why(record)}"
        return _about(record, "stalled", words, attach, retry, abandon)
    if record.status != "submit_unknown":
        return None
    if record.request_id is not None:
        commands = [attach, retry, abandon]
    elif record.attempts:
        commands = [f"{attach} REQUEST_ID", retry, abandon]
    else:  # the POST for its still got lost, which has no request id
        commands = [retry, abandon]
    words = f"{_of(record)}: xAI may have accepted it, and nobody knows: {_why(record)}"
    return _about(record, "submit_unknown", words, *commands)


def held(record: Render, now: datetime) -> Finding | None:
    """A render at rest whose POST is still held, though nobody decided that it should be.

    What was cancelled, given up, or sent again with the consent to be charged twice was decided.
    """
    if record.status not in {"failed", "cancelled"}:
        return None
    open_ones = [a for a in (*record.still_attempts, *record.attempts) if a.held_ticks]
    if not any(_is_undecided(record, attempt, now) for attempt in open_ones):
        return None
    name = shlex.quote(record.render_id)
    words = f"{_of(record)}: it is {record.status}, and what its POST cost is not known"
    attach = f"videoconductor attach {name}{'' if record.request_id else ' REQUEST_ID'}"
    retry = f"videoconductor retry {name} --may-charge-twice"
    commands = [*([attach] if record.attempts else []), retry]
    if revival.may_be_abandoned(record):
        commands.append(f"videoconductor abandon {name}")
    return _about(record, "held", words, *commands)


def _is_undecided(record: Render, attempt: Attempt, now: datetime) -> bool:
    if attempt.outcome == "abandoned":
        return False
    if attempt.outcome == "submitting":  # its holder is gone, or would have said what came of it
        return permits.lease_left(attempt, now) <= 0
    is_given_up = record.failure is not None and record.failure.error == revival.ABANDONED
    return record.status == "failed" and not is_given_up


def is_held_by_decision(record: Render, now: datetime) -> bool:
    """Whether a render at rest holds money that somebody knows about."""
    is_listed = record.status not in SETTLED or unresolved(record) or held(record, now)
    return bool(record.held_ticks) and not is_listed


def lost(record: Render) -> Finding:
    """A render that is not at rest, and that nobody works on."""
    words = f"{_of(record)}: it is {record.status}, and no execution works on it"
    if not was_sent(record):
        words += "; it was not sent yet, or nobody knows: going on with it may be paid for"
    resume = f"videoconductor resume {shlex.quote(record.render_id)}"
    repair = DOCTOR if was_sent(record) else MAY_POST
    return _about(record, "render_without_execution", words, repair, resume)


def was_sent(record: Render) -> bool:
    """Whether a render waits for a job, or copies it: there is nothing left to be paid for."""
    return record.status in {"rendering", "rendered"}


def untold(record: Render) -> Finding:
    """A render at rest that was not announced."""
    words = f"{_of(record)}: it is {record.status}, and no event said so"
    return _about(record, "unannounced", words, DOCTOR)


def lost_run(run: FilmRun) -> Finding:
    """A run that has not ended, and that nobody works on."""
    words = f"run {run.run_id} of film {run.film}: it is {run.status}, and no execution works on it"
    return _plain(
        "run_without_execution",
        _run_name(run),
        f"{words}; going on with it may be paid for",
        MAY_POST,
        since=run.requested_at,
    )


def untold_run(run: FilmRun) -> Finding:
    """A run that has ended and was not announced."""
    words = f"run {run.run_id} of film {run.film}: it is {run.status}, and no event said so"
    return _plain("unannounced", _run_name(run), words, DOCTOR, since=run.ended_at)


def unreadable(pk: str, sk: str, places: Places) -> Finding:
    """An item of the table that is none of those there are, or of another release."""
    key = shlex.quote(json.dumps({"pk": {"S": pk}, "sk": {"S": sk}}, ensure_ascii=False))
    command = f"aws dynamodb get-item --table-name {places.table} --key {key}"
    return _plain("unreadable", f"{pk} {sk}", "the table's item cannot be read", command)


# ── Clips, entries, objects ──────────────────────────────────────────────────────────────────────


def without_entry(record: Render) -> Finding:
    """A finished render whose clip the manifest does not have."""
    words = f"{_of(record)}: its clip is finished, and the manifest does not have it"
    return _about(record, "clip_without_entry", words, DOCTOR)


def without_object(record: Render, found: int | None, places: Places) -> Finding | None:
    """A finished render whose object is gone, or has another size: `found` is in bytes."""
    clip = record.clip
    if clip is None or found == clip.bytes:
        return None
    missing = "is gone" if found is None else f"has {found} bytes, not {clip.bytes}"
    words = f"{_of(record)}: its object {clip.key} {missing}"
    return _about(record, "entry_without_object", words, *_to_get_back(clip.key, places))


def entry_without_object(entry: ManifestEntry, key: str, places: Places) -> Finding:
    """An entry of the manifest whose object is gone."""
    name = f"{entry.pipeline_request_id}/{entry.id}"
    words = f"{entry.clip_id} of film {entry.pipeline_request_id}: its object {key} is gone"
    commands = _to_get_back(key, places)
    return _plain("entry_without_object", name, words, *commands, since=entry.updated_at)


def _to_get_back(key: str, places: Places) -> Iterator[str]:
    """The bucket keeps what is deleted: taking the marker away brings it back."""
    named = f"--bucket {places.bucket} --prefix {shlex.quote(key)}"
    yield f"aws s3api list-object-versions {named}"
    gone = f"--bucket {places.bucket} --key {shlex.quote(key)} --version-id DELETE_MARKER"
    yield f"aws s3api delete-object {gone}"


def may_be_nameless(key: str, record: Render | None, places: Places) -> bool:
    """Whether an MP4 has to be looked for in the manifest: its record does not account for it."""
    if record is None:
        return True
    found = places.rendering(key)
    # Another file that came for a taken key is kept beside it, and its render says so.
    if record.status not in SETTLED or (found is not None and found.is_conflict):
        return False
    if record.clip is not None and record.clip.key == key:
        return False
    why = record.failure
    return not (why is not None and why.code == CONFLICT and key in why.message)


def nameless(key: str, record: Render | None, modified: datetime, places: Places) -> Finding:
    """An MP4 under the clips' prefix that nothing names."""
    look = f"aws s3 cp {places.uri(key)} ."
    take_away = f"aws s3 rm {places.uri(key)}"
    if record is None:
        words = "no render and no entry of the film in its key names it"
        sidecar = places.uri(f"{key.removesuffix('mp4')}json")
        return _plain(
            "object_without_entry",
            key,
            words,
            f"aws s3 cp {sidecar} -",
            look,
            take_away,
            since=modified,
        )
    words = f"{_of(record)}: it is {record.status}, and neither it nor an entry names this clip"
    commands = [look, take_away]
    if record.status != "finalized" and record.request_id is not None:
        commands.insert(0, f"videoconductor attach {shlex.quote(record.render_id)}")
    return _plain("object_without_entry", key, words, *commands, since=modified)


def delivered(
    record: Render | None, name: str, key: str, modified: datetime, places: Places
) -> Finding:
    """A delivery under incoming/ that nobody took up; `name` is its render's id, or its key."""
    if record is None:
        words = "no render asked for what was delivered there"
        look, take_away = f"aws s3 cp {places.uri(key)} .", f"aws s3 rm {places.uri(key)}"
        return _plain("delivery", name, words, look, take_away, since=modified)
    words = f"{_of(record)}: it is {record.status}, and xAI has delivered its clip to {key}"
    commands = [DOCTOR] if recovering.finishing(record) or recovering.beside(record) else []
    if record.status != "finalized":
        commands.append(f"videoconductor attach {shlex.quote(record.render_id)}")
    found = _about(record, "delivery", words, *commands)
    return found.model_copy(update={"since": modified})


# ── Executions, money, queues ────────────────────────────────────────────────────────────────────


def execution_without_record(name: str, arn: str, started: datetime | None) -> Finding:
    """An execution under way whose render, or run, is not on record."""
    words = "it is under way, and there is no record of what it works on; its history has it all"
    quoted = shlex.quote(arn)
    history = f"aws stepfunctions get-execution-history --execution-arn {quoted} --reverse-order"
    stop = f"aws stepfunctions stop-execution --execution-arn {quoted}"
    return _plain("execution_without_record", name, words, history, stop, since=started)


def counter(found: Difference, places: Places) -> Finding:
    """A counter that is not the sum of its entries."""
    scope, name = found.counter
    words = (
        f"it says {budgets.shown(found.settled)} spent and {budgets.shown(found.held)} reserved in "
        f"{found.entries} entries; the ledger's {found.ledger_entries} come to "
        f"{budgets.shown(found.ledger_settled)} and {budgets.shown(found.ledger_held)}. If the "
        "ledger is what is right, the second command sets the counter"
    )
    return _plain(
        "counter",
        f"{scope} {name}",
        words,
        "videoconductor costs --check",
        _set_counter(found, places),
    )


def _set_counter(found: Difference, places: Places) -> str:
    """The command that sets a counter to its entries' sum, if it is as it was seen."""
    scope, name = found.counter
    seen = {"h": found.held, "s": found.settled, "t": found.total, "n": found.entries}
    sums = found.ledger_held, found.ledger_settled, found.ledger_held + found.ledger_settled
    wanted = dict(zip("hstn", (*sums, found.ledger_entries), strict=True))
    fields = dict(
        zip("hstn", ("heldTicks", "settledTicks", "totalTicks", "entryCount"), strict=True)
    )
    change = ", ".join(f"{fields[one]} = :{one}" for one in wanted)
    values = {f":{one}": {"N": str(value)} for one, value in wanted.items()}
    if any(seen.values()):
        condition = " AND ".join(f"{fields[one]} = :{one}0" for one in seen)
        values |= {f":{one}0": {"N": str(value)} for one, value in seen.items()}
    else:
        condition = "attribute_not_exists(pk) OR totalTicks = :z"
        values |= {":z": {"N": "0"}}
    key = {"pk": {"S": f"SPEND#{scope}"}, "sk": {"S": name}}
    parts = {
        "--key": json.dumps(key, ensure_ascii=False),
        "--update-expression": f"SET {change}",
        "--condition-expression": condition,
        "--expression-attribute-values": json.dumps(values),
    }
    shown = " ".join(f"{option} {shlex.quote(value)}" for option, value in parts.items())
    return f"aws dynamodb update-item --table-name {places.table} {shown}"


def dead_letters(url: str, count: int, *, of_webhooks: bool) -> Finding:
    """A queue in which lies what was given up."""
    name = url.rpartition("/")[2]
    if of_webhooks:
        words = f"{count} webhooks were not taken for a day"
        commands = ["videoconductor webhook dead", "videoconductor webhook dead --redeliver"]
    else:
        words = f"{count} events were given up by functions"
        receive = f"aws sqs receive-message --queue-url {shlex.quote(url)}"
        commands = [f"{receive} --message-attribute-names All"]
    return _plain("dead_letters", name, words, *commands)


# ── Words ────────────────────────────────────────────────────────────────────────────────────────


def _of(record: Render) -> str:
    return f"{record.clip_id} of film {record.pipeline_request_id}"


def _run_name(run: FilmRun) -> str:
    return f"{run.film}/{run.run_id}"


def _why(record: Render) -> str:
    return record.failure.message if record.failure else record.status


def _about(record: Render, kind: Kind, words: str, *commands: str) -> Finding:
    return Finding(
        kind=kind,
        name=record.render_id,
        words=words,
        since=last_moved(record),
        held_usd=budgets.usd(record.held_ticks),
        commands=commands,
        repaired=None,
    )


def _plain(
    kind: Kind, name: str, words: str, *commands: str, since: datetime | None = None
) -> Finding:
    return Finding(
        kind=kind,
        name=name,
        words=words,
        since=since,
        held_usd=budgets.usd(0),
        commands=commands,
        repaired=None,
    )
