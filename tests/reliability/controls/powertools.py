"""Control: the naive submit behind Powertools Idempotency, keyed by the render."""

import os
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)

from videoconductor import wiring
from videoconductor.clip import Attempt, Render, request_id
from videoconductor.task import task


@task
def submit(render: Render) -> Render:
    record = wiring.manifest().read(render.render_id)
    job = wiring.provider(record.plan.provider).start(record.plan, str, "powertools")
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


@idempotent(
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"]),
    config=IdempotencyConfig(event_key_jmespath="renderId"),
)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return submit(event, context)
