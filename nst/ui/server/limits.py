"""What a page with a public address allows: the one home of its limits, each with an environment variable.

The defaults suit two cores and 16 GB. Limits that hold for every run, also one from Python, are in `nst.settings`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nst import Settings
from nst.settings import LIMITS

SWITCH = {"on": True, "off": False}


def _limit(default: int, variable: str, low: int, high: int) -> Any:
    return field(default=default, metadata={"variable": variable, "range": (low, high)})


def _switch(default: bool, variable: str) -> Any:
    return field(default=default, metadata={"variable": variable})


@dataclass(frozen=True)
class PageLimits:
    """What holds for every visitor."""

    size: int = _limit(2048, "NST_MAX_SIZE", 256, LIMITS.size)  # px, longer side of the result
    run_s: int = _limit(600, "NST_MAX_SECONDS", 1, 86_400)  # s, then a run ends with the picture so far
    queue: int = _limit(20, "NST_QUEUE", 1, 1000)  # runs that wait for the device
    clip_s: int = _limit(20, "NST_CLIP_SECONDS", 0, 3600)  # s of a clip that are painted; 0: no tab for clips
    clip_frames: int = _limit(500, "NST_CLIP_FRAMES", 1, 100_000)  # of a clip that are painted
    clip_px: int = _limit(512, "NST_CLIP_SIZE", 128, 2048)  # px, longer side of a film
    clip_megapixels: int = _limit(9, "NST_CLIP_MEGAPIXELS", 1, 100)  # of a frame that is uploaded: 4K has 8.3
    starts: int = _limit(12, "NST_STARTS_PER_MINUTE", 1, 100_000)  # runs that one session starts per minute
    live: int = _limit(60, "NST_LIVE_PER_MINUTE", 0, 100_000)  # runs of Live that one session starts; 0: no Live
    address_factor: int = _limit(
        4, "NST_SESSIONS_PER_ADDRESS", 1, 1000
    )  # times a session's: an office shares an address
    upload_mb: int = _limit(30, "NST_UPLOAD_MB", 1, 1000)  # MB, one file
    uploads: int = _limit(60, "NST_UPLOADS_PER_MINUTE", 1, 100_000)  # files of a visitor per minute
    uploads_mb: int = _limit(100, "NST_UPLOAD_MB_PER_MINUTE", 1, 100_000)  # MB of a visitor per minute
    work: int = _limit(300, "NST_WORK_PER_MINUTE", 1, 100_000)  # small work that one session asks for per minute
    disk_mb: int = _limit(2000, "NST_DISK_MB", 10, 10_000_000)  # MB, all files of all visitors
    fetch: bool = _switch(True, "NST_FETCH")  # whether programs may name pictures by their address
    # MB, pictures of all visitors in memory. Of 16 GB an idle page takes 1, a run up to half of what is free, and the
    # caches 1: 2000 MB are safe beside them, and hold some 400 default pictures or four of 40 megapixels.
    keep_mb: int = _limit(2000, "NST_KEEP_MB", 64, 1_000_000)
    keep_s: int = _limit(3600, "NST_KEEP_SECONDS", 60, 86_400)  # s, a visitor's pictures on disk and in memory

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> PageLimits:
        """The defaults with the values of the environment; a bad value is a `ValueError` that names its variable."""
        return cls(**{item.name: _read(item, environment) for item in dataclasses.fields(cls)})


def _read(item: dataclasses.Field, environment: Mapping[str, str]) -> int | bool:
    variable = item.metadata["variable"]
    if variable not in environment:
        return item.default
    written = environment[variable]
    if "range" not in item.metadata:
        if written not in SWITCH:
            raise ValueError(f"{variable}={written!r:.40} is none of {', '.join(SWITCH)}; give one, or unset it")
        return SWITCH[written]
    low, high = item.metadata["range"]
    if not (written.isascii() and written.isdecimal() and len(written) < 10 and low <= int(written) <= high):
        raise ValueError(f"{variable}={written!r:.40} is no whole number from {low} to {high}; give one, or unset it")
    return int(written)


@functools.cache
def page_limits() -> PageLimits:
    """The limits of this process. `nst.ui.build` clears the cache, so that a page has those of its environment."""
    return PageLimits.of(os.environ)


def within_limits(settings: Settings) -> Settings:
    """The settings of a visitor's run, with the page's time limit; `ValueError` when the size is over the page's."""
    limits = page_limits()
    if settings.size > limits.size:
        raise ValueError(f"size={settings.size} px is over this page's limit of {limits.size} px; choose a smaller one")
    budget_s = min(settings.max_seconds or limits.run_s, limits.run_s)
    return dataclasses.replace(settings, max_seconds=budget_s)
