"""State Thumbnail: pictures of every finished clip, which never cost the clip that is there."""

import io

import pytest
from PIL import Image

from tests.workflow.conftest import JPEG
from tests.workflow.test_first_frame import order, still_keys, stills
from videoconductor import wiring
from videoconductor.errors import LibraryUnavailable, ManifestUnavailable, NoFrame
from videoconductor.pictures import painting

PICTURES = "generated/thumbnails/"


def pictures(stage):
    return [key for key in stage.objects() if key.startswith(PICTURES)]


def content(uri):
    library = wiring.library()
    return b"".join(library.read(library.key_of(uri)))


def again(stage, render):
    """The state's function once more, as a repetition by the machine would have it."""
    answer = stage.invoke("thumbnail", render.model_dump(mode="json"))
    assert "FunctionError" not in answer, answer["Payload"].read()


def entered(stage):
    """The film's one entry, which its one version is the same as."""
    [entry] = wiring.manifest().entries("f")
    assert wiring.manifest().versions("f", entry.id) == [entry]
    return entry


@pytest.fixture
def painted(stage, monkeypatch):
    """The stills that the painter was handed, one for each time it painted."""
    handed, real = [], stage.paint

    def paint(render, video, still):
        handed.append(still)
        return real(render, video, still)

    monkeypatch.setattr(stage, "paint", paint)
    return handed


def test_every_clip_has_a_poster_of_its_own_frame(stage, monkeypatch):
    monkeypatch.setattr(stage, "paint", painting.paint)
    render = stage.submit(clipId="c", pipelineRequestId="f")

    execution = stage.run(render)

    assert execution.path[-2:] == ["Finalize", "Thumbnail"]
    record, entry = stage.record(render), entered(stage)
    assert pictures(stage) == [record.pictures.poster_key]
    assert entry.poster_url == wiring.library().uri(record.pictures.poster_key)
    assert (entry.thumbnail_url, record.pictures.thumbnail_key) == (None, None)
    poster = Image.open(io.BytesIO(content(entry.poster_url)))
    assert (poster.format, poster.size) == ("JPEG", (record.clip.width, record.clip.height))


def test_a_thumbnail_is_composed_over_the_still_and_entered_beside_the_poster(stage, monkeypatch):
    monkeypatch.setattr(stage, "paint", painting.paint)
    overlay = {"text": "Lamps", "role": "title"}
    thumbnail = {"template": "title_card", "aspectRatio": "9:16", "overlays": [overlay]}
    render = order(stage, thumbnail=thumbnail)

    stage.run(render)

    entry, keys = entered(stage), stage.record(render).pictures
    assert sorted(pictures(stage)) == sorted([keys.poster_key, keys.thumbnail_key])
    assert entry.thumbnail_url == wiring.library().uri(keys.thumbnail_key)
    made = Image.open(io.BytesIO(content(entry.thumbnail_url)))
    assert (made.format, made.size) == ("JPEG", (720, 1280))


@pytest.mark.parametrize(
    ("source", "is_still"), [("firstFrame", True), ("generated", False), (None, True)]
)
def test_a_thumbnail_is_made_of_what_was_asked_for(stage, painted, source, is_still):
    thumbnail = {} if source is None else {"sourceFrame": source}

    stage.run(order(stage, thumbnail=thumbnail))

    [key] = still_keys(stage)
    still = b"".join(wiring.library().read(key))
    assert painted == [still if is_still else None]
    assert len(stills(stage)) == 1
    assert entered(stage).thumbnail_url is not None


@pytest.mark.parametrize("fields", [{"thumbnail": {}}, {"thumbnail": {"sourceFrame": "generated"}}])
def test_a_clip_without_a_first_frame_has_its_thumbnail_of_a_frame(stage, painted, fields):
    stage.run(stage.submit(clipId="c", pipelineRequestId="f", **fields))

    assert painted == [None]
    assert entered(stage).thumbnail_url is not None


def test_an_order_that_is_not_enabled_is_none(stage, monkeypatch):
    monkeypatch.setattr(stage, "paint", painting.paint)

    stage.run(order(stage, thumbnail={"enabled": False}))

    entry = entered(stage)
    assert entry.poster_url is not None
    assert (entry.thumbnail_url, entry.thumbnail_fingerprint) == (None, None)


# -- what goes wrong -------------------------------------------------------------------------------


def assert_succeeded_without_pictures(stage, render, execution):
    record = stage.record(render)
    assert (execution.status, execution.error) == ("SUCCEEDED", None)
    assert execution.path[-2:] == ["Thumbnail", "Finished"]
    assert record.status == record.announced == "finalized"
    assert record.failure is None
    assert [event["status"] for event in stage.published] == ["finalized"]
    assert entered(stage).url == wiring.library().uri(record.clip.key)


@pytest.mark.parametrize("problem", [NoFrame("not a frame"), MemoryError(), KeyError("av")])
def test_a_painter_that_fails_never_fails_the_render(stage, monkeypatch, problem):
    def failing(*_):
        raise problem

    monkeypatch.setattr(stage, "paint", failing)
    render = order(stage, thumbnail={})

    execution = stage.run(render)

    assert_succeeded_without_pictures(stage, render, execution)
    assert (entered(stage).poster_url, pictures(stage)) == (None, [])


