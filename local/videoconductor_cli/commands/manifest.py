"""`manifest`: a film's clips and runs; `manifest import`: take an existing manifest in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput, NoClip


class ShowUnlessNamed(TyperGroup):
    """`manifest FILM` is short for `manifest show FILM`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The command's name and its arguments."""
        is_named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else ["show", *args])


app = typer.Typer(
    cls=ShowUnlessNamed,
    rich_markup_mode=None,
    subcommand_metavar="[show] [FILM] | import FILE",
    help="Show a film's clips and runs, fetch its files, or import a manifest.",
)


@app.command()
def show(
    film: Annotated[str, typer.Argument(help="The film's id, its pipelineRequestId.")] = "default",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the JSON to a file.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch clips and stills into DIR/FILM.")
    ] = False,
    to: options.To = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Show a film's clips and runs.

    The newest clip of each clip id and quality mode; `show` may be left out.
    """
    from videoconductor_cli import address, downloads, film_folder, outcome, showing
    from videoconductor_cli.commands import browse

    place = outcome.folder(download, to)
    if place is not None:
        downloads.check_writable(place)
    client = address.client(api, data_folder)
    found = client.manifest(film).document
    if output is not None:
        browse.write(output, found)
    if as_json:
        showing.give_json(found)
    else:
        browse.show(found)
    if place is None:
        return
    fetched = film_folder.fetch(client, film, place)
    tell = showing.say if as_json else showing.give
    tell(str(fetched.place))
    if words := fetched.words():
        if fetched.problems:
            raise NoClip("\n".join(words))
        showing.say("\n".join(words))


@app.command("import")
def take_in(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A manifest; - reads stdin.")],
    film: Annotated[
        str | None, typer.Option("--film", help="The film it is of; as the file says, if not.")
    ] = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Take an existing manifest into a film.

    Version 3, or the older shape of manifest-all.json; finished entries that stand there are kept.
    """
    from videoconductor_cli import address, reading, showing

    content = reading.octets(file)
    name = film or _film_of(file, content)
    client = address.client(api, data_folder)
    taken = client.import_manifest(name, content)
    for warning in taken["warnings"]:
        showing.say(f"note: {warning}")
    if as_json:
        showing.give_json(taken)
        return
    showing.give(
        f"film {taken['filmId']}: {len(taken['imported'])} entries imported, "
        f"{len(taken['kept'])} were there already"
    )


def _film_of(file: str, content: bytes) -> str:
    """The film that a manifest names. Raises BadInput."""
    import json

    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"{file} is not JSON: {problem}") from problem
    named = (
        [fields.get(name) for name in ("requestId", "project")] if isinstance(fields, dict) else []
    )
    film = next((name for name in named if isinstance(name, str) and name), None)
    if film is None:
        raise BadInput(f"{file} does not say which film it is of: give it with --film")
    return film
