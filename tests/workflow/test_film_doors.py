"""Films over HTTP: the doors' handlers with the events that API Gateway hands them."""

import json
from itertools import product
from urllib.parse import quote, urlencode

import pytest

from tests.workflow.conftest import ROOT, load_handler
from tests.workflow.test_doors import CONTEXT, event
from tests.workflow.test_film import script
from videoconductor import wiring

RING = (ROOT / "tests/fixtures/ring-manifest-all.json").read_text()


@pytest.fixture(scope="module")
def doors():
    return {name: load_handler(name) for name in ("film", "browse")}


@pytest.fixture
def http(films, doors):
    return over_http(doors)


def over_http(doors):
    """Call a route as API Gateway does: the path decoded or not, parameters by name."""

    def call(method, path, body=None, *, query="", key=None, film=None, iam=True, **named):
        parameters = None if film is None else {"film": film}
        content = json.dumps(body) if isinstance(body, dict) else body
        sent = event(method, path, content, parameters=parameters, iam=iam, **named)
        sent["rawQueryString"] = query
        if key is not None:
            sent["headers"]["idempotency-key"] = key
        is_read = method == "GET"
        answer = doors["browse" if is_read else "film"].handler(sent, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"]), answer

    return call


def test_a_script_is_answered_with_every_clip_and_its_price_and_where_to_look(films, http):
    film = script("one", "two")
    status, body, answer = http("POST", "/v1/films", film, key="k")

    assert status == 202, body
    run_id = body["runId"]
    assert body == {
        "filmId": "film",
        "runId": run_id,
        "status": "running",
        "clips": [
            {
                "clipId": f"{number:02}",
                "qualityMode": "draft",
                "renderId": body["clips"][number - 1]["renderId"],
                "operation": "generate",
                "model": "grok-imagine-video",
                "duration": 1,
                "resolution": "480p",
                "aspectRatio": "16:9",
                "estimatedCostUsd": 0.05,
                "due": True,
                "reused": False,
                "warnings": [],
            }
            for number in (1, 2)
        ],
        "due": 2,
        "reused": 0,
        "estimatedCostUsd": 0.1,
        "links": {
            "self": f"/v1/films/film?run={run_id}",
            "manifest": "/v1/films/film/manifest",
        },
    }
    location = answer.get("headers", {}).get("Location") or answer["multiValueHeaders"]["Location"]
    assert body["links"]["self"] in location
    films.settle()
    assert http("POST", "/v1/films", film, key="k")[1] == body
    status, conflict, _ = http("POST", "/v1/films", script("other"), key="k")
    assert (status, conflict["status"]) == (409, 409)
    assert len(films.jobs()) == 2


def test_a_run_is_shown_while_it_lasts_and_when_it_is_over(films, http):
    film = script("one", "two [[sim:moderated]]", "three [[sim:lost]]")
    seen = []
    films.while_waiting = lambda: seen.append(http("GET", "/v1/films/film", film="film"))
    _, accepted, _ = http("POST", "/v1/films", film)
    run_id = accepted["runId"]
    films.end(wiring.manifest().run("film"))
    films.while_waiting = None

    statuses = [(status, body["status"]) for status, body, _ in seen]
    assert set(statuses) == {(200, "running")}
    assert all(sum(body["counts"].values()) == 3 + 3 for _, body, _ in seen)
    status, body, _ = http("GET", "/v1/films/film", film="film", query=f"run={run_id}")
    assert status == 200
    assert body["counts"] == {"total": 3, "done": 1, "failed": 1, "running": 0, "unresolved": 1}
    assert body["status"] == "incomplete"
    assert (body["estimatedCostUsd"], body["costUsd"]) == (0.15, 0.1)
    assert body["requestedAt"] < body["endedAt"]
    assert body["resultKey"] in films.objects()
    assert body["requestKey"] in films.objects()
    rows = {row["clipId"]: row for row in body["clips"]}
    assert rows["01"]["status"] == "finalized"
    assert (rows["01"]["progress"], rows["01"]["error"], rows["01"]["advice"]) == (100, None, None)
    assert rows["02"]["error"]["error"] == "ModerationRejected"
    assert "attach" in rows["03"]["advice"]
    assert rows["03"]["status"] == "submit_unknown"


def test_what_nobody_knows_is_a_404_and_what_cannot_be_is_a_400(films, http):
    http("POST", "/v1/films", script("one"))
    films.settle()
    cases = [
        ("GET", "/v1/films/nobody", "nobody", "", 404),
        ("GET", "/v1/films/film", "film", "run=nobody", 404),
        ("GET", "/v1/films/film", "film", "run=", 404),
        ("GET", "/v1/films/film", "film", "run=a&run=b", 400),
        ("GET", "/v1/films/a::b", "a::b", "", 400),
        ("GET", "/v1/films/x", "", "", 400),
        ("GET", "/v1/films/x", "y" * 500, "", 400),
        ("GET", "/v1/films/film/manifest", "film", "presign=yes", 400),
        ("GET", "/v1/films/film/manifest", "film", "presign=true&presign=true", 400),
        ("POST", "/v1/films/nobody/resume", "nobody", "", 404),
        ("POST", "/v1/films/film/resume", "film", "", 409),
        ("POST", "/v1/films/film/other", "film", "", 404),
        ("POST", "/v1/films/nobody/cancel", "nobody", "", 404),
        ("POST", "/v1/films/film/cancel", "film", "", 409),
        ("POST", "/v1/films/nobody/retry", "nobody", "", 404),
        ("POST", "/v1/films/film/remaster", "film", "run=nobody", 404),
        # A parameter that nobody knows, on each route.
        ("GET", "/v1/films", "film", "mode=draft", 400),
        ("GET", "/v1/films/film", "film", "presign=true", 400),
        ("GET", "/v1/films/film/manifest", "film", "run=a", 400),
        ("POST", "/v1/films/film/manifest", "film", "run=a", 400),
        ("POST", "/v1/films/film/cancel", "film", "clip=01", 400),
        ("POST", "/v1/films/film/resume", "film", "clip=01", 400),
        ("POST", "/v1/films/film/retry", "film", "clip=01", 400),
        ("POST", "/v1/films/film/remaster", "film", "force=true", 400),
        ("POST", "/v1/films/film/manifest", "film", "", 400),
        ("POST", "/v1/films/a%2Fb/manifest", "a/b", "", 400),
    ]
    for method, path, film, query, expected in cases:
        status, body, answer = http(method, path, film=film, query=query)
        assert (status, body["status"]) == (expected, expected), (path, query, body)
        kind = answer.get("headers", {}).get("Content-Type") or answer["multiValueHeaders"]
        assert "application/problem+json" in str(kind)


FILMS = [
    "हिन्दी फ़िल्म",
    "фильм №1".replace("№", "n"),
    "東京 物語",
    "e\u0301clair & co",
    "a+b=c",
    "it's (1), ~x!",
    "manifest",
    "resume",
    "لوحة",
]


@pytest.mark.long
def test_a_film_of_any_script_is_found_however_its_url_is_written(films, http):
    for number, film in enumerate(FILMS, 1):
        status, body, _ = http("POST", "/v1/films", script("one", film=film))
        assert status == 202, body
        assert films.end(wiring.manifest().run(film)).status == "finished"
        assert body["links"]["manifest"] == f"/v1/films/{quote(film, safe='')}/manifest"
        assert len(films.jobs()) == number

    # rawPath decoded or not, the parameter decoded or not: gateways differ.
    for film in FILMS:
        for path, parameter in product((film, quote(film, safe="")), repeat=2):
            status, detail, _ = http("GET", f"/v1/films/{path}", film=parameter)
            assert (status, detail["filmId"]) == (200, film)
            status, manifest, _ = http(
                "GET", f"/v1/films/{path}/manifest", film=parameter, query="presign=true"
            )
            assert (status, manifest["requestId"]) == (200, film)
            [clip] = manifest["clips"]
            assert clip["downloads"]["video"].startswith("https://")
            assert clip["downloads"]["firstFrame"] is None
            status, found, _ = http("POST", f"/v1/films/{path}/resume", film=parameter)
            assert status == 409, found
            assert "finished" in found["detail"]


def test_an_id_that_a_url_could_turn_into_another_is_refused_in_a_script(films, http):
    for film in ("100%", "a%20b", "%41", "{film}", "a/b", "..", "😀", "a\u200bb"):
        status, body, _ = http("POST", "/v1/films", script("one", film=film))

        assert status == 400, film
        assert [error["field"] for error in body["errors"]] == ["requestId"]
    assert films.objects() == []


BAD_QUERIES = [
    ("clips=01", {"clips"}),
    ("remaster=1", {"remaster"}),
    ("remaster=", {"remaster"}),
    ("force=True", {"force"}),
    ("remaster=true&remaster=true", {"remaster"}),
    ("maxCostUsd=-1", {"maxCostUsd"}),
    ("maxCostUsd=1e9", {"maxCostUsd"}),
    ("maxCostUsd=NaN", {"maxCostUsd"}),
    ("maxCostUsd=1000001", {"maxCostUsd"}),
    ("maxCostUsd=%D9%A1", {"maxCostUsd"}),
    ("sourceVideoUrl=%20", {"sourceVideoUrl"}),
    ("clip=", {"clip[0]"}),
    ("clip=01&clip=a%3A%3Ab", {"clip[1]"}),
    ("clip=nobody", {"clip"}),
    ("clip=%ff", {"query"}),
    ("x=1&force=perhaps&maxCostUsd=a", {"x", "force", "maxCostUsd"}),
    ("&".join(f"clip={n}" for n in range(11_000)), {"query"}),
    ("a" * 3000 + "=1", {"a" * 64}),
]


def test_a_bad_query_names_each_parameter_and_nothing_is_written(films, http):
    for query, fields in BAD_QUERIES:
        status, body, answer = http("POST", "/v1/films", script("one"), query=query)

        assert status == 400, (query[:80], body)
        assert {error["field"] for error in body["errors"]} == fields, query[:80]
        assert len(answer["body"]) < 20_000
    assert films.objects() == []
    assert films.dynamodb.scan(TableName="table")["Count"] == 0


def test_the_query_says_how_the_script_is_made(films, http):
    film = script("one", {"id": "a, b & c", "prompt": "two"}, "three")
    query = urlencode([("clip", "01"), ("clip", "a, b & c"), ("maxCostUsd", "0.10")])

    status, body, _ = http("POST", "/v1/films", film, query=query)
    films.settle()
    assert (status, [clip["clipId"] for clip in body["clips"]]) == (202, ["01", "a, b & c"])

    status, body, _ = http("POST", "/v1/films", film, query="remaster=true&clip=03&force=false")
    films.settle()
    assert [clip["qualityMode"] for clip in body["clips"]] == ["production"]
    status, body, _ = http("POST", "/v1/films", film, query=f"{query}&force=true")
    films.settle()
    assert (status, body["due"]) == (202, 2)
    assert len(films.jobs()) == 5


def test_a_hostile_script_is_a_400(films, http):
    for raw, field in (
        ("/w==", "body"),
        ("", "body"),
        ("bnVsbA==", "body"),
        ("e30=", "schemaVersion"),
        ("W" * 400_000, "body"),
    ):
        status, body, _ = http("POST", "/v1/films", raw, is_base64=True)

        assert status == 400, raw[:20]
        assert field in [error["field"] for error in body["errors"]], raw[:20]
    assert films.objects() == []


def test_nobody_gets_a_film_made_or_a_manifest_in_without_a_name(films, http):
    assert http("POST", "/v1/films", script("one"), iam=False)[0] == 403
    assert films.objects() == []


def test_rings_manifest_is_taken_in_and_its_dead_urls_are_marked(films, http):
    film = "hoa-nightclub-viral-2026-06"
    status, body, _ = http("POST", f"/v1/films/{film}/manifest", RING, film=film)

    assert status == 200
    keys = [f"{clip['id']}::draft" for clip in json.loads(RING)["clips"]]
    assert (body["filmId"], body["imported"], body["kept"]) == (film, keys, [])
    assert len(body["warnings"]) == 5
    assert all("expired" in warning for warning in body["warnings"])
    _, manifest, _ = http("GET", f"/v1/films/{film}/manifest", film=film, query="presign=true")
    assert [clip["_key"] for clip in manifest["clips"]] == keys
    for clip, old in zip(manifest["clips"], json.loads(RING)["clips"], strict=True):
        assert (clip["status"], clip["url"], clip["temporaryUrl"]) == ("done", None, old["url"])
        assert clip["requestId"] == old["requestId"]
        assert "expired" in clip["error"]
        assert clip["downloads"]["video"] is None
        assert clip["importedAt"].startswith("2026-11-22")
        assert clip["updatedAt"].startswith("2026-06-18T14:32:39")
    status, body, _ = http("POST", f"/v1/films/{film}/manifest", RING, film=film)
    assert (body["imported"], body["kept"]) == ([], keys)


def test_a_finished_clip_is_never_replaced_by_an_imported_one_but_the_other_way_round(films, http):
    films.film(script("one", "two"), only=("01",))
    mine = films.entries("film")["01::draft"]
    theirs = {
        "version": 3,
        "requestId": "film",
        "clips": [
            {"id": f"0{n}", "qualityMode": "draft", "status": "done", "url": f"s3://b/{n}.mp4"}
            for n in (1, 2)
        ],
    }

    _, body, _ = http("POST", "/v1/films/film/manifest", theirs, film="film")
    assert (body["imported"], body["kept"]) == (["02::draft"], ["01::draft"])
    assert films.entries("film")["01::draft"] == mine

    # What was imported has no fingerprint: the script's own clip is made, and takes its place.
    films.elapsed += 1
    run = films.film(script("one", "two"))
    assert (run.status, run.due) == ("finished", 1)
    assert films.entries("film")["02::draft"].imported_at is None
    _, body, _ = http("POST", "/v1/films/film/manifest", theirs, film="film")
    assert body["kept"] == ["01::draft", "02::draft"]


def test_a_clip_made_on_the_day_of_an_import_from_the_east_takes_its_place(films, http):
    """Orders are compared as text: a moment of another zone has to be turned into ours."""
    films.elapsed += 3600  # 13:00 in UTC
    moment = "2026-11-22T21:30:00+09:00"  # 12:30 in UTC
    theirs = {
        "version": 3,
        "clips": [{"id": "01", "qualityMode": "draft", "status": "done", "updatedAt": moment}],
    }
    assert http("POST", "/v1/films/film/manifest", theirs, film="film")[1]["imported"]

    films.film(script("one"))

    assert films.entries("film")["01::draft"].imported_at is None


NO_MANIFESTS = [
    ("[]", {"body"}),
    ("{", {"body"}),
    ('{"clips": [], "clips": []}', {"clips"}),
    ('{"clips": [{"id": "a", "status": "done", "duration": NaN}]}', {"body"}),
    ("{}", {"clips"}),
    ('{"clips": {}}', {"clips"}),
    ('{"version": 2, "clips": []}', {"version"}),
    ('{"version": [], "clips": []}', {"version"}),
    ('{"version": {"a": 1}, "clips": []}', {"version"}),
    ('{"clips": [1, {"id": "a::b", "status": "done"}]}', {"clips[0]", "clips[1].id"}),
    ('{"clips": [{"id": "a", "status": 5, "url": []}]}', {"clips[0].status", "clips[0].url"}),
    ('{"clips": [{"status": "done"}]}', {"clips[0].id"}),
    (
        '{"clips": [{"id": "a", "status": "done"}, {"id": "a", "status": "done"}]}',
        {"clips[1].id"},
    ),
    (
        '{"clips": [{"id": "a", "status": "done", "qualityMode": "4k"}]}',
        {"clips[0].qualityMode"},
    ),
    (
        '{"clips": [{"id": "a", "status": "done", "costUsd": 1e400, "duration": -1}]}',
        {"clips[0].costUsd", "clips[0].duration"},
    ),
    (
        '{"clips": [{"id": "a", "status": "done", "updatedAt": 1e300}]}',
        {"clips[0].updatedAt"},
    ),
    ('{"clips": [{"id": "a", "status": "done", "url": "\\ud800"}]}', {"body"}),
    ('{"clips": [{"id": "a", "status": "done", "url": "' + "x" * 9000 + '"}]}', None),
    ('{"clips": [' + ",".join(['{"id":"a","status":"x"}'] * 10_001) + "]}", {"clips"}),
    ('{"clips": ' + "[" * 5000 + "]" * 5000 + "}", {"body"}),
    ('{"clips": [{"id": "a", "status": "done", "duration": ' + "9" * 5000 + "}]}", {"body"}),
]


def test_what_is_no_manifest_is_refused_by_its_places_and_nothing_is_entered(films, http):
    for body, fields in NO_MANIFESTS:
        status, answer, raw = http("POST", "/v1/films/film/manifest", body, film="film")

        assert status == 400, (body[:80], answer)
        found = {error["field"] for error in answer["errors"]}
        assert found == (fields or {"clips[0].url"}), body[:80]
        assert len(raw["body"]) < 20_000
    assert films.dynamodb.scan(TableName="table")["Count"] == 0


ODD_MOMENTS = [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-06-18",
    1_750_000_000,
    None,
]


def test_an_odd_date_in_a_manifest_breaks_nothing(films, http):
    clips = [
        {"id": f"{number}", "status": "done", "updatedAt": moment}
        for number, moment in enumerate(ODD_MOMENTS)
    ]

    status, body, _ = http("POST", "/v1/films/film/manifest", {"clips": clips}, film="film")

    assert (status, len(body["imported"])) == (200, len(clips))
    status, manifest, _ = http("GET", "/v1/films/film/manifest", film="film")
    assert status == 200
    assert all("0001" <= clip["updatedAt"] <= "2026-11-22T13" for clip in manifest["clips"])


def test_clips_that_are_not_finished_are_left_out_and_said_so(films, http):
    theirs = {
        "clips": [
            {"id": "a", "status": "failed", "url": "https://vidgen.x.ai/a.mp4"},
            {"id": "b", "status": "done", "respectModeration": False},
            {"id": "c", "status": "done", "url": "https://example.com/c.mp4", "unknown": 1},
        ]
    }

    _, body, _ = http("POST", "/v1/films/film/manifest", theirs, film="film")

    assert body["imported"] == ["c::draft"]
    assert len(body["warnings"]) == 2
    entry = films.entries("film")["c::draft"]
    assert entry.url == "https://example.com/c.mp4"
    assert (entry.temporary_url, entry.error) == (None, None)
