"""What a film will be and cost: the plans of all its clips, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from videoconductor import planning
from videoconductor.clip import ClipRequest, RenderPlan
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlanDefaults
from videoconductor.quality import QualityModes
from videoconductor.script import checks
from videoconductor.script.clips import Compiled, Take, compiled_clips, placed, take_problems
from videoconductor.script.reading import Reading, reading, refusal
from videoconductor.script.schema import FilmRequest


@dataclass(frozen=True)
class ClipPlan:
    """One clip of a film: the request it was compiled to, and the plan of that.

    `warnings` are the script's and the plan's.
    """

    request: ClipRequest
    plan: RenderPlan
    warnings: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """The clip as `videoconductor plan --json` prints it."""
        plan = self.plan
        return {
            "clipId": self.request.clip_id,
            "prompt": plan.prompt,
            "firstFramePrompt": plan.first_frame_prompt,
            "qualityMode": plan.quality_mode,
            "model": plan.model,
            "resolution": plan.resolution,
            "duration": plan.duration,
            "aspectRatio": plan.aspect_ratio,
            "operation": plan.operation,
            "estimatedCostUsd": float(plan.estimate.total_usd),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class FilmPlan:
    """All clips of a film, planned, in the film's order."""

    film: FilmRequest
    clips: tuple[ClipPlan, ...]

    @property
    def total_usd(self) -> Decimal:
        """What all clips together will cost."""
        return sum((clip.plan.estimate.total_usd for clip in self.clips), Decimal(0))

    def as_document(self) -> dict[str, Any]:
        """The film as `videoconductor plan --json` prints it."""
        return {
            "clips": [clip.as_document() for clip in self.clips],
            "estimatedCostUsd": float(self.total_usd),
        }


def film_plan(
    film: FilmRequest,
    modes: QualityModes,
    models: ModelCatalog,
    defaults: PlanDefaults | None = None,
    *,
    only: Collection[str] = (),
    remaster: bool = False,
    source_video_url: str | None = None,
    source_seconds: Mapping[str, Decimal] | None = None,
) -> FilmPlan:
    """The plan of every clip, or of those named by `only`.

    `source_seconds` holds the lengths of source videos of our own, by clip id. Raises
    InvalidRequest with every problem of every clip, each at its place in the script.
    """
    found = Reading(film, tuple(checks.problems(film)))
    take = Take(only, remaster, source_video_url)
    return _planned(found, take, _Planning(modes, models, defaults, source_seconds or {}))


def plan_json(
    text: str | bytes,
    modes: QualityModes,
    models: ModelCatalog,
    defaults: PlanDefaults | None = None,
    *,
    only: Collection[str] = (),
    remaster: bool = False,
    source_video_url: str | None = None,
    source_seconds: Mapping[str, Decimal] | None = None,
) -> FilmPlan:
    """`film_plan` of a script's text: what is out of shape and what is beyond a model's limits
    is reported together.
    """
    take = Take(only, remaster, source_video_url)
    return plan_reading(reading(text), take, modes, models, defaults, source_seconds)


def plan_reading(
    found: Reading,
    take: Take,
    modes: QualityModes,
    models: ModelCatalog,
    defaults: PlanDefaults | None = None,
    source_seconds: Mapping[str, Decimal] | None = None,
    source_resolutions: Mapping[str, str] | None = None,
    untrusted_sources: Collection[str] = (),
) -> FilmPlan:
    """`film_plan` of a script that was read already, with all that was wrong with it.

    `source_resolutions` holds those of source videos of our own, by clip id; of those clips whose
    source is among `untrusted_sources` nobody has measured it.
    """
    rules = _Planning(
        modes,
        models,
        defaults,
        source_seconds or {},
        source_resolutions or {},
        untrusted_sources,
    )
    return _planned(found, take, rules)


@dataclass(frozen=True)
class _Planning:
    modes: QualityModes
    models: ModelCatalog
    defaults: PlanDefaults | None
    source_seconds: Mapping[str, Decimal]
    source_resolutions: Mapping[str, str] = field(default_factory=dict)
    untrusted_sources: Collection[str] = ()

    def plan(self, compiled: Compiled) -> RenderPlan:
        name = compiled.request.clip_id or ""
        seconds, resolution = self.source_seconds.get(name), self.source_resolutions.get(name)
        return planning.plan(
            compiled.request,
            self.modes,
            self.models,
            self.defaults,
            seconds,
            resolution,
            trusts_source=name not in self.untrusted_sources,
        )


def _planned(found: Reading, take: Take, rules: _Planning) -> FilmPlan:
    if found.film is None:
        raise refusal(found.problems)
    problems, clips = [*found.problems], []
    # Which clips there are is not certain when ids are broken.
    problems += [] if found.broken else take_problems(found.film, take)
    for compiled in compiled_clips(found.film, take):
        problems += compiled.problems
        try:
            plan = rules.plan(compiled)
        except InvalidRequest as refused:
            problems += _own_problems(refused, compiled, compiled.index in found.broken)
        else:
            warnings = (
                *compiled.warnings,
                *_resolution_warnings(found.film, compiled, plan, rules),
                *plan.warnings,
            )
            clips.append(ClipPlan(compiled.request, plan, warnings))
    if problems:
        raise refusal(tuple(problems))
    return FilmPlan(found.film, tuple(clips))


def _own_problems(refused: InvalidRequest, compiled: Compiled, is_broken: bool) -> list[Problem]:
    """Problems at their place in the script.

    What a broken clip lacks may be what was taken from it, and that is reported already.
    """
    return [
        placed(problem, compiled)
        for problem in refused.problems
        if not (is_broken and problem.value is None)
    ]


def _resolution_warnings(
    film: FilmRequest, compiled: Compiled, plan: RenderPlan, rules: _Planning
) -> list[str]:
    """Where the film's default resolution overrules the mode that the clip chose for itself."""
    asked = film.clips[compiled.index].video.quality_mode
    is_inherited = compiled.paths.get("resolution") == "defaults.videoResolution"
    if asked is None or not is_inherited or compiled.request.resolution is None:
        return []
    usual = rules.modes.find(plan.quality_mode)[1].resolution
    if plan.resolution == usual:
        return []
    return [
        f"clips[{compiled.index}] is made at {plan.resolution}, as defaults.videoResolution says, "
        f"though {plan.quality_mode} is {usual}: give it video.resolution to change that"
    ]
