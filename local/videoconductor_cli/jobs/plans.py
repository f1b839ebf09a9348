"""What each chosen clip of a jobs file will be and cost: planned, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from videoconductor import planning
from videoconductor.clip import ClipRequest, RenderPlan
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlanDefaults
from videoconductor.quality import QualityModes
from videoconductor.script import fingerprint
from videoconductor_cli.jobs.reading import Clip, JobsFile

MAX_PROBLEMS = 50


@dataclass(frozen=True)
class Choice:
    """What the command line says: which clips, in which mode (of which flag), as a remaster."""

    clip_ids: Collection[str] = ()
    flags: Sequence[str] = ()
    remaster: bool = False


@dataclass(frozen=True)
class Rules:
    """What plans are made by."""

    modes: QualityModes
    models: ModelCatalog
    defaults: PlanDefaults


@dataclass(frozen=True)
class PlannedClip:
    """One clip that was chosen, with its plan and what makes it this clip and no other."""

    id: str
    request: ClipRequest
    plan: RenderPlan
    fingerprint: str

    @property
    def key(self) -> str:
        """Its place in the manifest."""
        return f"{self.id}::{self.plan.quality_mode}"


def planned(file: JobsFile, choice: Choice, rules: Rules) -> tuple[PlannedClip, ...]:
    """The chosen clips, in the file's order.

    Raises InvalidRequest with every problem: of the file, of the choice, of each plan.
    """
    problems = [*file.problems, *_choice_problems(file, choice), *_mode_problems(file, rules)]
    flag = choice.flags[0] if choice.flags else None
    clips: list[PlannedClip] = []
    imageless: list[str] = []
    for clip in file.clips:
        if (choice.clip_ids and clip.id not in choice.clip_ids) or clip.request is None:
            continue
        request = _asked(clip.request, file.default_mode, flag, remaster=choice.remaster)
        try:
            plan = planning.plan(request, rules.modes, rules.models, rules.defaults)
        except InvalidRequest as refused:
            wants_image = [flag and _wants_image(problem, request) for problem in refused.problems]
            imageless += [clip.id] if any(wants_image) else []
            for problem, is_told in zip(refused.problems, wants_image, strict=True):
                problems += [] if is_told else _placed(problem, clip, flag, request, rules)
        else:
            clips.append(PlannedClip(clip.id, request, plan, fingerprint(plan)))
    if imageless:
        needs = "starts from an image, and these clips have no imageUrl: "
        problems.append(Problem(f"--{flag}", None, needs + ", ".join(imageless)))
    if problems:
        raise refusal(problems)
    return tuple(clips)


def refusal(problems: Sequence[Problem]) -> InvalidRequest:
    """The problems as an error, and no more of them than anybody reads."""
    more = len(problems) - MAX_PROBLEMS
    if more > 0:
        problems = [
            *problems[:MAX_PROBLEMS],
            Problem("file", None, f"has {more} more problems"),
        ]
    return InvalidRequest(problems)


def file_notes(file: JobsFile, rules: Rules) -> Iterator[str]:
    """Where the file's own table of modes says something else than ours, which is what counts."""
    for name, said in file.modes.items():
        if _is_unknown(name, rules):
            yield f"modes.{name} is not one of our quality modes: it is not used"
            continue
        for field, ours in _ours(name, rules).items():
            theirs = said.get(field)
            if theirs is not None and theirs != ours:
                yield f"modes.{name}.{field} is not used: it says {theirs}, but it is {ours}"


def clip_notes(clips: Sequence[PlannedClip]) -> Iterator[str]:
    """The plans' warnings, each once, with the clips it is about."""
    about: dict[str, list[str]] = {}
    for clip in clips:
        for warning in clip.plan.warnings:
            about.setdefault(warning, []).append(clip.id)
    for warning, ids in about.items():
        whom = "all clips" if len(ids) == len(clips) > 1 else ", ".join(ids)
        yield f"{whom}: {warning}"


def total_usd(clips: Sequence[PlannedClip]) -> Decimal:
    """What the clips will cost together."""
    return sum((clip.plan.estimate.total_usd for clip in clips), Decimal(0))


def _asked(
    request: ClipRequest, default_mode: str | None, flag: str | None, *, remaster: bool
) -> ClipRequest:
    """The request with what the command line and the file's default put over or under it."""
    remaster = remaster or request.remaster or request.operation == "remaster"
    # A remaster has a mode of its own: a default has no say in it, and need not be warned of.
    mode = flag or request.quality_mode or (None if remaster else default_mode)
    return request.model_copy(update={"quality_mode": mode, "remaster": remaster})


def _wants_image(problem: Problem, request: ClipRequest) -> bool:
    return problem.field == "imageUrl" and request.image_url is None


def _placed(
    problem: Problem, clip: Clip, flag: str | None, request: ClipRequest, rules: Rules
) -> list[Problem]:
    """A problem with a plan, at the place of what is to be changed."""
    if problem.field != "qualityMode":
        return [clip.placed(problem)]
    if _is_unknown(request.quality_mode, rules):
        return []  # told already, of the place where it stands
    if flag:
        return [Problem(f"--{flag}", None, f"{clip.id}: {problem.message}", problem.choices)]
    if clip.request is not None and clip.request.quality_mode is not None:
        return [clip.placed(problem)]
    return [Problem(f"clips[{clip.index}]", None, problem.message, problem.choices)]


def _choice_problems(file: JobsFile, choice: Choice) -> Iterator[Problem]:
    if len(choice.flags) > 1:
        given = ", ".join(f"--{flag}" for flag in choice.flags)
        yield Problem(given, None, "are several quality modes: give one")
    known = [clip.id for clip in file.clips if clip.id]
    for clip_id in choice.clip_ids:
        if clip_id not in known:
            yield Problem("CLIP_ID", clip_id, "is no clip of the file", tuple(known[:MAX_PROBLEMS]))


def _mode_problems(file: JobsFile, rules: Rules) -> Iterator[Problem]:
    """Modes that nobody knows, also where another one is put over them."""
    named = [("defaultQualityMode", file.default_mode)]
    for clip in file.clips:
        if clip.request is not None:
            written = clip.spelling.get("qualityMode", "qualityMode")
            named.append((f"clips[{clip.index}].{written}", clip.request.quality_mode))
    for path, name in named:
        if name is not None and _is_unknown(name, rules):
            yield Problem(path, name, "is not a quality mode", tuple(rules.modes.modes))


def _is_unknown(name: str | None, rules: Rules) -> bool:
    if name is None:
        return False
    try:
        rules.modes.find(name)
    except InvalidRequest:
        return True
    return False


def _ours(name: str, rules: Rules) -> dict[str, Any]:
    mode = rules.modes.find(name)[1]
    price = rules.models.find(mode.model)[1].prices.per_second.get(mode.resolution)
    found: dict[str, Any] = {"model": mode.model, "resolution": mode.resolution}
    return found if price is None else {**found, "estimatedUsdPerSecond": float(price)}
