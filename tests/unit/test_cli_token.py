"""`videoconductor token` against Secrets Manager, with two admins at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from videoconductor import tokens, wiring
from videoconductor_cli import token_book
from videoconductor_cli.errors import NoAnswer
from videoconductor_cli.main import app
from videoconductor_cli.token_book import TokenBook


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("VIDEOCONDUCTOR_TOKENS_SECRET", raising=False)
    with mock_aws():
        client = boto3.client("secretsmanager", "eu-central-1")
        made = client.create_secret(Name="tokens", SecretString='{"tokens": []}')
        yield made["ARN"]


def run(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, ["token", *arguments])
    return outcome.exit_code, outcome.stdout, outcome.stderr


def created(secret: str, name: str, *more: str) -> dict[str, Any]:
    code, out, err = run("create", name, "--scope", "submit", "--json", "--secret", secret, *more)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_token_is_shown_once_works_until_it_is_revoked_and_is_pruned(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(
        "create",
        "ci",
        "--scope",
        "submit",
        "--scope",
        "read",
        "--expires",
        "90d",
        "--secret",
        secret,
    )
    assert code == 0
    assert out.startswith("vc_")
    assert len(out.split()) == 1
    assert "may read and submit until" in err
    token = out.strip()

    monkeypatch.setenv("SERVICE_TOKENS_SECRET", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    wiring.forget()
    # No time goes by: a process remembers the secret for some seconds.
    monkeypatch.setattr(wiring.time, "monotonic", lambda: 1000.0)
    identity = wiring.identify(f"Bearer {token}")
    assert (identity.caller, identity.scopes) == ("token:ci", ("read", "submit"))

    code, out, _ = run("list", "--secret", secret)
    assert code == 0
    assert token not in out
    assert [word in out for word in (identity.token_id, "ci", "read, submit", "usable")] == [
        True
    ] * 4

    code, out, err = run("revoke", "ci", "--secret", secret)
    assert (code, out) == (0, f"token {identity.token_id} of ci is revoked\n")
    # What it remembers still has the token.
    assert wiring.identify(f"Bearer {token}")
    wiring.forget()
    with pytest.raises(tokens.Unidentified):
        wiring.identify(f"Bearer {token}")
    wiring.forget()

    assert run("prune", "--secret", secret)[:2] == (0, "removed 1, kept 0\n")
    assert json.loads(run("list", "--json", "--secret", secret)[1]) == {"tokens": []}
    assert run("revoke", "ci", "--secret", secret)[0] == 2


def test_a_document_for_programs_has_no_hash(secret: str) -> None:
    made = created(secret, "ci", "--expires", "never")
    assert made.pop("token").startswith(f"vc_{made['id']}_")
    assert set(made) == {"id", "name", "scopes", "createdAt", "expiresAt", "revokedAt", "state"}
    assert made["expiresAt"] is None


def test_two_admins_at_once_lose_no_token(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one writes whenever this one is between reading and writing."""
    others = iter(["second", "third"])
    real = TokenBook._replaced

    def interrupted(self: TokenBook, version: str, text: str) -> bool:
        if name := next(others, None):
            created(secret, name)
        return real(self, version, text)

    monkeypatch.setattr(TokenBook, "_replaced", interrupted)
    monkeypatch.setattr(token_book, "PAUSE_SECONDS", 0)
    created(secret, "first")

    found = json.loads(run("list", "--json", "--secret", secret)[1])["tokens"]
    assert {token["name"] for token in found} == {"first", "second", "third"}


def test_admins_that_keep_writing_end_in_words_and_in_nothing_written(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenBook, "_replaced", lambda *_: False)
    book = TokenBook(boto3.client("secretsmanager", "eu-central-1"), secret, sleep=lambda _: None)
    with pytest.raises(NoAnswer, match="try again"):
        book.change(
            lambda found: (
                found.with_revoked("ci", None)
                if found.tokens
                else found.with_token(tokens.mint("ci", ["read"], wiring.now(), None, bytes)[1])
            )
        )
    assert book.read().tokens == ()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "ci", "--scope", "admin"], 2, "choose one of: read, submit"),
        (["create", "two words", "--scope", "read"], 2, "name: 'two words'"),
        (["create", "ci", "--scope", "read", "--expires", "1y"], 2, "--expires: '1y'"),
        (["create", "ci", "--scope", "read", "--expires", "0d"], 2, "--expires: '0d'"),
        (["create", "ci"], 2, "--scope"),
        (["revoke", "nobody"], 2, "neither the name nor the id"),
        (["list", "--secret", "tokens"], 2, "--secret: 'tokens' is not the ARN"),
    ],
)
def test_what_cannot_be_ends_with_2_and_says_why(
    secret: str, arguments: list[str], code: int, words: str
) -> None:
    given = arguments if "--secret" in arguments else [*arguments, "--secret", secret]
    found, out, err = run(*given)
    assert (found, out) == (code, "")
    assert words in err


def test_another_secret_is_not_written_over(secret: str) -> None:
    client = boto3.client("secretsmanager", "eu-central-1")
    arn = client.create_secret(Name="key", SecretString="xai-key")["ARN"]
    code, out, err = run("create", "ci", "--scope", "read", "--secret", arn)
    assert (code, out) == (2, "")
    assert "another one" in err
    assert "xai-key" not in err
    assert client.get_secret_value(SecretId=arn)["SecretString"] == "xai-key"


def test_nobody_to_ask_is_a_3(secret: str, tmp_path: Any) -> None:
    assert run("list", "--data", str(tmp_path))[0] == 3
    assert run("list", "--secret", f"{secret}x")[0] == 3
