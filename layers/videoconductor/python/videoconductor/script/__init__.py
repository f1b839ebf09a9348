"""Scripted requests: a film's cast, scenes and clips, turned into one clip request each."""

from videoconductor.script.clips import compile_film
from videoconductor.script.films import ClipPlan, FilmPlan, film_plan, plan_json
from videoconductor.script.identity import fingerprint
from videoconductor.script.reading import from_json
from videoconductor.script.schema import FilmRequest, json_schema

__all__ = [
    "ClipPlan",
    "FilmPlan",
    "FilmRequest",
    "compile_film",
    "film_plan",
    "fingerprint",
    "from_json",
    "json_schema",
    "plan_json",
]
