"""The S3 door: files in the inbox, events twice, late and together, and what the outbox tells."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.workflow.conftest import ROOT, load_handler
from tests.workflow.test_doors import CONTEXT
from tests.workflow.test_film import script
from videoconductor import inbox, views, wiring
from videoconductor.errors import (
    EventsUnavailable,
    LibraryUnavailable,
    MachineUnavailable,
    ManifestUnavailable,
    NotSetGoing,
)

CLIP = {"prompt": "a lamp", "duration": 1}
RING = (ROOT / "tests/fixtures/hoa-nightclub.json").read_bytes()
LARGE = 100_000
# As they are in EventBridge's events: not encoded, as S3's own notifications have them.
ODD = "inbox/a + b%20c/ü 日本/é&=#?%.json"


class Drop:
    """A bucket whose events are delivered by hand."""

    def __init__(self, films):
        self.films = films
        self.handlers = {name: load_handler(name).handler for name in ("on_upload", "report")}
        self.refused = []
        self.sequence = itertools.count(0x617F08299329D189)

    def put(self, key, body):
        """Put a file; S3's event about it."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        put = self.films.s3.put_object(Bucket="library", Key=key, Body=content)
        number = next(self.sequence)
        return {
            "version": "0",
            "id": f"event-{number}",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "111122223333",
            "detail": {
                "version": "0",
                "bucket": {"name": "library"},
                "object": {
                    "key": key,
                    "size": len(content),
                    "etag": put["ETag"].strip('"'),
                    "version-id": put["VersionId"],
                    "sequencer": f"{number:x}",
                },
                "request-id": "N4N7GDK58NMKJ12R",
                "requester": "111122223333",
                "reason": "PutObject",
            },
        }

    def deliver(self, event):
        return self.handlers["on_upload"](event, CONTEXT)

    def drop(self, key, body):
        """Put a file and have its event delivered; the render's or run's record."""
        taken = self.deliver(self.put(key, body))
        assert taken["outcome"] == "accepted", taken
        if taken["renderId"]:
            return wiring.manifest().read(taken["renderId"])
        return wiring.manifest().run(taken["film"], taken["runId"])

    def report(self):
        """Deliver all events so far, the newest first and each twice, as buses may."""
        published = [*self.films.published, *self.films.ready]
        return [
            self.handlers["report"]({"id": "e", "detail": detail}, CONTEXT)["outcome"]
            for detail in reversed(published)
            for _ in range(2)
        ]

    def outbox(self):
        """What stands in the outbox, by key."""
        found = self.films.s3.list_objects_v2(Bucket="library", Prefix="outbox/")
        return {item["Key"]: self.films.document(item["Key"]) for item in found.get("Contents", ())}


@pytest.fixture
def box(films, monkeypatch):
    made = Drop(films)
    refused = wiring.events().refused

    def refuse(detail):
        refused(detail)
        made.refused.append(detail)

    monkeypatch.setattr(wiring.events(), "refused", refuse)
    return made


def test_a_file_is_one_render_however_often_and_together_its_event_comes(box, films):
    event = box.put(ODD, CLIP)
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(box.deliver, [event] * 6))
    assert {each["outcome"] for each in taken} == {"accepted"}
    [render_id] = {each["renderId"] for each in taken}
    render = wiring.manifest().read(render_id)
    films.run(render)
    assert box.deliver(event)["renderId"] == render_id
    outcomes = box.report()

    render = films.record(render)
    assert len(films.jobs()) == 1
    assert render.caller == "s3:111122223333"
    assert (render.inbox.key, render.inbox.version_id) == (
        ODD,
        event["detail"]["object"]["version-id"],
    )
    assert set(outcomes) == {"result"}
    told = box.outbox()
    name = ODD.replace("inbox/", "outbox/", 1).removesuffix(".json")
    assert set(told) == {f"{name}.accepted.json", f"{name}.result.json"}
    accepted, result = told[f"{name}.accepted.json"], told[f"{name}.result.json"]
    assert accepted.pop("inbox") == result.pop("inbox") == render.inbox.model_dump(mode="json")
    assert accepted == views.accepted(render)
    assert result == {"success": True, **views.detail(render, wiring.library().uri)}
    assert result["result"]["video"]["url"] == f"s3://library/{render.clip.key}"
    # Written once each, though told of so often; and what we write starts nothing.
    written = [key for key in films.objects() if key.startswith("outbox/")]
    assert sorted(written) == sorted(told)
    for key in [*films.objects(), "inbox/notes.txt", "inbox/", "other/inbox/a.json"]:
        if not key.startswith("inbox/") or not key.endswith(".json"):
            event["detail"]["object"]["key"] = key
            assert box.deliver(event)["outcome"] == "ignored"
    event["detail"]["object"]["key"], event["detail"]["bucket"]["name"] = ODD, "another"
    assert box.deliver(event)["outcome"] == "ignored"
    assert len(films.jobs()) == 1


