"""Remasters of a film's clips: made anew at 720p from the same still, or edited from a video."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest

from tests.workflow.test_film import FRAMED, script
from tests.workflow.test_film_failures import until
from videoconductor import views, wiring
from videoconductor.errors import InvalidRequest


@pytest.fixture
def readable(monkeypatch):
    """xAI can read what moto presigns: the url's own host is beyond the simulator."""
    seen = []

    def public(url):
        seen.append(url)
        return True

    monkeypatch.setattr(wiring, "is_readable", public)
    return seen


def shown(film):
    manifest = wiring.manifest()
    clips = views.manifest(film, manifest.entries(film), manifest.runs(film))["clips"]
    return {clip["_key"]: clip for clip in clips}


def test_a_remaster_is_made_at_720p_from_the_same_still_and_linked_both_ways(films):
    film = script("one", FRAMED)
    films.film(film)
    films.elapsed += 60

    run, listed = films.accept(film, remaster=True)
    assert run.estimated_cost_usd == Decimal("0.07") + Decimal("0.14") + Decimal("0.01")
    run = films.end(run)

    assert (run.status, run.done, run.cost_usd) == ("finished", 2, run.estimated_cost_usd)
    assert [clip.quality_mode for clip in listed] == ["production", "production_i2v"]
    assert (len(films.videos()), len(films.stills())) == (4, 1)
    clips = shown("film")
    assert list(clips) == ["01::draft", "01::production", "02::draft_i2v", "02::production_i2v"]
    for draft, made in (
        ("01::draft", "01::production"),
        ("02::draft_i2v", "02::production_i2v"),
    ):
        assert clips[made]["resolution"] == "720p"
        assert clips[made]["remasterFromRequestId"] == clips[draft]["requestId"]
        assert clips[draft]["remasteredAs"] == [made]
        assert clips[made]["remasteredAs"] == []
    assert clips["02::draft_i2v"]["firstFrameUrl"] == clips["02::production_i2v"]["firstFrameUrl"]
    assert {job["resolution"] for job in films.videos()} == {"480p", "720p"}

    assert films.film(film, remaster=True).due == 0
    assert films.film(film).due == 0
    assert len(films.jobs()) == 5


def test_a_remaster_that_comes_first_makes_the_still_and_the_draft_takes_it(films):
    film = script(FRAMED)
    first = films.film(film, remaster=True)
    second = films.film(film)

    assert [first.status, second.status] == ["finished", "finished"]
    assert len(films.stills()) == 1
    assert second.estimated_cost_usd == Decimal("0.09")
    clips = shown("film")
    assert clips["01::production_i2v"]["remasterFromRequestId"] is None


def test_an_edit_of_the_films_own_clips_takes_each_by_a_url_that_is_never_kept(
    films, readable, monkeypatch
):
    origin, film = films.simulator.origin, script("one", "two")
    films.film(film)
    films.elapsed += 60
    urls = {entry.url: entry for entry in films.entries("film").values()}
    # moto's presigned urls lead nowhere: the simulator serves a clip of the same length.
    monkeypatch.setattr(
        wiring.library(), "presigned_url", lambda key, seconds: f"{origin}/assets/in.mp4"
    )

    run, listed = films.accept(film, source_video_url="manifest")
    assert [clip.operation for clip in listed] == ["edit", "edit"]
    run = films.end(run)

    assert run.status == "finished", run.missing
    made = [r for found in films.renders("film").values() for r in found if r.plan.task == "edit"]
    assert {render.plan.source_video_url for render in made} == set(urls)
    assert len(readable) == 2
    clips = shown("film")
    assert clips["01::production"]["generationKind"] == "edit"
    assert clips["01::production"]["remasterFromRequestId"] == clips["01::draft"]["requestId"]
    assert clips["01::draft"]["remasteredAs"] == ["01::production"]
    assert "assets/in.mp4" not in films.document(run.items_key)[0]["plan"]["sourceVideoUrl"]


def test_an_edit_of_a_clip_that_is_too_long_is_refused_with_the_reason_and_sends_nothing(films):
    film = script({"prompt": "one", "duration": 9}, "two")
    films.film(film)
    jobs, objects = films.jobs(), films.objects()

    with pytest.raises(InvalidRequest) as refused:
        films.accept(film, source_video_url="manifest")

    [problem] = refused.value.problems
    assert problem.field == "sourceVideoUrl"
    assert 9 <= problem.value < 9.2
    assert "8.7 s" in problem.message
    assert "made anew" in problem.message
    assert (films.jobs(), films.objects()) == (jobs, objects)
    assert len(wiring.manifest().runs("film")) == 1


def test_clips_that_the_manifest_has_none_of_are_named(films):
    film = script("one", "two", "three")
    films.film(film, only=("02",))

    with pytest.raises(InvalidRequest) as refused:
        films.accept(film, source_video_url="manifest")

    assert [(p.field, p.value) for p in refused.value.problems] == [
        ("sourceVideoUrl", "01"),
        ("sourceVideoUrl", "03"),
    ]


