"""Exit codes, and the one place where errors become them."""

from __future__ import annotations

from videoconductor_cli.errors import BadInput, CommandError, NoAnswer, NoClip

EXIT_CODES: dict[type[CommandError], int] = {NoClip: 1, BadInput: 2, NoAnswer: 3}
INTERRUPTED = 130
