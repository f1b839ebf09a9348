"""The same template with AUTH=true: nobody gets in unsigned, and each role is enough."""

import re

import httpx
import pytest

from tests.workflow.conftest import Cloud as Source

pytestmark = pytest.mark.e2e


def routes() -> list[tuple[str, str]]:
    """Every route of the template, so that a new one cannot be forgotten."""
    return [
        (event["Properties"]["Method"], re.sub(r"\{\w+\}", "x", event["Properties"]["Path"]))
        for resource in Source.template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
    ]


def test_the_least_privilege_roles_are_enough_for_a_whole_clip(guarded, prompt):
    done = guarded.rest(guarded.submit(prompt=prompt)["renderId"])

    assert done["status"] == "finalized", done["error"]
    assert done["caller"].startswith("arn:")
    assert httpx.get(done["result"]["video"]["url"]).status_code == 200
    assert len(guarded.jobs(prompt)) == 1


def test_the_roles_are_enough_for_inline_images_failures_and_decisions(guarded, prompt):
    image = "data:image/png;base64," + (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
        "rkJggg=="
    )
    with_image = guarded.submit(prompt=prompt, imageUrl=image)
    refused = guarded.submit(prompt=f"{prompt} [[sim:nocredits]]")
    lost = guarded.submit(prompt=f"{prompt} [[sim:lost]]")

    assert guarded.rest(with_image["renderId"])["status"] in {"finalized", "failed"}
    assert guarded.rest(refused["renderId"])["error"]["error"] == "OutOfCredits"
    assert guarded.rest(lost["renderId"])["status"] == "submit_unknown"
    [job] = guarded.jobs(f"{prompt} [[sim:lost]]")
    attached = guarded.call(
        "POST", f"/v1/videos/{lost['renderId']}/attach", {"requestId": job["id"]}
    )
    assert attached.status_code == 200, attached.text
    assert guarded.rest(lost["renderId"])["status"] == "finalized"


@pytest.mark.parametrize(("method", "path"), routes())
def test_a_route_answers_nobody_without_or_with_wrong_credentials(guarded, method, path):
    assert guarded.call(method, path, {}, signed=False).status_code in {401, 403}
    url = guarded.endpoints.api_url.rstrip("/") + path
    forged = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/execute-api/"
        "aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "X-Amz-Date": "20261122T000000Z",
    }
    assert httpx.request(method, url, headers=forged).status_code in {401, 403}


def test_a_web_page_cannot_reach_the_stack(guarded):
    url = guarded.endpoints.api_url.rstrip("/") + "/v1/videos"
    assert httpx.get(url, headers={"Origin": "https://evil.example"}).status_code == 403
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code in {400, 403, 421}