def test_however_the_state_dies_the_render_has_succeeded(stage):
    errors = ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout", "X"]
    for error in errors:
        stage.break_state("Thumbnail", error, "before")
        render = stage.submit()

        execution = stage.run(render)

        assert execution.path[-2:] == ["Thumbnail", "Finished"], error
        assert (execution.status, stage.record(render).status) == ("SUCCEEDED", "finalized"), error
    assert stage.calls.count("thumbnail") == len(errors)


CALLS = [("library", "put_picture"), ("manifest", "illustrate")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("edge", "call"), CALLS)
def test_pictures_lost_half_way_are_entered_by_the_next_run_and_made_but_once(
    stage, monkeypatch, edge, call, when
):
    fired = stage.kill(monkeypatch, getattr(wiring, edge)(), call, when)
    render = order(stage, thumbnail={})
    execution = stage.run(render)
    assert fired == [call]
    assert_succeeded_without_pictures(stage, render, execution)

    again(stage, render)

    record, entry = stage.record(render), entered(stage)
    keys = [record.pictures.poster_key, record.pictures.thumbnail_key]
    assert sorted(pictures(stage)) == sorted(keys)
    assert [entry.poster_url, entry.thumbnail_url] == [wiring.library().uri(key) for key in keys]


def test_a_second_run_paints_nothing_and_writes_nothing_more(stage, painted):
    render = order(stage, thumbnail={})
    stage.run(render)
    record, entry, objects = stage.record(render), entered(stage), stage.objects()

    again(stage, render)

    assert len(painted) == 1
    assert stage.objects() == objects
    assert stage.record(render) == record
    assert entered(stage) == entry


def test_pictures_are_made_anew_and_entered_when_the_record_has_none(stage, painted):
    render = order(stage, thumbnail={})
    stage.run(render)
    keys = pictures(stage)
    entry = entered(stage)
    wiring.manifest().update(
        render.render_id, lambda latest: latest.having(stage.now(), pictures=None)
    )

    again(stage, render)

    assert len(painted) == 2
    assert pictures(stage) == keys
    assert entered(stage) == entry


def test_a_clip_that_was_made_the_entry_again_gets_its_new_pictures_there(stage, monkeypatch):
    first = order(stage, thumbnail={})
    stage.run(first)
    own = entered(stage)
    stage.elapsed += 1
    stage.run(order(stage, prompt="it fades", thumbnail={}))
    wiring.manifest().restore(own, f"{stage.now().isoformat()}#{first.render_id}")
    wiring.manifest().update(
        first.render_id, lambda latest: latest.having(stage.now(), pictures=None)
    )
    monkeypatch.setattr(stage, "paint", lambda *_: (JPEG + b"new", JPEG + b"newer"))

    again(stage, first)

    [entry] = wiring.manifest().entries("f")
    assert entry.render_id == first.render_id
    assert content(entry.poster_url) == JPEG + b"new"
    assert content(entry.thumbnail_url) == JPEG + b"newer"


@pytest.mark.parametrize(
    ("edge", "call", "error"),
    [
        ("library", "put_picture", LibraryUnavailable),
        ("library", "read", LibraryUnavailable),
        ("manifest", "illustrate", ManifestUnavailable),
    ],
)
def test_storage_that_fails_for_a_while_is_tried_again(stage, monkeypatch, edge, call, error):
    target, failed = getattr(wiring, edge)(), []
    real = getattr(target, call)

    def throttled(*arguments, **named):
        if len(failed) < 3 and stage.calls[-1] == "thumbnail":
            failed.append(call)
            raise error("throttled")
        return real(*arguments, **named)

    monkeypatch.setattr(target, call, throttled)

    assert stage.run(stage.submit(clipId="c", pipelineRequestId="f")).path[-1] == "Thumbnail"
    assert len(failed) == 3
    assert entered(stage).poster_url is not None


def test_the_pictures_of_an_older_clip_do_not_end_up_on_the_newer_one(stage, monkeypatch):
    def failing(*_):
        raise NoFrame("not now")

    older = order(stage, thumbnail={})
    stage.run(older)
    stage.elapsed += 1
    with monkeypatch.context() as patch:
        patch.setattr(stage, "paint", failing)
        newer = order(stage, prompt="it fades", thumbnail={})
        stage.run(newer)

    again(stage, older)

    [entry] = wiring.manifest().entries("f")
    assert (entry.render_id, entry.poster_url) == (newer.render_id, None)
    again(stage, newer)
    [entry] = wiring.manifest().entries("f")
    versions = wiring.manifest().versions("f", entry.id)
    assert entry == versions[1]
    assert newer.render_id in entry.poster_url
    assert older.render_id in versions[0].poster_url


def test_a_render_without_a_clip_has_no_pictures_made(stage, painted):
    render = stage.submit(prompt="a lamp [[sim:failed]]")
    execution = stage.run(render)

    answer = stage.invoke("thumbnail", render.model_dump(mode="json"))

    assert "Thumbnail" not in execution.path
    assert b"RecordChanged" in answer["Payload"].read()
    assert painted == []


def test_what_stands_in_the_library_is_what_was_painted(stage):
    render = order(stage, thumbnail={})

    stage.run(render)

    entry = entered(stage)
    assert content(entry.poster_url) == JPEG
    assert content(entry.thumbnail_url).startswith(JPEG)