def test_scripts_are_films_as_they_are_or_with_an_order_beside_them(box, films, monkeypatch):
    with monkeypatch.context() as unmade:  # its clips take their time, and are tried elsewhere
        director = replace(wiring.director(), start=lambda run: None)
        unmade.setattr(wiring, "director", lambda: director)
        run = box.drop("inbox/ring.json", RING)
    assert b"".join(wiring.library().read(run.request_key)) == RING
    order = {"clip": ["02"], "maxCostUsd": 1}
    wrapped = box.drop("inbox/some.json", {"script": script("one", "two"), "order": order})
    # As Windows writes it, with a byte order mark.
    text = b"\xef\xbb\xbf" + json.dumps(script("one", "two [[sim:moderated]]", film="f2")).encode()
    failing = box.drop("inbox/bad.json", text)
    for each in (wrapped, failing):
        films.end(each)
    box.report()

    told = box.outbox()
    assert set(told) == {
        f"outbox/{name}.{kind}.json"
        for name, kind in [
            *itertools.product(("ring", "some", "bad"), ["accepted"]),
            ("some", "result"),
            ("bad", "error"),
        ]
    }
    assert told["outbox/ring.accepted.json"]["due"] == 5
    result = told["outbox/some.result.json"]
    assert (result["success"], result["status"]) == (True, "finished")
    assert [row["clipId"] for row in result["clips"]] == ["02"]
    assert result["clips"][0]["url"].startswith("s3://library/generated/videos/film/02/")
    error = told["outbox/bad.error.json"]
    assert (error["success"], error["film"]["status"]) == (False, "incomplete")
    assert error["advice"]
    assert error["film"]["clips"][1]["error"]["error"] == "ModerationRejected"
    assert error["film"]["clips"][0]["url"]
    assert len(films.videos()) == 1 + 2
    # The clips of a film report to their run alone.
    assert all(r.inbox is None for renders in films.renders("film").values() for r in renders)


BAD = {
    "empty": (b"", ["body"]),
    "blank": (b" \n", ["body"]),
    "nul": (b"\x00", ["body"]),
    "utf16": (json.dumps(CLIP).encode("utf-16"), ["body"]),
    "cut": (b'{"prompt": "a', ["body"]),
    "array": (b"[]", ["body"]),
    "deep": (b"[" * 50_000, ["body"]),
    "number": (b'{"duration": ' + b"1" * 5000 + b"}", ["body"]),
    "twice": (b'{"prompt": "a", "prompt": "b"}', ["prompt"]),
    "large": (b" " * (LARGE + 1), ["body"]),
    "fields": ({"prompt": "a", "duration": 99, "qualityMod": "draft"}, ["qualityMod"]),
    "limits": ({"duration": 99, "resolution": "4k"}, ["prompt", "duration", "resolution"]),
    "callback": ({"prompt": "a", "callbackUrl": "http://x.example"}, ["callbackUrl"]),
    "x/": ({"prompt": ""}, ["prompt"]),  # a file without a name in a folder
    "no clips": ({"schemaVersion": "1.0", "requestId": "f", "clips": []}, ["clips"]),
    "two clips of one id": (script({"prompt": "a"}, {"id": "01", "prompt": "b"}), ["clips[1].id"]),
    "no script": ({"script": "x.json", "order": []}, ["order", "script"]),
    "both": (
        {
            "script": script({"prompt": "a", "duration": 0}, {"id": "01"}),
            "order": {"force": "yes", "clips": ["01"]},
            "orders": {},
        },
        ["orders", "order.force", "order.clips", "script.clips[0].duration"],
    ),
    "cost": (
        {"script": script("a"), "order": {"maxCostUsd": 0.01}},
        ["order.maxCostUsd"],
    ),
    "no such clip": ({"script": script("a"), "order": {"clip": ["9"]}}, ["order.clip"]),
    "in the script": ({"script": script({"duration": 1})}, ["script.clips[0].prompt"]),
}


def test_a_file_with_any_error_is_refused_whole_and_all_of_it_is_told(box, films, monkeypatch):
    monkeypatch.setattr(inbox, "MAX_BYTES", LARGE)
    for name, (body, fields) in BAD.items():
        event = box.put(f"inbox/{name}.json", body)
        taken = box.deliver(event)
        assert taken["outcome"] == "refused", name
        if name in {"empty", "large"}:
            assert box.deliver(event)["outcome"] == "refused", name
        error = films.document(f"outbox/{name}.error.json")
        assert (error["success"], error["status"]) == (False, 400), name
        assert error["inbox"]["versionId"] == event["detail"]["object"]["version-id"]
        shown = [each["field"] for each in error["errors"]]
        assert set(fields) <= set(shown), (name, error["errors"])
        told = box.refused[-1]
        assert [each["field"] for each in told["errors"]] == shown
        assert (told["source"], told["detailType"]) == ("aws.s3", "Object Created")
        assert told["inbox"] == error["inbox"]
        assert not {"value", "detail"} & {key for each in told["errors"] for key in each}

    # What cannot be answered in the outbox is told on the bus alone.
    for key in (f"inbox/{'n' * 1010}.json", "inbox/../up.json"):
        event = box.put("inbox/stand-in.json", CLIP)
        event["detail"]["object"]["key"] = key
        assert box.deliver(event)["outcome"] == "refused"
        assert box.refused[-1]["errors"][0]["field"] == "key"
    gone = box.put("inbox/gone.json", CLIP)
    films.s3.delete_object(
        Bucket="library", Key="inbox/gone.json", VersionId=gone["detail"]["object"]["version-id"]
    )
    assert box.deliver(gone)["outcome"] == "refused"
    # Each was told of once, however often its event came.
    assert len(box.refused) == len(BAD) + 3
    assert films.dynamodb.scan(TableName="table")["Items"] == []
    assert not any(key.startswith("generated/") for key in films.objects())
    assert films.jobs() == []


