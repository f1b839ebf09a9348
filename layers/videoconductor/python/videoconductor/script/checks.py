"""What a schema cannot say about a script: ids used twice, names nobody bears, hurried speech."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from videoconductor.errors import Problem
from videoconductor.script.compiler import Cast, speaker_label, spoken, tokens
from videoconductor.script.schema import FilmRequest, ScriptClip, trimmed

WORDS_PER_SECOND = 2.5
MAX_CHOICES = 50

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def problems(film: FilmRequest, known: Collection[str] | None = None) -> list[Problem]:
    """What is wrong with a script of the right shape.

    `known` are the names that `{{…}}` may hold, where they are not just those of the cast.
    """
    names = dict.fromkeys([member.id for member in film.cast] if known is None else known)
    found = [*_twice("cast", [member.id for member in film.cast])]
    found += _twice("clips", [clip.id for clip in film.clips])
    for index, clip in enumerate(film.clips):
        found += _clip_problems(f"clips[{index}]", clip, names)
    return found


def warnings(at: str, clip: ScriptClip, cast: Cast, prompts: Iterable[str]) -> list[str]:
    """What is odd about one clip, but can be made. `prompts` are its compiled ones."""
    found = [*_dialogue_warnings(at, clip, cast)]
    for path, text, is_used in _token_texts(at, clip):
        for name in tokens(text):
            if not is_used and name not in cast:
                found.append(f"{path}: {_token(name)} is not in the cast; the text is not used")
    left = dict.fromkeys(name for prompt in prompts for name in tokens(prompt))
    for name in left:
        found.append(
            f"{at}: {_token(name)} stays in the prompt as it is: names are filled in only in "
            "firstFrame.imagePrompt and scene.action"
        )
    return found


def _twice(where: str, ids: list[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, name in enumerate(ids):
        if first.setdefault(name, index) != index:
            yield Problem(f"{where}[{index}].id", name, f"is the id of {where}[{first[name]}] too")


def _token_texts(at: str, clip: ScriptClip) -> list[tuple[str, str | None, bool]]:
    """The texts in which names are filled in, and whether they become part of a prompt."""
    edited = clip.remaster is not None and trimmed(clip.remaster.source_video_url)
    has_image = trimmed(clip.first_frame.image_url)
    return [
        (f"{at}.firstFrame.imagePrompt", clip.first_frame.image_prompt, not (edited or has_image)),
        (f"{at}.scene.action", clip.scene.action, not trimmed(clip.prompt)),
    ]


def _clip_problems(at: str, clip: ScriptClip, names: Collection[str]) -> Iterator[Problem]:
    for path, text, is_used in _token_texts(at, clip):
        for name in tokens(text) if is_used else ():
            if name not in names:
                yield Problem(path, _token(name), _not_in_cast(names), _choices(names))
    if trimmed(clip.prompt):
        return
    for number, said in enumerate(clip.scene.dialogue):
        if trimmed(said.line) and not speaker_label(said.speaker, {}):
            yield Problem(
                f"{at}.scene.dialogue[{number}].speaker",
                said.speaker,
                "is blank: somebody has to say the line",
                _choices(names),
            )


def _dialogue_warnings(at: str, clip: ScriptClip, names: Collection[str]) -> Iterator[str]:
    if trimmed(clip.prompt):
        return
    for number, said in enumerate(clip.scene.dialogue):
        path = f"{at}.scene.dialogue[{number}]"
        if not trimmed(said.line):
            yield f"{path}.line is blank and left out"
        elif trimmed(said.speaker) not in names:
            known = f"which has {', '.join(_choices(names))}" if names else "which is empty"
            label = speaker_label(said.speaker, {})
            yield (
                f"{path}.speaker: {trimmed(said.speaker)!r} is not in the cast, {known}; "
                f"the prompt says {label!r}"
            )
    words = sum(len(_WORD.findall(said.line)) for said in spoken(clip))
    seconds = words / WORDS_PER_SECOND
    if seconds > clip.duration:
        yield (
            f"{at}.scene.dialogue: {words} words take about {seconds:.1f} s to say, "
            f"and the clip has {clip.duration} s"
        )


def _not_in_cast(names: Collection[str]) -> str:
    return "is not in the cast" if names else "is not in the cast, which is empty"


def _token(name: str) -> str:
    return f"{{{{{name[:80]}}}}}"


def _choices(names: Collection[str]) -> tuple[str, ...]:
    return tuple(islice(names, MAX_CHOICES))
