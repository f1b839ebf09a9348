"""What the door `submit` asks of AWS, and how it answers who asks again."""

import pytest

from videoconductor import planning, wiring
from videoconductor.errors import IdempotencyConflict, InvalidRequest


@pytest.fixture
def asked(stage):
    """The calls that conductors make to AWS, in their order."""
    names, conductor = [], wiring.conductor()
    hubs = [conductor.manifest._dynamodb.meta.events, conductor.machine._client.meta.events]

    def note(model, **_):
        names.append(model.name)

    for hub in hubs:
        hub.register("before-call", note)
    yield names
    for hub in hubs:
        hub.unregister("before-call", note)


@pytest.mark.parametrize("key", [None, "order-1"])
def test_a_request_takes_two_calls(stage, asked, key):
    stage.run(stage.submit(key))

    assert asked[:2] == ["PutItem", "StartExecution"]
    assert "GetItem" not in asked[: asked.index("StartExecution")]


def test_a_repetition_is_answered_as_the_first_was_when_it_could_not_be_planned_now(
    stage, monkeypatch
):
    first = stage.submit("order-2")
    stage.run(first)

    def refuse(*_, **__):
        raise InvalidRequest.of("qualityMode", "draft", "is retired")

    monkeypatch.setattr(planning, "plan", refuse)

    assert stage.submit("order-2").render_id == first.render_id
    with pytest.raises(IdempotencyConflict):
        stage.submit("order-2", prompt="another one")
    for key in (None, "order-3"):
        with pytest.raises(InvalidRequest, match="is retired"):
            stage.submit(key)


def test_another_request_of_the_same_key_is_a_conflict_and_changes_nothing(stage):
    first = stage.submit("order-4")
    stage.run(first)
    record = wiring.manifest().read(first.render_id)

    with pytest.raises(IdempotencyConflict):
        stage.submit("order-4", prompt="another one")

    assert wiring.manifest().read(first.render_id) == record
    assert record.status == "finalized"
