"""From a request to a plan: every choice made, every limit of the model checked, nothing spent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from videoconductor import inputs, pricing
from videoconductor.clip import ClipRequest, CostLine, Estimate, Frame, Operation, RenderPlan
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.models import Model, ModelCatalog, TaskLimits
from videoconductor.quality import QualityMode, QualityModes

VideoTask = Literal["text-to-video", "image-to-video", "reference-to-video", "edit", "extend"]
IMAGE_PROVIDERS = ("xai",)
PROMPTED: frozenset[VideoTask] = frozenset(
    {"text-to-video", "reference-to-video", "edit", "extend"}
)
MAX_CHECKED_REFERENCES = 20
OWN_CLIP = "s3://"
# How long before a model retires a plan with it says so.
RETIREMENT_NOTICE = timedelta(days=31)


@dataclass(frozen=True)
class PlanDefaults:
    """What settings say for requests that do not, and which http origins are as good as public.

    With `takes_own_clips` the uri of one is taken at its word: for who cannot look. With
    `calls_back_here` somebody on this very machine may be called back. `own_images` are uris of
    images in the library that a request may name. `today` is what retirements are measured by.
    """

    duration: int = 6
    aspect_ratio: str = "16:9"
    trusted_origins: Collection[str] = ()
    takes_own_clips: bool = False
    calls_back_here: bool = False
    own_images: Collection[str] = ()
    today: date | None = None


@dataclass(frozen=True)
class PlannedClip:
    """A clip as it would be made: due to be paid for, there already, or left to its render."""

    clip_id: str | None
    plan: RenderPlan
    warnings: tuple[str, ...]
    is_due: bool = True
    is_reused: bool = False


@dataclass(frozen=True)
class _Still:
    model: str
    quality: str | None
    line: CostLine


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, name: str, value: Any, message: str, choices: Iterable[str] = ()) -> None:
        self.problems.append(Problem(name, value, message, tuple(choices)))

    def without_effect(self, name: str, why: str) -> None:
        self.warnings.append(f"{name} has no effect: {why}")


def plan(
    request: ClipRequest,
    modes: QualityModes,
    models: ModelCatalog,
    defaults: PlanDefaults | None = None,
    source_seconds: Decimal | None = None,
    source_resolution: str | None = None,
    *,
    trusts_source: bool = True,
) -> RenderPlan:
    """The plan for `request`. Raises InvalidRequest with every problem found, not the first.

    `source_seconds` is the length of the source clip, for one of our own: only with it may
    sourceVideoUrl be the `s3://` uri of one. `source_resolution` is the one it was made at. Without
    `trusts_source` nobody has measured either: they do for what can be checked, not for the price.
    """
    rules = defaults or PlanDefaults()
    source = source_seconds, source_resolution
    return _Planner(request, modes, models, rules, *source, trusts_source).plan()


def callback_problem(url: str | None, defaults: PlanDefaults) -> Problem | None:
    """What is wrong with a callbackUrl, a clip's or a film's, if anything is."""
    if url is None:
        return None
    try:
        inputs.callback_url(url, loopback=defaults.calls_back_here)
    except ValueError as problem:
        return Problem("callbackUrl", inputs.shown(url), str(problem))
    return None


def check_cost(limit: Decimal | None, estimate: Estimate) -> None:
    """Refuse what may cost more than somebody allows. Raises InvalidRequest.

    What nobody knows the price of may cost anything.
    """
    if limit is None:
        return
    if not estimate.is_priced:
        raise InvalidRequest([unpriced_problem(limit, pricing.unpriced(estimate))])
    if estimate.total_usd > limit:
        words = f"is less than the estimate of ${estimate.total_usd}"
        raise InvalidRequest.of("maxCostUsd", float(limit), words)


def unpriced_problem(limit: Decimal, names: Iterable[str]) -> Problem:
    """Why a limit cannot be kept: these models have no price."""
    shown = ", ".join(dict.fromkeys(names))
    return Problem("maxCostUsd", float(limit), f"cannot be kept: no price is known of {shown}")


class _Planner:
    """One request under planning; each step reads what the steps before it settled."""

    def __init__(
        self,
        request: ClipRequest,
        modes: QualityModes,
        models: ModelCatalog,
        defaults: PlanDefaults,
        source_seconds: Decimal | None,
        source_resolution: str | None,
        trusts_source: bool,
    ) -> None:
        self.request = request
        self.modes = modes
        self.models = models
        self.defaults = defaults
        self.source_seconds = source_seconds
        self.source_resolution = source_resolution
        self.trusts_source = trusts_source
        self.found = _Findings()

    def plan(self) -> RenderPlan:
        request, found = self.request, self.found
        remaster = request.remaster or request.operation == "remaster"
        operation = self._operation(remaster)
        task = self._task(operation)
        self._check_urls()
        self._check_inputs(task)
        mode = self._mode(operation, remaster)
        model = self._model(mode)
        still = self._still()
        self._report_fields_without_effect()
        limits = model[1].tasks.get(task) if model is not None else None
        if model is not None and limits is None:
            self._refuse_task(model[0], task)
        if mode is None or model is None or limits is None:
            self._check_against_all_models()
            raise InvalidRequest(found.problems)
        return self._planned(operation, task, remaster, mode, model, limits, still)

    def _planned(
        self,
        operation: Operation,
        task: VideoTask,
        remaster: bool,
        chosen_mode: tuple[str, QualityMode],
        chosen_model: tuple[str, Model],
        limits: TaskLimits,
        still: _Still | None,
    ) -> RenderPlan:
        request, found = self.request, self.found
        mode_name, mode = chosen_mode
        name, model = chosen_model
        self._check_frames(mode_name, mode, name, model, limits, operation)
        duration = self._duration(name, limits, task)
        aspect_ratio = self._aspect_ratio(name, model, operation, task)
        resolution = self._resolution(name, mode, model, task, remaster)
        self._check_source(name, limits, task)
        if found.problems:
            raise InvalidRequest(found.problems)

        frames = [request.image_url, request.last_frame_url, *request.reference_image_urls]
        cost = pricing.estimate(
            name,
            model,
            limits,
            seconds=duration,
            resolution=resolution,
            input_images=sum(url is not None for url in frames) + (still is not None),
            still=None if still is None else still.line,
            has_source=operation != "generate",
            source_seconds=self.source_seconds if self.trusts_source else None,
            source_resolution=self.source_resolution if self.trusts_source else None,
        )
        found.warnings += [
            f"no price is known of {what}: what it costs is not known before, and under a cap it "
            "is refused"
            for what in pricing.unpriced(cost)
        ]
        check_cost(request.max_cost_usd, cost)
        return RenderPlan(
            operation=operation,
            task=task,
            provider=model.provider,
            quality_mode=mode_name,
            model=name,
            prompt=request.prompt,
            duration=duration,
            aspect_ratio=aspect_ratio,
            resolution=resolution,
            image=_frame(request.image_url),
            last_frame=_frame(request.last_frame_url),
            references=tuple(Frame(url=url) for url in request.reference_image_urls),
            source_video_url=request.source_video_url,
            first_frame_prompt=request.first_frame_prompt if still else None,
            image_model=None if still is None else still.model,
            image_quality=None if still is None else still.quality,
            image_resolution=request.image_resolution if still else None,
            remaster=remaster,
            estimate=cost,
            warnings=tuple(found.warnings),
        )

    @property
    def _has_image(self) -> bool:
        return self.request.image_url is not None or self.request.first_frame_prompt is not None

    def _operation(self, remaster: bool) -> Operation:
        request = self.request
        asked, source = request.operation, request.source_video_url
        if asked == "extend":
            if remaster:
                self.found.refuse("remaster", True, "cannot be combined with operation 'extend'")
            if source is None:
                self.found.refuse("sourceVideoUrl", None, "is required by operation 'extend'")
            return "extend"
        if asked == "edit" and source is None:
            self.found.refuse("sourceVideoUrl", None, "is required by operation 'edit'")
        if asked == "generate" and source is not None:
            self.found.refuse(
                "operation", asked, "takes no sourceVideoUrl", ["edit", "extend", "remaster"]
            )
        return "edit" if source is not None or asked == "edit" else "generate"

    def _task(self, operation: Operation) -> VideoTask:
        if operation != "generate":
            return operation
        if self.request.reference_image_urls:
            return "reference-to-video"
        if self._has_image or self.request.last_frame_url is not None:
            return "image-to-video"
        return "text-to-video"

    def _check_urls(self) -> None:
        request = self.request
        images: list[tuple[str, str | None]] = [
            ("imageUrl", request.image_url),
            ("lastFrameUrl", request.last_frame_url),
        ]
        # Too many are refused by their number: an answer does not grow with them.
        images += [
            (f"referenceImageUrls[{n}]", url)
            for n, url in enumerate(request.reference_image_urls[:MAX_CHECKED_REFERENCES])
        ]
        for name, url in images:
            if url is not None:
                self._check_url(name, url, inline=url.startswith("data:"))
        if request.source_video_url is not None:
            self._check_url("sourceVideoUrl", request.source_video_url, inline=False)
        found = callback_problem(request.callback_url, self.defaults)
        self.found.problems += [] if found is None else [found]

    def _check_url(self, name: str, url: str, *, inline: bool) -> None:
        if name == "sourceVideoUrl" and url.startswith(OWN_CLIP):
            if self.source_seconds is None and not self.defaults.takes_own_clips:
                self.found.refuse(name, url, "is not a finished clip of this film")
            return
        if url in self.defaults.own_images:
            return
        try:
            if inline:
                inputs.inline_image(url)
            else:
                inputs.public_url(url, self.defaults.trusted_origins)
        except ValueError as problem:
            self.found.refuse(name, inputs.shown(url), str(problem))

    def _check_inputs(self, task: VideoTask) -> None:
        """What fits together whichever model it is for."""
        request, found = self.request, self.found
        if request.prompt is None:
            if task in PROMPTED:
                found.refuse("prompt", None, f"is required for {task}")
            else:
                found.warnings.append("no prompt: xAI may refuse the job after accepting it")
        if task in {"edit", "extend"}:
            for name, value in (
                ("imageUrl", request.image_url and inputs.shown(request.image_url)),
                ("lastFrameUrl", request.last_frame_url and inputs.shown(request.last_frame_url)),
                ("referenceImageUrls", len(request.reference_image_urls) or None),
                ("firstFramePrompt", request.first_frame_prompt),
            ):
                if value is not None:
                    found.refuse(name, value, f"cannot be combined with operation {task!r}")

    def _mode(self, operation: Operation, remaster: bool) -> tuple[str, QualityMode] | None:
        asked = self.request.quality_mode
        try:
            name, mode = self.modes.find(
                self.modes.defaults.quality_mode if asked is None else asked
            )
        except InvalidRequest as unknown:
            self.found.problems += unknown.problems
            return None
        if remaster:
            rule = self.modes.remaster
            from_frame = rule.from_image if self._has_image else rule.from_text
            chosen = self.modes.find(rule.from_source if operation == "edit" else from_frame)
            if asked is not None and chosen[0] != name:
                self.found.without_effect("qualityMode", f"a remaster is made in {chosen[0]}")
            return chosen
        if mode.with_image is not None and self._has_image and operation == "generate":
            return self.modes.find(mode.with_image)
        return name, mode

    def _model(self, mode: tuple[str, QualityMode] | None) -> tuple[str, Model] | None:
        if self.request.model is not None:
            asked = self.request.model
        elif mode is not None:
            asked = mode[1].model
        else:
            return None
        found = self._found_model(asked, "video", "model")
        if found is None:
            return None
        self._warn_of_retirement(*found[:2])
        return found[:2]

    def _found_model(
        self, asked: str, produces: str, wire_name: str
    ) -> tuple[str, Model, str | None] | None:
        """A model's name, its row, and the quality that its predecessor's name stands for."""
        try:
            name, model, retired = self.models.find(asked, produces=produces, field=wire_name)
        except InvalidRequest as unknown:
            self.found.problems += unknown.problems
            return None
        if retired is not None:
            self.found.warnings.append(
                f"{wire_name} {asked} was retired on {retired.on}: {name} is used instead"
            )
        return name, model, None if retired is None else retired.quality

    def _warn_of_retirement(self, name: str, model: Model) -> None:
        """A model goes on until it is gone: nothing is refused because a date has come."""
        today, day = self.defaults.today, model.retires
        if today is None or day is None or today < day - RETIREMENT_NOTICE:
            return
        self.found.warnings.append(
            f"{name} retires on {day}: choose another model before then"
            if today < day
            else f"{name} retires on {day}: that day has come, and xAI may refuse the job or have "
            "another model do it"
        )

    def _refuse_task(self, name: str, task: VideoTask) -> None:
        if self.request.model is not None:
            able = [known for known, row in self.models.models.items() if task in row.tasks]
            self.found.refuse("model", self.request.model, f"cannot do {task}", able)
            return
        able = [
            known
            for known, mode in self.modes.modes.items()
            if task in self.models.find(mode.model)[1].tasks
        ]
        self.found.refuse(
            "qualityMode", self.request.quality_mode, f"uses {name}, which cannot do {task}", able
        )

    def _check_against_all_models(self) -> None:
        """Where the model is in doubt: what would be wrong with every one of them."""
        rows = [row for row in self.models.models.values() if row.produces == "video"]
        request, found = self.request, self.found
        longest = max(limits.max_seconds or 0 for row in rows for limits in row.tasks.values())
        if request.duration is not None and not 1 <= request.duration <= longest:
            found.refuse("duration", request.duration, f"must be 1 to {longest} whole seconds")
        for name, value, choices in (
            ("aspectRatio", request.aspect_ratio, _union(row.aspect_ratios for row in rows)),
            ("resolution", request.resolution, self._resolutions()),
        ):
            if value is not None and value not in choices:
                found.refuse(name, value, "is not offered by any model", choices)

    def _check_frames(
        self,
        mode_name: str,
        mode: QualityMode,
        name: str,
        model: Model,
        limits: TaskLimits,
        operation: Operation,
    ) -> None:
        request, found = self.request, self.found
        if mode.requires_image and operation == "generate" and not self._has_image:
            found.refuse("imageUrl", None, f"is required by quality mode {mode_name}")
        if request.last_frame_url is not None and not model.last_frame:
            able = [known for known, row in self.models.models.items() if row.last_frame]
            found.refuse(
                "lastFrameUrl",
                inputs.shown(request.last_frame_url),
                f"is not supported by {name}; models that do: {', '.join(able)}",
            )
        references = len(request.reference_image_urls)
        if limits.max_references is not None and references > limits.max_references:
            found.refuse(
                "referenceImageUrls",
                references,
                f"images are too many: {name} takes at most {limits.max_references}",
            )
        if references and self._has_image and not model.first_frame_with_references:
            found.refuse(
                "referenceImageUrls",
                references,
                f"cannot be combined with a first frame on {name}",
            )

    def _duration(self, name: str, limits: TaskLimits, task: VideoTask) -> int | None:
        asked = self.request.duration
        low, high = limits.min_seconds, limits.max_seconds
        if low is None or high is None:
            if asked is not None:
                self.found.without_effect("duration", f"{task} keeps the source clip's length")
            return None
        if asked is None:
            return min(max(self.defaults.duration, low), high)
        if not low <= asked <= high:
            self.found.refuse(
                "duration", asked, f"must be {low} to {high} whole seconds for {task} on {name}"
            )
        return asked

    def _aspect_ratio(
        self, name: str, model: Model, operation: Operation, task: VideoTask
    ) -> str | None:
        asked = self.request.aspect_ratio
        chosen = self.defaults.aspect_ratio if asked is None else asked
        if chosen not in model.aspect_ratios and (asked is not None or operation == "generate"):
            self.found.refuse(
                "aspectRatio", chosen, f"is not offered by {name}", model.aspect_ratios
            )
        if operation != "generate":
            if asked is not None:
                self.found.without_effect("aspectRatio", f"{task} keeps the source clip's")
            return None
        if asked is not None and self.request.image_url is not None and task == "image-to-video":
            self.found.without_effect("aspectRatio", "the clip takes the first frame's own")
        return chosen

    def _resolution(
        self, name: str, mode: QualityMode, model: Model, task: VideoTask, remaster: bool
    ) -> str | None:
        asked, found = self.request.resolution, self.found
        offered = model.resolutions_for(task)
        if remaster:
            made = self.modes.remaster.resolution
            known = self._resolutions()
            if asked is not None and asked not in known:
                found.refuse("resolution", asked, "is not a resolution", known)
            elif asked not in {None, made}:
                found.without_effect("resolution", f"a remaster is made at {made}")
            asked = made
        elif task in {"edit", "extend"}:
            if asked is None:
                return None
            if asked in offered:
                found.without_effect("resolution", f"{task} keeps the source clip's")
                return None
        chosen = mode.resolution if asked is None else asked
        if chosen not in offered:
            found.refuse("resolution", chosen, f"is not offered for {task} on {name}", offered)
        return chosen

    def _resolutions(self) -> list[str]:
        rows = self.models.models.values()
        return _union(row.resolutions for row in rows if row.produces == "video")

    def _check_source(self, name: str, limits: TaskLimits, task: VideoTask) -> None:
        """A source clip is refused when it cannot work, and warned of when nobody can tell."""
        if task not in {"edit", "extend"}:
            return
        low, high = limits.min_source_seconds or Decimal(0), limits.max_source_seconds
        seconds = self.source_seconds
        bounds = f"at most {high} s" if not low else f"{low} to {high} s"
        instead = "; a remaster without sourceVideoUrl is made anew" if task == "edit" else ""
        if high is None:
            return
        if seconds is None:
            self.found.warnings.append(
                f"the length of sourceVideoUrl is not known: {task} on {name} takes clips of "
                f"{bounds}, and fails on others after accepting them{instead}"
            )
        elif not low <= seconds <= high:
            self.found.refuse(
                "sourceVideoUrl",
                float(seconds),
                f"seconds long is the source clip: {task} on {name} takes {bounds}{instead}",
            )

    def _still(self) -> _Still | None:
        request, found = self.request, self.found
        asked = request.image_model
        found_model = self._found_model(
            self.modes.defaults.image_model if asked is None else asked, "image", "imageModel"
        )
        if request.image_provider not in {None, *IMAGE_PROVIDERS}:
            found.refuse(
                "imageProvider",
                request.image_provider,
                "is not supported: stills are made by xAI",
                IMAGE_PROVIDERS,
            )
        if found_model is None:
            return None
        name, model, quality = found_model
        if request.image_resolution not in {None, *model.resolutions}:
            found.refuse(
                "imageResolution",
                request.image_resolution,
                f"is not offered by {name}",
                model.resolutions,
            )
        if request.first_frame_prompt is None or request.image_url is not None:
            return None
        self._warn_of_retirement(name, model)
        quality = quality or ("medium" if model.qualities else None)
        # Of a clip that has a name, the film may have the still already: whoever can looks.
        may_be_there = request.clip_id is not None
        line = pricing.still_line(name, model, quality, may_be_there=may_be_there)
        return _Still(name, quality, line)

    def _report_fields_without_effect(self) -> None:
        request, found = self.request, self.found
        if request.persist_to_filebase:
            found.without_effect("persistToFilebase", "clips are kept in your own S3 bucket")
        if request.image_provider in IMAGE_PROVIDERS:
            found.without_effect("imageProvider", "stills are always made by xAI")
        if request.first_frame_prompt is not None and request.image_url is not None:
            found.without_effect("firstFramePrompt", "imageUrl is the first frame")
        if request.first_frame_prompt is None or request.image_url is not None:
            for name, value in (
                ("imageModel", request.image_model),
                ("imageResolution", request.image_resolution),
            ):
                if value is not None:
                    found.without_effect(name, "no still is asked for")


def _frame(url: str | None) -> Frame | None:
    return None if url is None else Frame(url=url)


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    """What is in any of the lists, each once, in their order."""
    return list(dict.fromkeys(item for items in lists for item in items))
