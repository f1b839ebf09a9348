"""What can go wrong with the local stack.

LocalStackError
├── MissingPiece     something is not installed; the message holds the command that installs it
├── FolderBusy       another command works on this data folder
├── FolderRefused    the data folder cannot be used
├── PortTaken        the port that was asked for is in use
├── ChildDied        ministack or the simulator did not come up; the message ends with its log
├── DeployFailed     the template was refused
└── InvocationFailed a function that was to be run is not there, or gave no answer
"""


class LocalStackError(Exception):
    """The local stack cannot do what was asked."""


class MissingPiece(LocalStackError):
    """Something that the local stack needs is not installed."""

    def __init__(self, piece: str, command: str) -> None:
        super().__init__(f"{piece} is missing; install it with: {command}")
        self.piece = piece
        self.command = command


class FolderBusy(LocalStackError):
    """Another command is starting or stopping the stack of this data folder."""


class FolderRefused(LocalStackError):
    """The data folder cannot be written or is not ours alone."""


class PortTaken(LocalStackError):
    """The port that was asked for is in use."""


class ChildDied(LocalStackError):
    """A child process ended, or did not answer in time."""


class DeployFailed(LocalStackError):
    """CloudFormation refused the template."""


class InvocationFailed(LocalStackError):
    """A function that was to be run on an event is not there, or gave no answer."""
