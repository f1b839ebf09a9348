"""`python -m auditing CHECKOV`: checkov on the template and on what SAM makes of it."""

from __future__ import annotations

import sys
from pathlib import Path

from auditing import audit


def main(arguments: list[str]) -> int:
    """The exit code: 0 if nothing is wrong that the template does not explain."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    wrong = audit(Path(arguments[0]), Path.cwd())
    for name, lines in wrong.items():
        sys.stdout.write(f"checkov, {name}: {len(lines) or 'nothing'} unexplained\n")
        sys.stdout.writelines(f"  {line}\n" for line in lines)
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
