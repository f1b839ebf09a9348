"""The request bodies of the five POST endpoints, as the OpenAPI file and the docs give them."""

from __future__ import annotations

from typing import Any, Literal

from videoconductor.models import ModelCatalog
from xai_simulator.wire import (
    Reader,
    boolean,
    integer,
    items,
    number,
    optional,
    record,
    seconds,
    text,
    variant,
)

Shape = Literal["generate", "edit", "extend", "image", "image_edit"]

IMAGE = record(
    "ImageUrl",
    {"url": optional(text), "file_id": optional(text)},
    aliases={"image_url": "url"},
)
VIDEO = record("VideoUrl", {"url": optional(text), "file_id": optional(text)})
AUDIO = record("AudioUrl", {"url": optional(text), "voice_id": optional(text)})
KEYFRAME = record(
    "VideoKeyframe",
    {"image": IMAGE, "timestamp_s": number},
    required=("image", "timestamp_s"),
)
OUTPUT = record("VideoOutput", {"upload_url": text}, required=("upload_url",))
IMAGE_OUTPUT = record("ImageOutput", {"upload_urls": items(text)}, required=("upload_urls",))
PUBLIC_URL = record("PublicUrlOptions", {"expires_after": optional(integer)})


def _public_url(value: Any) -> bool | dict[str, Any]:
    return value if isinstance(value, bool) else PUBLIC_URL(value)


STORAGE = record(
    "StorageOptions",
    {
        "filename": text,
        "expires_after": optional(integer),
        "public_url": optional(_public_url),
    },
    required=("filename",),
)
SHARED = {
    "model": optional(text),
    "prompt": optional(text),
    "storage_options": optional(STORAGE),
    "user": optional(text),
}


def _union(catalog: ModelCatalog, produces: str, column: str) -> list[str]:
    rows = (row for row in catalog.models.values() if row.produces == produces)
    return list(dict.fromkeys(name for row in rows for name in getattr(row, column)))


def shapes(catalog: ModelCatalog) -> dict[Shape, Reader]:
    """A reader for each kind of request; the closed lists in them come from the catalog."""
    video = {**SHARED, "output": optional(OUTPUT)}
    still = {
        **SHARED,
        "n": optional(integer),
        "aspect_ratio": optional(variant(_union(catalog, "image", "aspect_ratios"))),
        "resolution": optional(variant(_union(catalog, "image", "resolutions"))),
        "quality": optional(variant(_union(catalog, "image", "qualities"))),
        "response_format": optional(variant(["url", "b64_json"])),
        "deferred": optional(boolean),
        "output": optional(IMAGE_OUTPUT),
    }
    clip = {
        **video,
        "duration": optional(seconds),
        "aspect_ratio": optional(variant(_union(catalog, "video", "aspect_ratios"))),
        "resolution": optional(variant(_union(catalog, "video", "resolutions"))),
        "image": optional(IMAGE),
        "last_frame": optional(IMAGE),
        "keyframes": items(KEYFRAME),
        "reference_images": items(IMAGE),
        "reference_audios": items(AUDIO),
        "generate_audio": optional(boolean),
    }
    from_video = {**video, "prompt": text, "video": VIDEO}
    untraced = {name: reader for name, reader in from_video.items() if name != "user"}
    return {
        "generate": record(
            "GenerateVideoRequest",
            clip,
            aliases={"seconds": "duration", "input_reference": "image"},
        ),
        "edit": record("EditVideoRequest", from_video, required=("prompt", "video")),
        "extend": record(
            "ExtendVideoRequest",
            {**untraced, "duration": optional(seconds)},
            required=("prompt", "video"),
        ),
        "image": record("GenerateImageRequest", still),
        "image_edit": record(
            "EditImageRequest",
            {**still, "prompt": text, "image": optional(IMAGE), "images": items(IMAGE)},
            required=("prompt",),
        ),
    }
