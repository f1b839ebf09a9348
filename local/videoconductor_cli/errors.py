"""What ends a command badly; `exits.EXIT_CODES` gives each its exit code.

What the API refuses, and that it does not answer, has the errors of `videoconductor.client`.

CommandError
├── NoClip      the render came to rest without its clip, or the clip's file could not be kept
├── BadInput    what was asked cannot be done as it stands
└── NoAnswer    there is no stack, there are no credentials, or nobody answers
"""

from __future__ import annotations


class CommandError(Exception):
    """Root of the tree; its text is for the person at the terminal."""


class NoClip(CommandError):
    """The render came to rest without its clip, or the clip's file could not be kept."""


class BadInput(CommandError):
    """What was asked cannot be done as it stands."""


class NoAnswer(CommandError):
    """There is no stack, there are no credentials, or nobody answers."""
