"""Who gets past the guard and the signature check of the local stack."""

import asyncio

import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_stack.guard import guarded, refusal
from local_stack.signatures import signed

PORT = 4567
HOST = (b"host", b"127.0.0.1:4567")
SECRET = "secret"
URL = "http://127.0.0.1:4567"


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/", [HOST], None),
        ("/", [(b"host", b"localhost:4567")], None),
        ("/", [HOST, (b"origin", b"http://127.0.0.1:4567")], None),
        ("/", [HOST, (b"sec-fetch-site", b"none")], None),
        ("/", [], "foreign Host"),
        ("/", [HOST, HOST], "foreign Host"),
        ("/", [(b"host", b"127.0.0.1")], "foreign Host"),
        ("/", [(b"host", b"127.0.0.1:4567.evil.example")], "foreign Host"),
        ("/", [(b"host", b"evil.example:4567")], "foreign Host"),
        ("/", [HOST, (b"origin", b"null")], "foreign Origin"),
        ("/", [HOST, (b"Origin", b"https://evil.example")], "foreign Origin"),
        ("/", [HOST, (b"origin", b"http://localhost:3000")], "foreign Origin"),
        ("/", [HOST, (b"sec-fetch-site", b"cross-site")], "sent by another site"),
        ("/", [HOST, (b"sec-fetch-site", b"same-site")], "sent by another site"),
        ("/_ministack/health", [HOST], None),
        ("/_ministack/reset", [HOST], "closed on the local stack"),
        ("/_ministack/config", [HOST], "closed on the local stack"),
    ],
)
def test_only_our_own_host_and_origin_get_in_and_no_back_door(path, headers, reason):
    assert refusal(path, headers, PORT) == reason


class App:
    """Answers 200 and keeps what it was sent."""

    def __init__(self):
        self.bodies = []

    async def __call__(self, scope, receive, send):
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def status_of(app, request, body=b""):
    """What the app answers to a prepared request."""
    path, _, query = request.url.removeprefix(URL).partition("?")
    scope = {
        "type": "http",
        "method": request.method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), str(value).encode()) for name, value in request.headers.items()
        ],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def signed_request(key="key", secret=SECRET, service="execute-api", body=b"{}", path="/v1/videos"):
    request = AWSRequest("POST", f"{URL}{path}", data=body, headers={"Host": "127.0.0.1:4567"})
    SigV4Auth(Credentials(key, secret), service, "us-east-1").add_auth(request)
    return request


def presigned_request(expires=60, secret=SECRET):
    request = AWSRequest("GET", f"{URL}/clips/a%20b.mp4", headers={"Host": "127.0.0.1:4567"})
    auth = S3SigV4QueryAuth(Credentials("key", secret), "s3", "us-east-1", expires=expires)
    auth.add_auth(request)
    del request.headers["Host"]
    request.headers["Host"] = "127.0.0.1:4567"
    return request


@pytest.fixture
def app():
    return App()


@pytest.fixture
def checked(app):
    return signed(app, lambda key, token: SECRET if key == "key" else None)


def test_a_signed_request_gets_in_with_its_body(app, checked):
    assert status_of(checked, signed_request(), b"{}") == 200
    assert app.bodies == [b"{}"]


def test_a_presigned_url_gets_in(checked):
    assert status_of(checked, presigned_request()) == 200


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (signed_request(secret="guessed"), b"{}"),
        (signed_request(key="test", secret="test"), b"{}"),
        (signed_request(key="123456789012", secret="test"), b"{}"),
        (signed_request(), b'{"another": "body"}'),
        (presigned_request(secret="guessed"), b""),
        (presigned_request(expires=-10), b""),
        (AWSRequest("POST", f"{URL}/v1/videos"), b"{}"),
        (AWSRequest("POST", f"{URL}/", headers={"Authorization": "garbage"}), b""),
        (AWSRequest("POST", f"{URL}/", headers={"Authorization": "AWS4-HMAC-SHA256 x"}), b""),
        (AWSRequest("OPTIONS", f"{URL}/v1/videos"), b""),
        (AWSRequest("GET", f"{URL}/latest/meta-data/"), b""),
    ],
)
def test_a_request_without_our_signature_does_not(app, checked, request_, body):
    assert status_of(checked, request_, body) == 403
    assert app.bodies == []


def test_a_route_with_a_door_of_its_own_is_reached_unsigned_and_no_other(app):
    checked = signed(app, lambda key, token: None, lambda *route: route == ("POST", "/generate"))
    assert status_of(checked, AWSRequest("POST", f"{URL}/generate"), b"{}") == 200
    assert app.bodies == [b"{}"]
    assert status_of(checked, AWSRequest("GET", f"{URL}/generate")) == 403
    assert status_of(checked, AWSRequest("POST", f"{URL}/generate/"), b"{}") == 403


def test_an_old_signature_does_not_get_in(app, checked):
    request = signed_request()
    request.headers.replace_header("X-Amz-Date", "20200101T000000Z")
    assert status_of(checked, request, b"{}") == 403


def test_a_signature_in_header_and_query_does_not_get_in(app, checked):
    request = signed_request(path="/v1/videos?X-Amz-Credential=123456789012")
    assert status_of(checked, request, b"{}") == 403


def test_websockets_are_closed(app):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/", "headers": [HOST]}
    asyncio.run(guarded(app, PORT)(scope, receive, send))
    assert sent == ["websocket.close"]
