"""The same template with AUTH=true: nobody gets in unsigned, and each role is enough."""

import json
import re
import secrets
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from typer.testing import CliRunner

from local_stack import sweep
from tests.e2e.test_inbox import outbox, put
from tests.workflow.conftest import Cloud as Source
from videoconductor import tokens
from videoconductor_cli import token_book
from videoconductor_cli.main import app

pytestmark = pytest.mark.e2e

GENERATE = "/api/mcp/v1/videos"
OPEN = {"/health", "/.well-known/oauth-protected-resource"}  # to everybody, and silent


def routes() -> list[tuple[str, str]]:
    """Every route of the template, so that a new one cannot be forgotten."""
    return sorted(
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for resource in Source.template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi"
    )


@pytest.fixture(scope="module")
def bearers(cloud):
    """Tokens by what they are, all made before the authorizer reads them for the first time."""
    folder = cloud.stack.folder.root
    given = ["token", "create", "studio", "--scope", "submit", "--data", str(folder)]
    made = CliRunner().invoke(app, given)
    assert made.exit_code == 0, made.output
    now = datetime.now(UTC)
    book = token_book.find(None, folder)

    def minted(name, expires_at):
        text, token = tokens.mint(name, ["read"], now, expires_at, secrets.token_bytes)
        book.change(lambda found: found.with_token(token))
        return text

    bearers = {
        "good": made.stdout.strip(),
        "reader": minted("reader", None),
        "expired": minted("late", now - timedelta(seconds=1)),
        "revoked": minted("gone", None),
    }
    book.change(lambda found: found.with_revoked("gone", now))
    return {name: {"Authorization": f"Bearer {text}"} for name, text in bearers.items()}


@pytest.fixture(scope="module")
def signing(cloud):
    """Headers signed by a user who was let in until the key was taken away, or long ago."""
    iam, ends = cloud.client("iam"), cloud.endpoints
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_user(UserName="leaver")
    iam.put_user_policy(UserName="leaver", PolicyName="all", PolicyDocument=allowed)
    key = iam.create_access_key(UserName="leaver")["AccessKey"]

    def signed(method, url, access_key, secret):
        request = AWSRequest(method, url, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials(access_key, secret), "execute-api", ends.region).add_auth(request)
        return dict(request.headers)

    def revoked(method, url):
        return signed(method, url, key["AccessKeyId"], key["SecretAccessKey"])

    def expired(method, url):
        headers = signed(method, url, ends.access_key_id, ends.secret_access_key)
        return {**headers, "X-Amz-Date": "20200101T000000Z"}

    url = cloud.endpoints.api_url.rstrip("/") + "/v1/videos"
    assert httpx.get(url, headers=revoked("GET", url)).status_code == 200
    iam.delete_access_key(UserName="leaver", AccessKeyId=key["AccessKeyId"])
    return {"revoked": revoked, "expired": expired}


def test_the_least_privilege_roles_are_enough_for_a_whole_clip(cloud, prompt):
    done = cloud.rest(cloud.submit(prompt=prompt)["renderId"])

    assert done["status"] == "finalized", done["error"]
    assert done["caller"].startswith("arn:")
    assert httpx.get(done["result"]["video"]["url"]).status_code == 200
    assert len(cloud.jobs(prompt)) == 1


def test_the_roles_are_enough_for_inline_images_failures_and_decisions(cloud, prompt):
    image = "data:image/png;base64," + (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
        "rkJggg=="
    )
    with_image = cloud.submit(prompt=prompt, imageUrl=image)
    refused = cloud.submit(prompt=f"{prompt} [[sim:nocredits]]")
    lost = cloud.submit(prompt=f"{prompt} [[sim:lost]]")

    assert cloud.rest(with_image["renderId"])["status"] in {"finalized", "failed"}
    assert cloud.rest(refused["renderId"])["error"]["error"] == "OutOfCredits"
    assert cloud.rest(lost["renderId"])["status"] == "submit_unknown"
    [job] = cloud.jobs(f"{prompt} [[sim:lost]]")
    attached = cloud.call("POST", f"/v1/videos/{lost['renderId']}/attach", {"requestId": job["id"]})
    assert attached.status_code == 200, attached.text
    assert cloud.rest(lost["renderId"])["status"] == "finalized"


def test_the_routes_of_the_running_api_are_those_of_the_template(cloud):
    client = cloud.client("apigatewayv2")
    found = client.get_routes(ApiId=cloud.endpoints.api_id)["Items"]
    assert sorted(route["RouteKey"] for route in found) == sorted(
        f"{method} {path}" for method, path in routes()
    )


