"""A quote in words: a line for each thing that is paid for, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from videoconductor_cli import showing
from videoconductor_cli.showing import Document

COLUMNS = ("clip", "line", "quantity", "unit price", "least", "most", "as of")


def rows(quote: Document) -> Iterator[list[str]]:
    """The lines of each clip; of one that is not paid for, why not."""
    for clip in quote["clips"]:
        name = clip["clipId"] or "the clip"
        for line in clip["lines"]:
            yield [
                name,
                line["what"],
                f"{line['quantity']:g} {line['unit']}{'' if line['quantity'] == 1 else 's'}",
                f"${line['unitUsd']:g}",
                showing.usd(line["leastUsd"]),
                showing.usd(line["amountUsd"]),
                line["asOf"],
            ]
        if not clip["lines"]:
            yield [name, _why(clip), "", "", *map(showing.usd, _both(clip)), ""]


def summary(quote: Document) -> list[str]:
    """What it comes to, what is odd about it, and what holds the request to it."""
    words = [f"total: {showing.between(*_both(quote))} ({quote['due']} to pay for)"]
    for clip in quote["clips"]:
        words += [f"  note: {clip['clipId'] or 'the clip'}: {note}" for note in clip["warnings"]]
    if quote["unpriced"]:
        return [*words, f"no price is known of: {', '.join(quote['unpriced'])}"]
    return [*words, f"quoteId: {quote['quoteId']} (good until {quote['expiresAt']})"]


def _both(part: Mapping[str, float]) -> tuple[float, float]:
    return part["leastUsd"], part["totalUsd"]


def _why(clip: Document) -> str:
    if clip["reused"]:
        return "is there already"
    return clip["qualityMode"] if clip["due"] else "is under way"
