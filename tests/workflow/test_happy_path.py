"""A clip from request to entry, through the real machine."""

import json

from videoconductor import wiring


def test_a_text_prompt_becomes_a_clip_with_its_entry_sidecar_and_event(stage):
    render = stage.submit(clipId="opener", pipelineRequestId="film-1")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED", execution
    assert execution.path[:5] == ["NeedsFirstFrame", "Start", "IsStarted", "Wait", "Poll"]
    assert execution.path[-3:] == ["IsRendered", "Finalize", "Thumbnail"]
    record = stage.record(render)
    assert record.status == "finalized"
    assert [job["id"] for job in stage.jobs()] == [record.job["requestId"]]
    assert record.clip.key == f"generated/videos/film-1/opener/draft/{render.render_id}.mp4"
    made = [record.clip.key, record.clip.sidecar_key, record.pictures.poster_key]
    assert sorted(stage.objects()) == sorted(made)
    assert (record.clip.seconds, record.clip.height) == (1.0, 480)
    sidecar = json.loads(b"".join(wiring.library().read(record.clip.sidecar_key)))
    assert sidecar["prompt"] == "a lamp in the rain"
    assert sidecar["requestId"] == record.job["requestId"]
    assert sidecar["costUsd"] == sidecar["estimatedCostUsd"] == 0.05
    [entry] = wiring.manifest().entries("film-1")
    assert entry.id == "opener::draft"
    assert entry.sha256 == record.clip.sha256
    assert entry.poster_url == wiring.library().uri(record.pictures.poster_key)
    assert (entry.first_frame_url, entry.thumbnail_url) == (None, None)
    assert [event["status"] for event in stage.published] == ["finalized"]
