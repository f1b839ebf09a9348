"""From what is written to what the models read: the video prompt, the still prompt, the labels.

Every function takes text as it was written and gives it trimmed, its missing parts left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from videoconductor.script.schema import CastMember, DialogueLine, FilmRequest, ScriptClip, trimmed

MAX_LABEL_CHARACTERS = 79
# Sixteen times what a prompt may hold: a text beyond it is refused, so no more of it is built.
MAX_RESOLVED_CHARACTERS = 65_536

CLOSING = "Realistic lip movement, speaking over ambient sound, no burned-in subtitles."
STILL_STYLE = "cinematic still frame, photorealistic, no text overlays, no watermarks."

TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
_CLAUSE_END = re.compile(r"[,.]")

Cast = Mapping[str, CastMember]


def cast_of(film: FilmRequest) -> Cast:
    """The cast by id."""
    return {member.id: member for member in film.cast}


def tokens(text: str | None) -> list[str]:
    """The names in `text` that stand between double braces, each once, in their order."""
    return list(dict.fromkeys(trimmed(name) for name in TOKEN.findall(text or "")))


def resolved(text: str | None, cast: Cast) -> str:
    """`text` with each `{{id}}` replaced by its description; unknown names stay as they are."""
    parts: list[str] = []
    written, begin, size = text or "", 0, 0
    for match in TOKEN.finditer(written):
        member = cast.get(trimmed(match[1]))
        filled = match[0] if member is None else trimmed(member.description)
        parts += [written[begin : match.start()], filled]
        size += len(parts[-2]) + len(filled)
        begin = match.end()
        if size > MAX_RESOLVED_CHARACTERS:
            break
    return trimmed("".join([*parts, written[begin:]]))


def speaker_label(speaker: str, cast: Cast) -> str:
    """Who speaks, in words: the label, the description's first clause, or the id."""
    name = trimmed(speaker)
    member = cast.get(name)
    if member is not None:
        label = trimmed(member.label)
        clause = trimmed(_CLAUSE_END.split(member.description, maxsplit=1)[0])
        if label:
            return label
        if clause and _utf16_length(clause) <= MAX_LABEL_CHARACTERS:
            return clause
    return trimmed(name.replace("_", " "))


def spoken(clip: ScriptClip) -> list[DialogueLine]:
    """The lines of a scene in which something is said."""
    return [said for said in clip.scene.dialogue if trimmed(said.line)]


def video_prompt(film: FilmRequest, clip: ScriptClip, cast: Cast) -> str:
    """What the video model is told: the clip's own prompt, or its scene in the film's setting."""
    own = trimmed(clip.prompt)
    if own:
        return own
    said = " ".join(_said(line, cast) for line in spoken(clip))
    return _joined(
        [
            trimmed(film.setting),
            _headed("CAMERA:", trimmed(clip.scene.camera)),
            _headed("ACTION:", resolved(clip.scene.action, cast)),
            _headed("DIALOGUE:", said),
            CLOSING if said else "",
        ]
    )


def still_prompt(film: FilmRequest, clip: ScriptClip, cast: Cast) -> str:
    """What the image model is told; nothing where no still is asked for."""
    picture = resolved(clip.first_frame.image_prompt, cast)
    if not picture or trimmed(clip.first_frame.image_url):
        return ""
    setting, ratio = trimmed(film.setting), trimmed(clip.aspect_ratio)
    return _joined(
        [
            picture,
            f"Setting: {setting}." if setting else "",
            f"Aspect ratio {ratio}, {STILL_STYLE}" if ratio else "",
        ]
    )


def _said(said: DialogueLine, cast: Cast) -> str:
    tone = trimmed(said.tone)
    manner = f" ({tone})" if tone else ""
    return f'{speaker_label(said.speaker, cast)}{manner} says: "{trimmed(said.line)}"'


def _headed(head: str, text: str) -> str:
    return f"{head} {text}" if text else ""


def _joined(parts: Iterable[str]) -> str:
    return " ".join(part for part in parts if part)


def _utf16_length(text: str) -> int:
    # A label's length was measured by JavaScript, where an emoji counts twice.
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
