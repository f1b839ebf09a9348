"""boto3 clients of one local stack, whatever the caller's own AWS settings are."""

from collections.abc import Callable
from functools import cache
from typing import Any

from local_stack.endpoints import Endpoints


def clients_of(endpoints: Endpoints) -> Callable[[str], Any]:
    """Clients of a stack that runs."""
    return client_factory(
        endpoints.aws_endpoint_url,
        endpoints.region,
        endpoints.access_key_id,
        endpoints.secret_access_key,
    )


def client_factory(
    endpoint_url: str, region: str, access_key_id: str, secret_access_key: str
) -> Callable[[str], Any]:
    """`clients("s3")` and so on."""
    # Most commands ask where the stack is, and no more: boto3 would be half of what they import.
    import boto3
    from botocore.config import Config

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