def test_a_foreign_video_is_edited_and_warned_of(films):
    url = f"{films.simulator.origin}/assets/in.mp4"

    run, [clip] = films.accept(script("one"), source_video_url=url)
    run = films.end(run)

    assert run.status == "finished", run.missing
    assert any("length of sourceVideoUrl is not known" in warning for warning in clip.warnings)
    assert clip.estimated_cost_usd > Decimal("0.6")  # as long as may be


HOSTILE = [
    "https://169.254.169.254/a.mp4",
    "file:///etc/passwd",
    "s3://elsewhere/a.mp4",
    "javascript:alert(1)",
    "https://user:secret@example.com/a.mp4",
    "x" * 3000,
]


def test_a_hostile_source_is_refused_where_it_was_written(films):
    for url in HOSTILE:
        with pytest.raises(InvalidRequest) as refused:
            films.accept(script("one"), source_video_url=url)
        assert [problem.field for problem in refused.value.problems] == ["sourceVideoUrl"]
        assert "secret" not in str(refused.value)

        own = {"prompt": "one", "remaster": {"sourceVideoUrl": url}}
        with pytest.raises(InvalidRequest) as refused:
            films.accept(script(own))
        places = [problem.field for problem in refused.value.problems]
        assert places == ["clips[0].remaster.sourceVideoUrl"]
        assert "secret" not in str(refused.value)
    assert films.objects() == []


def test_a_source_that_a_clip_names_itself_may_be_one_of_the_films_own(
    films, readable, monkeypatch
):
    films.film(script("one"))
    [entry] = films.entries("film").values()
    origin = films.simulator.origin
    monkeypatch.setattr(
        wiring.library(), "presigned_url", lambda key, seconds: f"{origin}/assets/in.mp4"
    )

    run = films.film(script({"prompt": "one", "remaster": {"sourceVideoUrl": entry.url}}))

    assert run.status == "finished", run.missing
    assert shown("film")["01::production"]["generationKind"] == "edit"


def test_a_changed_thumbnail_is_painted_anew_and_nothing_is_paid(films):
    film = script(FRAMED)
    films.film(film)
    before = films.entries("film")["01::draft_i2v"]
    other = {**FRAMED, "thumbnail": {"enabled": True, "overlays": [{"text": "Now free"}]}}
    films.paint = lambda render, video, still: (b"\xff\xd8\xff poster", b"\xff\xd8\xff another")

    run, [clip] = films.accept(script(other))
    run = films.end(run)

    assert (run.status, run.due, run.items, clip.is_reused) == ("finished", 0, 1, True)
    after = films.entries("film")["01::draft_i2v"]
    assert after.thumbnail_url != before.thumbnail_url
    assert (after.url, after.sha256, after.render_id) == (
        before.url,
        before.sha256,
        before.render_id,
    )
    assert films.film(script(other)).items == 0
    assert len(films.jobs()) == 2


def test_two_runs_at_once_that_want_other_thumbnails_come_to_an_end(films):
    films.film(script(FRAMED))
    texts, together = ("left", "right"), threading.Barrier(2)

    def ask(text):
        order = {"enabled": True, "overlays": [{"text": text}]}
        together.wait()
        return films.accept(script({**FRAMED, "thumbnail": order}))[0]

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(ask, texts))

    assert [films.end(run).status for run in runs] == ["finished", "finished"]
    assert len(films.jobs()) == 2
    [[render]] = films.renders("film").values()
    assert render.thumbnail.overlays[0].text in texts
    assert films.entries("film")["01::draft_i2v"].thumbnail_url


def test_a_run_that_waited_for_anothers_clip_has_its_own_thumbnail_made(films):
    def wanted(text):
        order = {"enabled": True, "overlays": [{"text": text}]}
        return script({"prompt": "one [[sim:slow]]", "thumbnail": order})

    first, _ = films.accept(wanted("first"))
    until(films.jobs)
    films.elapsed += 1
    second = films.film(wanted("second"))

    assert (films.end(first).status, second.status) == ("finished", "finished")
    [[render]] = films.renders("film").values()
    assert render.thumbnail.overlays[0].text == "second"
    assert films.film(wanted("second")).items == 0
    assert len(films.jobs()) == 1


def test_a_clip_with_an_inline_image_starts_from_it_and_is_the_same_clip_again(films):
    image = httpx.get(f"{films.simulator.origin}/assets/first.png").content
    url = "data:image/png;base64," + base64.b64encode(image).decode()
    film = script({"prompt": "one", "firstFrame": {"imageUrl": url}})

    first = films.film(film)
    second = films.film(film)

    assert (first.status, second.due, second.items) == ("finished", 0, 0)
    assert (len(films.videos()), len(films.stills())) == (1, 0)
    assert len(json.dumps(films.document(first.items_key))) < 10_000
    assert max(films.largest.values()) < 16 * 1024
