"""`status`, `list`, `manifest`: what became of renders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from videoconductor_cli import options


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
    from videoconductor_cli.client import VideoConductor

    client = VideoConductor(address.find(api, data_folder))
    folder = outcome.folder(download, to)
    if watch or folder is not None:
        with watching.come_back(render_id, api, data_folder):
            (render,) = watching.watch(client, [render_id])
        outcome.conclude(render, folder, as_json=as_json)
        return
    render = client.render(render_id)
    if as_json:
        showing.give_json(render)
    else:
        for line in showing.detail(render):
            showing.give(line)
        if render["result"] is not None and render["status"] != "finalized":
            showing.say(outcome.why_not(render))


def renders(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """List the newest renders."""
    from videoconductor_cli import address, showing
    from videoconductor_cli.client import VideoConductor

    found = VideoConductor(address.find(api, data_folder)).renders(limit)
    if as_json:
        showing.give_json({"videos": found})
        return
    if not found:
        showing.say("no renders yet")
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
                showing.cost(render),
                render["requestedAt"][5:16].replace("T", " "),
            ]
            for render in found
        ],
    )


def manifest(
    film: Annotated[str, typer.Argument(help="The film's pipelineRequestId.")] = "default",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the JSON to a file.")
    ] = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Show a film's newest finished clips."""
    from videoconductor_cli import address, showing
    from videoconductor_cli.client import VideoConductor

    found = VideoConductor(address.find(api, data_folder)).manifest(film)
    if output is not None:
        write(output, found)
    if as_json:
        showing.give_json(found)
    else:
        show(found)


def show(manifest: dict[str, Any]) -> None:
    """Print a manifest as a table."""
    from videoconductor_cli import showing

    if not manifest["clips"]:
        showing.say(f"film {manifest['requestId']} has no finished clips")
        return
    showing.give_table(
        ["clip", "mode", "seconds", "size", "model", "cost"],
        [
            [
                clip["id"],
                clip["qualityMode"],
                f"{clip['duration']:.2f}",
                clip["resolution"],
                clip["modelServed"] or clip["model"],
                showing.cost(clip),
            ]
            for clip in manifest["clips"]
        ],
    )


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
