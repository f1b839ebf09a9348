"""Options that several commands share, each with its name, help and environment variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
MaxCostUsd = Annotated[
    float | None, typer.Option("--max-cost-usd", min=0, help="Refuse if the estimate is more.")
]
