"""boto3 clients of one local stack, whatever the caller's own AWS settings are."""

from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config


def client_factory(
    endpoint_url: str, region: str, access_key_id: str, secret_access_key: str
) -> Callable[[str], Any]:
    """`clients("s3")` and so on."""
    session = boto3.Session(
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        region_name=region,
    )
    settings = Config(retries={"total_max_attempts": 2}, read_timeout=120)

    @cache
    def client(name: str) -> Any:
        return session.client(  # type: ignore[call-overload]
            name, endpoint_url=endpoint_url, config=settings
        )

    return client