def test_another_version_is_another_request_and_the_outbox_tells_of_the_newest(box, films):
    first, second = (box.put("inbox/a.json", {**CLIP, "prompt": p}) for p in ("one", "two"))
    later = box.deliver(second)
    earlier = box.deliver(first)  # late
    assert earlier["renderId"] != later["renderId"]
    for taken in (earlier, later):
        films.run(wiring.manifest().read(taken["renderId"]))
    outcomes = box.report()

    assert len(films.jobs()) == 2
    assert sorted(set(outcomes)) == ["nothing", "result"]
    version = second["detail"]["object"]["version-id"]
    told = box.outbox()
    assert {each["inbox"]["versionId"] for each in told.values()} == {version}
    assert {each["renderId"] for each in told.values()} == {later["renderId"]}
    # A newer one that is refused is told of; and nothing about an older one after it.
    third = box.put("inbox/a.json", b"{")
    assert box.deliver(third)["outcome"] == "refused"
    before = box.outbox()
    assert set(box.report()) == {"nothing"}
    assert box.deliver(second)["renderId"] == later["renderId"]
    assert box.outbox() == before
    assert before["outbox/a.error.json"]["inbox"]["versionId"] != version


def test_an_event_without_a_version_names_the_content_that_is_meant(box, films):
    """As buckets without versions have it, and the local stack."""
    event = box.put("inbox/a.json", CLIP)
    version = event["detail"]["object"].pop("version-id")
    assert box.deliver(event)["inbox"]["versionId"] == version
    newer = box.put("inbox/a.json", {**CLIP, "prompt": "two"})
    del newer["detail"]["object"]["version-id"]
    event["detail"]["object"]["etag"] = "0" * 32  # of a version that was replaced since
    assert box.deliver(event)["outcome"] == "refused"
    films.settle()


FAULTS = [
    ("manifest", "create", ManifestUnavailable, ManifestUnavailable),
    ("library", "upload", LibraryUnavailable, LibraryUnavailable),
    ("library", "swap_document", LibraryUnavailable, LibraryUnavailable),
    ("machine", "start", MachineUnavailable, NotSetGoing),
]


def test_what_is_our_fault_is_raised_and_the_next_try_makes_one_render_of_it(
    box, films, monkeypatch
):
    for edge, call, error, raised in FAULTS:
        event = box.put(f"inbox/{call}.json", CLIP)
        with monkeypatch.context() as broken:

            def fail(*arguments, error=error, **named):
                raise error("down")

            broken.setattr(getattr(wiring, edge)(), call, fail)
            with pytest.raises(raised):
                box.deliver(event)
        assert box.deliver(event)["outcome"] == "accepted"
    films.settle()

    assert len(films.jobs()) == len(FAULTS)
    assert set(box.outbox()) == {f"outbox/{call}.accepted.json" for _, call, _, _ in FAULTS}


def test_a_refusal_that_nobody_could_be_told_of_is_tried_again(box, monkeypatch):
    event = box.put("inbox/a.json", b"{")
    with monkeypatch.context() as broken:

        def fail(detail):
            raise EventsUnavailable("down")

        broken.setattr(wiring.events(), "refused", fail)
        with pytest.raises(EventsUnavailable):
            box.deliver(event)
    assert box.outbox() == {}
    assert box.deliver(event)["outcome"] == "refused"
    assert len(box.refused) == 1
    assert set(box.outbox()) == {"outbox/a.error.json"}


def test_the_outbox_goes_by_the_record_whatever_event_comes_late(box, films, monkeypatch):
    render = box.drop("inbox/a.json", {**CLIP, "prompt": "a [[sim:job_lost]]"})
    assert films.run(render).status == "FAILED"
    box.report()
    error = box.outbox()["outbox/a.error.json"]
    assert (error["render"]["status"], error["success"]) == ("stalled", False)
    assert "attach" in error["advice"]
    stalled = dict(films.published[-1])

    films.calm(monkeypatch)
    wiring.conductor().retry(render.render_id, may_charge_twice=True)
    # Between two rests nothing is told, whatever event comes.
    detail = {"id": "e", "detail": stalled}
    films.run(films.record(render))
    assert box.handlers["report"](detail, CONTEXT)["outcome"] == "result"
    assert box.outbox()["outbox/a.result.json"]["success"] is True
    ghost = {"id": "e", "detail": {**stalled, "renderId": "f" * 32}}
    assert box.handlers["report"](ghost, CONTEXT)["outcome"] == "nothing"
