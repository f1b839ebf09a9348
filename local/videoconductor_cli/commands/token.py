"""`token create`, `token list`, `token revoke`, `token prune`: who may call with a Bearer token."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput

if TYPE_CHECKING:
    from videoconductor.tokens import ServiceToken, ServiceTokens

NEVER = "never"
UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
LONGEST = timedelta(days=3660)

Secret = Annotated[
    str | None,
    typer.Option(
        "--secret",
        metavar="ARN",
        envvar="VIDEOCONDUCTOR_TOKENS_SECRET",
        help="Output ServiceTokensSecret of a deployed stack, written with your AWS credentials; "
        "the running local stack's if not given.",
    ),
]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list and revoke service tokens.",
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it.")],
    scope: Annotated[list[str], typer.Option("--scope", help="read or submit; may be repeated.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="As 90d, 12h, 30m, or never.")
    ] = "90d",
    as_json: options.AsJson = False,
    secret: Secret = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Make a token and print it, this once.

    Only its hash is kept: a token that is lost is revoked and made anew.
    """
    import secrets
    from datetime import UTC, datetime

    from videoconductor import tokens
    from videoconductor_cli import showing, token_book

    now = datetime.now(UTC).replace(microsecond=0)
    lifetime = lifetime_of(expires)
    end = None if lifetime is None else now + lifetime
    with token_book.refusals():
        text, token = tokens.mint(name, scope, now, end, secrets.token_bytes)
    kept = token_book.find(secret, data_folder).change(lambda found: found.with_token(token))
    if as_json:
        showing.give_json({"token": text, **document(token, now)})
        return
    until = f"until {moment(token.expires_at)}" if token.expires_at else "for ever"
    showing.say(f"token {token.id} of {name} may {' and '.join(token.scopes)} {until}")
    showing.say("it is shown this once; send it as `Authorization: Bearer …`:")
    showing.give(text)
    if others := sum(one.name == name and one.is_usable(now) for one in kept.tokens) - 1:
        showing.say(f"{others} more of that name can be used: revoke what is not needed, by its id")


@app.command("list")
def show(
    as_json: options.AsJson = False,
    secret: Secret = None,
    data_folder: options.DataFolder = None,
) -> None:
    """List the tokens, never what they read."""
    from datetime import UTC, datetime

    from videoconductor_cli import showing, token_book

    now = datetime.now(UTC)
    found = token_book.find(secret, data_folder).read().tokens
    if as_json:
        showing.give_json({"tokens": [document(token, now) for token in found]})
        return
    if not found:
        showing.say("no tokens yet")
        return
    rows = [
        [
            token.id,
            token.name,
            ", ".join(token.scopes),
            moment(token.created_at),
            moment(token.expires_at) if token.expires_at else NEVER,
            token.state(now),
        ]
        for token in found
    ]
    showing.give_table(["id", "name", "scopes", "made", "expires", "is"], rows)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="NAME|ID", help="All of a name, or one by id.")],
    as_json: options.AsJson = False,
    secret: Secret = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Revoke a token, or all tokens of a name.

    Within a minute it opens nothing any more. What was asked for with it goes on.
    """
    from datetime import UTC, datetime

    from videoconductor_cli import showing, token_book

    now = datetime.now(UTC).replace(microsecond=0)
    book = token_book.find(secret, data_folder)
    kept = book.change(lambda found: found.with_revoked(token, now))
    revoked = [one for one in kept.tokens if token in {one.id, one.name}]
    if as_json:
        showing.give_json({"tokens": [document(one, now) for one in revoked]})
        return
    for one in revoked:
        showing.give(f"token {one.id} of {one.name} is revoked")
    showing.say("it may work for a minute more, where it was checked just now")


@app.command()
def prune(
    as_json: options.AsJson = False,
    secret: Secret = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Remove expired and revoked tokens from the record.

    A secret has room for about 200 tokens.
    """
    from datetime import UTC, datetime

    from videoconductor_cli import showing, token_book

    now = datetime.now(UTC)
    gone: list[ServiceToken] = []

    def usable(found: ServiceTokens) -> ServiceTokens:
        gone[:] = [token for token in found.tokens if not token.is_usable(now)]
        return found.usable(now)

    kept = token_book.find(secret, data_folder).change(usable)
    if as_json:
        showing.give_json({"removed": [document(token, now) for token in gone]})
        return
    showing.give(f"removed {len(gone)}, kept {len(kept.tokens)}")


def lifetime_of(text: str) -> timedelta | None:
    """How long a token lives; None for ever. Raises BadInput."""
    if text == NEVER:
        return None
    given = re.fullmatch(r"([0-9]{1,6})([dhm])", text, re.ASCII)
    lifetime = UNITS[given[2]] * int(given[1]) if given else timedelta(0)
    if not timedelta(0) < lifetime <= LONGEST:
        raise BadInput(f"--expires: {text!r} is no time like 90d, 12h or 30m, nor {NEVER!r}")
    return lifetime


def moment(at: Any) -> str:
    """A time as people read it."""
    return f"{at:%Y-%m-%d %H:%M}Z"


def document(token: ServiceToken, now: Any) -> dict[str, Any]:
    """A token for a program; without its hash, which is of no use to anybody."""
    fields = token.model_dump(mode="json", exclude={"sha256"})
    return {**fields, "state": token.state(now)}
