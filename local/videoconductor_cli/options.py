"""Options that several commands share, each with its name, help and environment variable."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from videoconductor_cli.errors import BadInput

MAX_USD = 1_000_000

Api = Annotated[
    str | None,
    typer.Option(
        "--api",
        envvar="VIDEOCONDUCTOR_API_URL",
        help="Url of a deployed API, called with your AWS credentials; "
        "the running local stack if not given.",
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="VIDEOCONDUCTOR_DATA",
        show_default=".videoconductor in the project",
        help="Data folder of the local stack.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
RenderId = Annotated[str, typer.Argument(metavar="RENDER_ID", help="As `generate` said it.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the clip and verify it.")]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DIR",
        show_default="the current one",
        help="Folder for the download; implies --download.",
    ),
]

Mode = Annotated[
    str | None, typer.Option("--mode", help="Quality mode: draft, production, …; draft if not.")
]
Duration = Annotated[int | None, typer.Option(help="Length in whole seconds.")]
AspectRatio = Annotated[str | None, typer.Option(help="16:9, 9:16, 1:1, …")]
Resolution = Annotated[str | None, typer.Option(help="480p, 720p or 1080p; the mode's if not.")]
Model = Annotated[str | None, typer.Option(help="The xAI model; the mode's if not.")]
Image = Annotated[
    str | None, typer.Option("--image", metavar="FILE|URL", help="First frame of the clip.")
]
LastFrame = Annotated[
    str | None, typer.Option("--last-frame", metavar="FILE|URL", help="Last frame of the clip.")
]
Reference = Annotated[
    list[str] | None,
    typer.Option("--reference", metavar="FILE|URL", help="Image to go by; may be repeated."),
]
SourceVideo = Annotated[
    str | None,
    typer.Option("--source-video", metavar="URL", help="Clip to edit, extend or remaster."),
]
Remaster = Annotated[bool, typer.Option("--remaster", help="Make it again at 720p.")]
Extend = Annotated[bool, typer.Option("--extend", help="Go on where the source clip ends.")]
ClipId = Annotated[str | None, typer.Option("--clip-id", help="Name of the clip in its film.")]
Film = Annotated[
    str | None,
    typer.Option("--film", "--pipeline-request-id", help="Film the clip belongs to."),
]
QuoteId = Annotated[
    str | None,
    typer.Option("--quote-id", help="Agree to what `quote` said this costs, and no more."),
]
Request = Annotated[
    str | None,
    typer.Argument(metavar="[REQUEST.json]", help="Clip request or script; - reads stdin."),
]
Prompt = Annotated[str | None, typer.Option(help="What the clip should show.")]
AnySource = Annotated[
    str | None,
    typer.Option(
        "--source-video",
        "--source-url",
        metavar="URL",
        help="Clip to edit, extend or remaster; `manifest` as in film.",
    ),
]
ClipIds = Annotated[
    list[str] | None,
    typer.Option("--clip-id", "--clip", help="Name of the clip; clips of a script may be several."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Make and pay for what is there already, too.")
]


def refuse_empty(option: str, held: str | None) -> None:
    """Refuse what a shell makes of a variable that is not set. Raises BadInput."""
    if held is not None and not held.strip():
        raise BadInput(f"{option} is empty: give one, or leave the option out")


def us_dollars(text: str | float) -> float:
    """An amount as somebody typed it. Raises BadParameter."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    is_negative = math.copysign(1, found) < 0
    if math.isnan(found) or is_negative or found > MAX_USD:
        words = f"{text!r} must be a number of US dollars from 0 to {MAX_USD:,}"
        raise typer.BadParameter(words)
    return found


MaxCostUsd = Annotated[
    float | None,
    typer.Option(
        "--max-cost-usd",
        metavar="N",
        parser=us_dollars,
        help="Refuse if the estimate is more.",
    ),
]
