"""Scripted requests: a film's cast, scenes and clips, turned into one clip request each."""

from videoconductor.identity import fingerprint
from videoconductor.script.clips import Take, compile_film
from videoconductor.script.films import ClipPlan, FilmPlan, film_plan, plan_json, plan_reading
from videoconductor.script.reading import Reading, from_json, reading, refusal
from videoconductor.script.schema import FilmRequest, json_schema

__all__ = [
    "ClipPlan",
    "FilmPlan",
    "FilmRequest",
    "Reading",
    "Take",
    "compile_film",
    "film_plan",
    "fingerprint",
    "from_json",
    "json_schema",
    "plan_json",
    "plan_reading",
    "reading",
    "refusal",
]
