"""Delivering finished files to the url that the request gave: the witness of a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import aiohttp

from xai_simulator.jobs import Job, Made
from xai_simulator.orders import VideoOrder

if TYPE_CHECKING:
    from xai_simulator.simulator import Simulator

UPLOAD_SECONDS = 60
MODES = {"witness_late": "late", "witness_never": "never", "witness_broken": "broken"}
WHEN = {"prompt": "before", "broken": "before", "late": "after", "never": "not at all"}


async def deliver(simulator: Simulator, job: Job, moment: Literal["before", "after"]) -> None:
    """PUT each finished file to its url, before or after the job says that it is done."""
    mode = _mode(simulator, job)
    urls = _urls(job)
    if not urls or WHEN[mode] != moment:
        return
    if mode == "late":
        await asyncio.sleep(simulator.options.scaled(simulator.options.witness_delay))
    for url, made in zip(urls, job.results, strict=False):
        job.uploads.append(await _put(simulator, url, made, broken=mode == "broken"))


def _mode(simulator: Simulator, job: Job) -> str:
    marked = [MODES[row.name] for row in job.order.markers.at("upload")]
    return marked[0] if marked else simulator.options.witness


def _urls(job: Job) -> tuple[str, ...]:
    if isinstance(job.order, VideoOrder):
        return (job.order.upload_url,) if job.order.upload_url else ()
    return job.image.upload_urls


async def _put(simulator: Simulator, url: str, made: Made, *, broken: bool) -> str:
    content = await asyncio.to_thread(made.path.read_bytes)
    body = content[: len(content) // 2] if broken else content
    timeout = aiohttp.ClientTimeout(total=UPLOAD_SECONDS)
    headers = {"Content-Type": made.content_type}
    try:
        async with simulator.session.put(
            url, data=body, headers=headers, timeout=timeout
        ) as answer:
            return f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
        return type(problem).__name__
