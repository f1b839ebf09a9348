"""Service tokens: what opens, what does not, and that nothing on record opens anything."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from videoconductor import tokens
from videoconductor.errors import InvalidRequest, ScopeMissing, TokensUnavailable, Unidentified
from videoconductor.tokens import ServiceTokens

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def random_bytes(size):
    return bytes(range(size))


def minted(name="ci", scopes=("read", "submit"), expires_at=LATER, offset=0):
    def shifted(size):
        return bytes((number + offset) % 256 for number in range(size))

    return tokens.mint(name, scopes, NOW, expires_at, shifted)


def test_a_token_says_whose_it_is_and_what_it_may():
    text, token = minted(scopes=("submit",))
    document = ServiceTokens().with_token(token).text()

    identity = tokens.identify(f"Bearer {text}", document, NOW)

    assert text == "vc_0001020304050607_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert (identity.caller, identity.token_id) == ("token:ci", token.id)
    assert identity.scopes == ("submit",)
    tokens.require(identity, "submit")
    with pytest.raises(ScopeMissing, match="'read'"):
        tokens.require(identity, "read")


def test_what_is_on_record_is_the_hash_and_not_the_token():
    text, token = minted()
    document = ServiceTokens().with_token(token).text()
    assert token.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert text.rpartition("_")[2] not in document
    with pytest.raises(Unidentified):
        tokens.identify(f"Bearer vc_{token.id}_{token.sha256[:43]}", document, NOW)


TEXT, TOKEN = minted()
OTHER_TEXT, OTHER = minted(name="other", offset=1)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        f"Basic {TEXT}",
        TEXT,
        f"Bearer {TEXT}x",
        f"Bearer {TEXT[:-1]}",
        f"Bearer {TEXT} {TEXT}",
        f"Bearer {TEXT}\nx",
        f"Bearer {TEXT.upper()}",
        f"Bearer vc_{TOKEN.id}_{OTHER_TEXT.rpartition('_')[2]}",
        f"Bearer vc_{'f' * 16}_{TEXT.rpartition('_')[2]}",
        "Bearer " + "é" * 63,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/execute-api/aws4_request",
    ],
)
def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(authorization):
    document = ServiceTokens(tokens=(TOKEN, OTHER)).text()
    revoked = ServiceTokens(tokens=(TOKEN,)).with_revoked("ci", NOW).text()
    with pytest.raises(Unidentified) as refused:
        tokens.identify(authorization, document, NOW)
    with pytest.raises(Unidentified) as expired:
        tokens.identify(f"Bearer {TEXT}", document, LATER)
    with pytest.raises(Unidentified) as gone:
        tokens.identify(f"Bearer {TEXT}", revoked, NOW)
    assert str(refused.value) == str(expired.value) == str(gone.value)
    assert "vc_" not in str(refused.value)


@pytest.mark.parametrize("authorization", [f"bearer {TEXT}", f"BEARER  {TEXT} "])
def test_the_scheme_is_read_as_http_has_it(authorization):
    document = ServiceTokens(tokens=(TOKEN,)).text()
    assert tokens.identify(authorization, document, NOW).name == "ci"


def test_a_token_is_compared_in_constant_time_even_when_its_id_is_unknown(monkeypatch):
    compared = []
    real = hmac.compare_digest

    def counted(one, another):
        compared.append(len(one) == len(another) == 64)
        return real(one, another)

    monkeypatch.setattr(tokens.hmac, "compare_digest", counted)
    document = ServiceTokens(tokens=(TOKEN,)).text()
    tokens.identify(f"Bearer {TEXT}", document, NOW)
    for wrong in (OTHER_TEXT, TEXT[:-1] + "_"):
        with pytest.raises(Unidentified):
            tokens.identify(f"Bearer {wrong}", document, NOW)
    assert compared == [True, True, True]


@pytest.mark.parametrize(
    "document", ["", "null", "[]", '{"tokens": [{}]}', '{"tokens": [], "x": 1}', "secret"]
)
def test_a_secret_that_holds_something_else_lets_nobody_in_and_is_not_quoted(document):
    with pytest.raises(TokensUnavailable) as problem:
        tokens.identify(f"Bearer {TEXT}", document, NOW)
    assert problem.value.__cause__ is None
    assert "secret'" not in str(problem.value)


def test_the_secret_of_the_template_is_an_empty_document():
    assert tokens.read('{"tokens": []}') == ServiceTokens()


def test_a_name_stands_for_all_its_tokens_and_an_id_for_one():
    _, second = minted(offset=7)
    book = ServiceTokens(tokens=(TOKEN, second, OTHER))
    by_id = book.with_revoked(second.id, NOW)
    assert [token.state(NOW) for token in by_id.tokens] == ["usable", "revoked", "usable"]
    by_name = by_id.with_revoked("ci", LATER)
    assert [token.revoked_at for token in by_name.tokens] == [LATER, NOW, None]
    assert [token.name for token in by_name.usable(NOW).tokens] == ["other"]
    assert book.usable(LATER).tokens == ()
    with pytest.raises(InvalidRequest, match="nobody"):
        book.with_revoked("nobody", NOW)


def test_a_full_secret_says_what_helps():
    one = len(ServiceTokens(tokens=(TOKEN, TOKEN)).text()) - len(
        ServiceTokens(tokens=(TOKEN,)).text()
    )
    most = (65_536 - len('{"tokens":[]}')) // one
    assert most > 200
    fits = ServiceTokens(tokens=(TOKEN,) * most)
    assert len(fits.text().encode()) <= 65_536
    with pytest.raises(InvalidRequest, match=f"full with {most} tokens; prune"):
        fits.with_token(TOKEN).text()


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [
        ("", ["read"], "name"),
        ("two words", ["read"], "name"),
        ("a:b", ["read"], "name"),
        ("ci\n", ["read"], "name"),
        ("é", ["read"], "name"),
        ("x" * 65, ["read"], "name"),
        ("0123456789abcdef", ["read"], "name"),
        ("ci", [], "scope"),
        ("ci", ["read", "admin"], "scope"),
    ],
)
def test_a_token_that_cannot_be_is_refused(name, scopes, field):
    with pytest.raises(InvalidRequest) as refused:
        tokens.mint(name, scopes, NOW, None, random_bytes)
    assert refused.value.problems[0].field == field
