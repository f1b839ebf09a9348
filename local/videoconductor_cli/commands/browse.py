"""`status`, `list`: what became of renders; and how a manifest is shown and written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from videoconductor_cli import options

MOST_NAMED = 5  # clips of a run that are not there


def status(
    render_id: options.RenderId,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until it comes to rest.")] = False,
    download: options.Download = False,
    to: options.To = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Show a render, or wait for its clip.

    --watch and --download wait until it comes to rest, and then end as `generate` does.
    """
    from videoconductor_cli import address, outcome, showing, watching

    client = address.client(api, data_folder)
    folder = outcome.folder(download, to)
    if watch or folder is not None:
        with watching.come_back(render_id, api, data_folder):
            settled = watching.watch(client, render_id)
        outcome.conclude(settled, folder, as_json=as_json)
        return
    render = client.render(render_id).document
    if as_json:
        showing.give_json(render)
    else:
        for line in showing.detail(render):
            showing.give(line)
        if render["result"] is not None and render["status"] != "finalized":
            showing.say(outcome.why_not(render))


def renders(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="Only these; may be repeated.")
    ] = None,
    film: Annotated[str | None, typer.Option("--film", help="Only those of this film.")] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="Only those in this quality mode.")
    ] = None,
    films: Annotated[
        bool, typer.Option("--films", help="List runs of films instead of renders.")
    ] = False,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """List the newest renders, or runs of films."""
    from videoconductor_cli import address, showing
    from videoconductor_cli.commands.films import show as show_runs
    from videoconductor_cli.errors import BadInput

    if films and mode is not None:
        raise BadInput("--mode goes with renders: a film's clips have modes of their own")
    client = address.client(api, data_folder)
    if films:
        show_runs(client, status or (), film, limit, as_json=as_json)
        return
    rows = client.renders(status=status or (), film=film, mode=mode, limit=limit)
    found = [render.document for render in rows]
    if as_json:
        showing.give_json({"videos": found})
        return
    if not found:
        showing.say("no such renders" if status or film or mode else "no renders yet")
        return
    showing.give_table(
        ["render", "status", "film", "clip", "mode", "cost", "asked for"],
        [
            [
                render["renderId"],
                render["status"],
                render["pipelineRequestId"],
                "" if render["clipId"] == render["renderId"] else render["clipId"],
                render["qualityMode"],
                showing.cost(render) + showing.reserved(render),
                render["requestedAt"][5:16].replace("T", " "),
            ]
            for render in found
        ],
    )


def show(manifest: dict[str, Any]) -> None:
    """Print a manifest as tables: its clips, and the runs that made them."""
    from videoconductor_cli import showing

    clips, runs = manifest["clips"], manifest.get("runs") or []
    if not clips and not runs:
        showing.say(f"film {manifest['requestId']} has no finished clips")
        return
    if clips:
        showing.give_table(
            ["clip", "mode", "status", "seconds", "size", "model", "cost", "with", "error"],
            [_clip_row(clip) for clip in clips],
        )
    if runs:
        showing.give("\nRuns")
        showing.give_table(
            ["run", "asked for", "status", "there", "cost", "not there"],
            [_run_row(run) for run in runs],
        )
    if spending := showing.spending(manifest.get("spending")):
        showing.give(f"\nThe film in all: {spending}")


def _clip_row(clip: dict[str, Any]) -> list[str]:
    """An entry; one that there is no clip of says little about itself."""
    from videoconductor_cli import showing

    seconds = clip.get("duration")
    pictures = {"still": "firstFrameUrl", "thumbnail": "thumbnailUrl", "poster": "posterUrl"}
    billed, estimate = clip.get("costUsd"), clip.get("estimatedCostUsd")
    is_guess = billed is None and estimate is not None and clip["status"] == "done"
    return [
        clip["id"],
        clip["qualityMode"],
        clip["status"],
        "" if seconds is None else f"{seconds:.2f}",
        clip.get("resolution") or "",
        clip.get("modelServed") or clip.get("model") or "",
        f"~{showing.usd(estimate)}" if is_guess else showing.usd(billed),
        ", ".join(word for word, name in pictures.items() if clip.get(name)),
        showing.cut(_error(clip.get("error"))),
    ]


def _run_row(run: dict[str, Any]) -> list[str]:
    from videoconductor_cli import showing

    lacking = run["failed"]
    words = [f"{one['clipId']} ({one['error'] or one['status']})" for one in lacking[:MOST_NAMED]]
    more = len(lacking) - MOST_NAMED
    return [
        run["runId"],
        run["requestedAt"][5:16].replace("T", " "),
        run["status"],
        f"{run['done']} of {run['total']}",
        showing.usd(run["costUsd"]) + showing.reserved(run),
        ", ".join([*words, f"and {more} more"] if more > 0 else words),
    ]


def _error(error: Any) -> str:
    """An entry's error in words: ours, or whatever an imported manifest holds."""
    if isinstance(error, dict):
        return ": ".join(str(error[name]) for name in ("error", "message") if error.get(name))
    return str(error or "")


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON file as a whole. Raises BadInput when it cannot be written."""
    import json
    import os

    from videoconductor_cli.errors import BadInput

    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(path)
    except OSError as problem:
        draft.unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {problem.strerror}") from problem
