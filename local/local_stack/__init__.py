"""AWS on one machine: packages template.yaml, starts ministack and the simulator, deploys."""

from local_stack.endpoints import Endpoints, connect
from local_stack.errors import FolderBusy, LocalStackError, MissingPiece
from local_stack.settings import Options
from local_stack.stack import LocalStack, Status
from local_stack.sweeping import Swept, sweep

__all__ = [
    "Endpoints",
    "FolderBusy",
    "LocalStack",
    "LocalStackError",
    "MissingPiece",
    "Options",
    "Status",
    "Swept",
    "connect",
    "sweep",
]
