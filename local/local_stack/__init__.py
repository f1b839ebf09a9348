"""AWS on one machine: packages template.yaml, starts ministack and the simulator, deploys."""

from local_stack.endpoints import Endpoints, connect
from local_stack.errors import FolderBusy, LocalStackError, MissingPiece
from local_stack.orphans import orphans
from local_stack.settings import Options
from local_stack.stack import LocalStack, Status

__all__ = [
    "Endpoints",
    "FolderBusy",
    "LocalStack",
    "LocalStackError",
    "MissingPiece",
    "Options",
    "Status",
    "connect",
    "orphans",
]
