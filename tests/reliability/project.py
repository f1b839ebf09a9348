"""A copy of the project with the drill in it: what gets deployed is never touched."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = Path("layers") / "videoconductor" / "python"
PARTS = ("template.yaml", "functions", "layers", "presets", "statemachine")
# Their time limits are minutes: one that hangs is to be seen sooner.
SHORTENED = ("poll", "finalize", "thumbnail", "conclude")
SECONDS = 25
CONTROLS = Path(__file__).parent / "controls"


def copied(folder: Path, start: str | None = None) -> Path:
    """The project in `folder`, its functions drilled; with another `start` a control."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    shutil.copy(Path(__file__).with_name("drill.py"), folder / PACKAGES / "sitecustomize.py")
    shorten(folder / "template.yaml")
    if start is not None:
        shutil.copy(CONTROLS / f"{start}.py", folder / "functions" / "start" / "app.py")
        retry_everything(folder / "statemachine" / "render_clip.asl.yaml")
    return folder


def retry_everything(path: Path) -> None:
    """Have the machine try Start again whatever it was that failed, as a control's would."""
    machine = yaml.safe_load(path.read_text(encoding="utf-8"))
    again = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 5}
    machine["States"]["Start"] |= {"Retry": [again]}
    path.write_text(yaml.safe_dump(machine), encoding="utf-8")


def shorten(template: Path) -> None:
    """Give some functions less time."""
    text = template.read_text(encoding="utf-8")
    for name in SHORTENED:
        limit = re.compile(rf"(CodeUri: functions/{name}/\n(?:.*\n)*?      Timeout: )\d+")
        text, count = limit.subn(rf"\g<1>{SECONDS}", text, count=1)
        if count != 1:
            raise AssertionError(f"{template} has no time limit for {name}")
    template.write_text(text, encoding="utf-8")
