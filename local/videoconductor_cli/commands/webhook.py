"""`webhook secret`, `webhook redeliver`, `webhook dead`: what is told to callbackUrls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options

if TYPE_CHECKING:
    from videoconductor_cli.webhook_desk import DeadLetter

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        envvar="VIDEOCONDUCTOR_STACK",
        help="A deployed stack, asked with your AWS credentials; "
        "the running local stack if not given.",
    ),
]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Secrets and deliveries of webhooks.",
)


@app.command()
def secret(
    caller: Annotated[
        str | None,
        typer.Option(
            "--caller",
            metavar="ARN|token:NAME",
            help="Whose; yours if not given. As `caller` in a render's record.",
        ),
    ] = None,
    stack: Stack = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Print the secret that a caller's webhooks are signed with.

    It is made of the stack's key, which only those can read who may read all secrets.
    """
    from videoconductor import webhooks
    from videoconductor_cli import showing, webhook_desk

    desk = webhook_desk.find(stack, data_folder)
    whose = caller or desk.caller()
    found = webhooks.secret(desk.key(), whose)
    showing.say(f"the secret of {whose}; keep it like a password:")
    showing.give(found)


@app.command()
def redeliver(
    render_ids: Annotated[list[str], typer.Argument(metavar="RENDER_ID...", help="Of clips.")],
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Tell the callbackUrls of renders once more.

    With the same webhook id, and as often as it takes. Of a film's run:
    POST /v1/films/{film}/redeliver.
    """
    from videoconductor_cli import address, showing

    client = address.client(api, data_folder)
    for render_id in render_ids:
        client.redeliver(render_id)
        showing.give(f"{render_id} is told once more")


@app.command()
def dead(
    again: Annotated[
        bool, typer.Option("--redeliver", help="Have all of them tried again, for another day.")
    ] = False,
    as_json: options.AsJson = False,
    stack: Stack = None,
    data_folder: options.DataFolder = None,
) -> None:
    """List the webhooks that were given up after a day.

    An event that was overtaken meanwhile is not told when it is tried again.
    """
    from videoconductor_cli import showing, webhook_desk

    desk = webhook_desk.find(stack, data_folder)
    letters = desk.revive() if again else desk.dead()
    if as_json:
        showing.give_json({"webhooks": [document(letter) for letter in letters]})
        return
    if not letters:
        showing.say("none was given up")
        return
    rows = [[str(field) for field in document(letter).values()] for letter in letters]
    showing.give_table(["webhook", "event", "of", "happened", "queued"], rows)
    if again:
        showing.say(f"{len(letters)} are tried again")


def document(letter: DeadLetter) -> dict[str, Any]:
    """A webhook that was given up, as it is shown."""
    notice = letter.notice
    return {
        "webhookId": notice.webhook_id,
        "event": notice.type,
        "of": notice.render_id or f"{notice.film} run {notice.run_id}",
        "happenedAt": notice.happened_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "queuedAt": letter.sent_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
