"""`python -m supply_chain`: what is deployed beside our own code.

`licences` writes docs/licences.md, `bill BUILD` prints the bill of materials of a build, `check`
says which licences somebody has to look at, and whether docs/licences.md is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from supply_chain.licences import doubtful, page
from supply_chain.pins import deployed


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for; the exit code."""
    project = Path.cwd()
    match arguments:
        case ["licences"]:
            text = page(project)
            (project / "docs/licences.md").write_text(text, "utf-8")
        case ["bill", build]:
            from supply_chain.bill import NotAsPinned, bill

            try:
                sys.stdout.write(bill(project, Path(build)))
            except NotAsPinned as problem:
                sys.stderr.write(f"{problem}\n")
                return 1
        case ["check"]:
            pins = [pin for those in deployed(project).values() for pin in those]
            if names := doubtful(pins):
                sys.stderr.write(f"licences to look at: {', '.join(names)}\n")
                return 1
            if (project / "docs/licences.md").read_text("utf-8") != page(project):
                sys.stderr.write("docs/licences.md is not up to date: make licences\n")
                return 1
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
