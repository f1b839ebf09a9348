"""The contract's rules for stills."""

from __future__ import annotations

from typing import Any

from videoconductor.models import Task
from xai_simulator import replies
from xai_simulator.inputs import UrlRule, origin_of
from xai_simulator.orders import ImageOrder, Origin
from xai_simulator.replies import Refusal

MAX_STILLS = 10
DEFAULT_QUALITY = "medium"


def image_order(
    edits: bool,
    fields: dict[str, Any],
    shared: dict[str, Any],
    quality: str | None,
    check: UrlRule,
) -> ImageOrder:
    """The order that `fields` amount to; `quality` is what a retired model was replaced by."""
    row = shared["row"]
    if not shared["prompt"].strip():
        raise Refusal(replies.NO_PROMPT)
    count = 1 if fields.get("n") is None else fields["n"]
    if not 1 <= count <= MAX_STILLS:
        raise Refusal(f"n must be between 1 and {MAX_STILLS} inclusive")
    asked = fields.get("quality")
    if asked and not row.qualities:
        raise Refusal("`quality` is not supported for this model.")
    base64 = fields.get("response_format") == "b64_json"
    deferred = bool(fields.get("deferred"))
    if deferred and base64:
        raise Refusal("`deferred` requires response_format `url`.")
    output = fields.get("output")
    uploads = tuple(output["upload_urls"]) if output else ()
    if output and len(uploads) != count:
        raise Refusal(f"output.upload_urls must have {count} entries, one for each image.")
    for url in uploads:
        check(url, "output.upload_urls")
    task: Task = "image-edit" if edits else "text-to-image"
    most = row.tasks[task].max_references
    return ImageOrder(
        **shared,
        operation="image_edit" if edits else "image",
        task=task,
        aspect_ratio=fields.get("aspect_ratio"),
        resolution=fields.get("resolution") or row.resolutions[0],
        count=count,
        quality=asked or quality or DEFAULT_QUALITY,
        base64=base64,
        deferred=deferred,
        images=_images(fields, most, check) if edits else (),
        upload_urls=uploads,
    )


def _images(fields: dict[str, Any], most: int | None, check: UrlRule) -> tuple[Origin, ...]:
    single, several = fields.get("image"), fields.get("images") or []
    if bool(single) == bool(several):
        raise Refusal("Exactly one of `image` or `images` must be provided.")
    images = [single] if single else several
    if most is not None and len(images) > most:
        raise Refusal(f"Too many images: {len(images)}. Maximum allowed is {most}.")
    return tuple(origin_of(image, check) for image in images)
