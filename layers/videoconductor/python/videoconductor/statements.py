"""How money looks from outside: the JSON and the CSV of the caps, of costs and of a check."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from videoconductor import budgets
from videoconductor.accounts import EVERYBODY, Row
from videoconductor.budgets import Caps
from videoconductor.ledger import Counter
from videoconductor.treasurer import Budget, Checked, Costs, Difference

# The columns of a table of costs beside its name, as JSON and CSV have them.
COLUMNS = (
    "posts",
    "settledUsd",
    "reportedUsd",
    "estimatedUsd",
    "heldUsd",
    "releasedUsd",
    "orchestrationUsd",
)
ROW, TOTAL = "row", "total"
# What a spreadsheet would take for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def budget(found: Budget) -> dict[str, Any]:
    """The caps, and how what they count stands."""
    caps = found.caps
    return {
        "caps": {
            "render": _usd(caps.render),
            "film": _by_name(caps.film, caps.films),
            "caller": _by_name(caps.caller, caps.callers),
            "day": _usd(caps.day),
            "month": _usd(caps.month),
        },
        "stopped": caps.stopped_at is not None,
        "stoppedAt": _time(caps.stopped_at),
        "stoppedBecause": caps.stopped_because,
        "changedAt": _time(caps.changed_at),
        "changedBy": caps.changed_by,
        "standings": [
            {
                **_named(counter),
                **budgets.standing(_cap(caps, counter), tally.held, tally.settled),
            }
            for counter, tally in found.standings
        ],
    }


def costs(found: Costs) -> dict[str, Any]:
    """What POSTs cost, in rows and in all; amounts in US dollars."""
    question, grouped = found.question, found.grouped
    return {
        "by": question.by,
        "from": question.first.isoformat(),
        "to": question.last.isoformat(),
        "film": question.film,
        "caller": question.caller,
        "tag": question.tag,
        "render": question.render,
        "run": question.run,
        "rows": [{"name": name, **_row(row)} for name, row in grouped.sorted()],
        "totals": _row(grouped.totals),
        "orchestration": {
            "about": "estimated at list prices of AWS, without free tier",
            "region": found.prices.region,
            "asOf": found.prices.as_of,
            "source": found.prices.source,
        },
    }


def checked(found: Checked) -> dict[str, Any]:
    """Whether the counters are the sums of the ledger's entries."""
    return {
        "agrees": not found.differences,
        "days": found.days,
        "entries": found.entries,
        "counters": found.counters,
        "moving": [_named(counter) for counter in found.moving],
        "differences": [_difference(difference) for difference in found.differences],
    }


def csv_of(document: Mapping[str, Any]) -> str:
    """The document of costs as CSV (RFC 4180), a line for each row and one for the totals.

    The last column tells them apart: a film may be called like the totals.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([document["by"], *COLUMNS, "line"])
    for row in document["rows"]:
        writer.writerow([_cell(row["name"]), *(plain(row[name]) for name in COLUMNS), ROW])
    totals = document["totals"]
    writer.writerow([TOTAL, *(plain(totals[name]) for name in COLUMNS), TOTAL])
    return written.getvalue()


def plain(amount: float) -> str:
    """A number without an exponent, and with no more digits than it has."""
    text = f"{Decimal(str(amount)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _cell(name: str | None) -> str:
    text = name or ""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _by_name(everybody: Decimal | None, own: Mapping[str, Decimal | None]) -> dict[str, Any]:
    return {EVERYBODY: _usd(everybody), **{name: _usd(cap) for name, cap in own.items()}}


def _cap(caps: Caps, counter: Counter) -> Decimal | None:
    match counter.scope:
        case "day":
            return caps.day
        case "month":
            return caps.month
        case "film":
            return caps.cap("film", counter.name)
        case "caller":
            return caps.cap("caller", counter.name.partition("#")[2])
        case _:
            return None


def _named(counter: Counter) -> dict[str, Any]:
    """A counter: its scope, its name, and the month where there is one for each month."""
    if counter.scope != "caller":
        return {"scope": counter.scope, "name": counter.name, "month": None}
    month, _, name = counter.name.partition("#")
    return {"scope": counter.scope, "name": name, "month": month}


def _row(row: Row) -> dict[str, Any]:
    amounts = (row.settled, row.reported, row.estimated, row.held, row.released)
    told = (row.posts, *map(_ticks, amounts), float(round(row.orchestration_usd, 6)))
    return dict(zip(COLUMNS, told, strict=True))


def _difference(found: Difference) -> dict[str, Any]:
    return {
        **_named(found.counter),
        "counter": {
            "spentUsd": _ticks(found.settled),
            "reservedUsd": _ticks(found.held),
            "totalUsd": _ticks(found.total),
            "entries": found.entries,
        },
        "ledger": {
            "spentUsd": _ticks(found.ledger_settled),
            "reservedUsd": _ticks(found.ledger_held),
            "totalUsd": _ticks(found.ledger_settled + found.ledger_held),
            "entries": found.ledger_entries,
        },
    }


def _ticks(amount: int) -> float:
    return float(budgets.usd(amount))


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
