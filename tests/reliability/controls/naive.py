"""Control: POST, then store the id. Step Functions tries it again on any error."""

from datetime import timedelta

from videoconductor import wiring
from videoconductor.clip import Attempt, Render, request_id
from videoconductor.task import task


@task
def handler(render: Render) -> Render:
    record = wiring.manifest().read(render.render_id)
    if record.job is not None:
        return record
    job = wiring.provider(record.plan.provider).start(record.plan, str, "naive")
    now = wiring.now()
    attempt = Attempt(
        number=1,
        permitted_at=now,
        lease_until=now,
        outcome="accepted",
        request_id=request_id(job),
    )
    return wiring.manifest().update(
        record.render_id,
        lambda latest: latest.having(
            now,
            "rendering",
            attempts=(attempt,),
            job=job,
            submitted_at=now,
            deadline=now + timedelta(seconds=600),
            wait_seconds=1,
        ),
    )