@pytest.mark.parametrize(("method", "path"), routes())
def test_a_route_answers_nobody_without_or_with_wrong_credentials(
    cloud, bearers, signing, method, path
):
    method = "POST" if method == "ANY" else method
    url = cloud.endpoints.api_url.rstrip("/") + re.sub(r"\{\w+\}", "x", path)
    forged = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/execute-api/"
        "aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "X-Amz-Date": "20261122T000000Z",
    }
    token = bearers["good"]["Authorization"]
    tried = {
        "nothing": {},
        "forged": forged,
        "key revoked": signing["revoked"](method, url),
        "signed long ago": signing["expired"](method, url),
        "a guess": {"Authorization": f"Bearer vc_{'0' * 16}_{'A' * 43}"},
        "another secret": {"Authorization": token[:-43] + "A" * 43},
        "token expired": bearers["expired"],
        "token revoked": bearers["revoked"],
    }
    if path.startswith("/v1/"):
        tried["a token where a signature belongs"] = bearers["good"]

    with httpx.Client(timeout=60) as client:  # a function may have to start first
        found = {
            name: client.request(method, url, headers=headers) for name, headers in tried.items()
        }

    statuses = {name: answer.status_code for name, answer in found.items()}
    if path in OPEN:
        assert set(statuses.values()) == {200}
        assert len({answer.content for answer in found.values()}) == 1
    elif path == "/mcp":
        assert set(statuses.values()) == {401}
        assert all(answer.headers["WWW-Authenticate"] for answer in found.values())
    else:
        assert set(statuses.values()) <= {401, 403}, statuses


def test_a_good_token_gets_a_clip_and_no_more_than_its_scopes(cloud, bearers, prompt):
    """That the others are refused is not for want of a way in."""
    asked = {"prompt": prompt, "duration": 1, "clipId": "lamp"}
    answers = [
        cloud.call("POST", f"{GENERATE}/generate", asked, signed=False, headers=bearers["good"])
        for _ in range(2)
    ]
    body = answers[0].json()
    assert answers[0].status_code == 200, body
    assert body["success"] is True
    assert httpx.get(body["data"]["url"]).status_code == 200
    assert [answer.json()["data"]["renderId"] for answer in answers] == [
        body["data"]["renderId"]
    ] * 2
    assert len(cloud.jobs(prompt)) == 1
    record = cloud.render(body["data"]["renderId"])
    assert record["caller"] == "token:studio"

    mine = f"{GENERATE}/{record['renderId']}"
    signed = cloud.submit(prompt=f"{prompt} signed")["renderId"]
    for name, path, status in [
        ("good", mine, 200),
        ("reader", mine, 200),
        ("good", f"{GENERATE}/{signed}", 404),
        ("reader", f"{GENERATE}/{'0' * 32}", 404),
    ]:
        found = cloud.call("GET", path, signed=False, headers=bearers[name])
        assert found.status_code == status, (name, path, found.text)
    refused = cloud.call(
        "POST", f"{GENERATE}/generate", asked, signed=False, headers=bearers["reader"]
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "ScopeMissing")


def test_the_roles_are_enough_for_the_inbox_the_bus_the_outbox_and_the_sweep(cloud, prompt):
    """Without rights to list, a look for what is not there would be AccessDenied."""
    clip = {"prompt": prompt, "duration": 1}
    film = {"schemaVersion": "1.0", "requestId": "roles", "clips": [{**clip, "id": "a"}]}
    for name, body in [("clip", clip), ("film", film), ("bad", {})]:
        put(cloud, f"inbox/roles/{name}.json", body)
    entry = {
        "EventBusName": cloud.endpoints.event_bus,
        "Source": "roles",
        "DetailType": "ClipRequested",
        "Detail": json.dumps({**clip, "clipId": "from-the-bus"}),
    }
    cloud.client("events").put_events(Entries=[entry])

    assert outbox(cloud, "roles/bad", "error")["errors"][0]["field"] == "prompt"
    assert outbox(cloud, "roles/clip", "result")["status"] == "finalized"
    assert outbox(cloud, "roles/film", "result")["status"] == "finished"
    listed = cloud.call("GET", "/v1/videos?limit=100").json()["videos"]
    [asked] = [each["renderId"] for each in listed if each["clipId"] == "from-the-bus"]
    assert cloud.rest(asked)["status"] == "finalized"
    assert not {asked} & {*sweep(cloud.endpoints, may_post=True).left}
    assert len(cloud.jobs(prompt)) == 3


def test_a_web_page_cannot_reach_the_stack(cloud):
    url = cloud.endpoints.api_url.rstrip("/") + "/v1/videos"
    assert httpx.get(url, headers={"Origin": "https://evil.example"}).status_code == 403
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code in {400, 403, 421}
