"""Opens an uploaded clip: its file and its header are within the page's limits before a frame is decoded."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

from nst.film.clip import ANIMATION_SUFFIXES, Clip, open_clip, opened_video
from nst.ui.server.limits import page_limits

OWN_RATE = "as the clip"
# Frames of a file, painted or not: to find a part of a clip, frames before it are decoded.
MOST_IN_FILE = 36_000  # ten minutes at 60 per second


def clip_within_limits(path: str, begin_s: float, end_s: float | None, rate: str) -> Clip:
    """The part of a clip between two times, s, at a rate: `OWN_RATE` or frames per second.

    `ValueError` when it is too long or too large, or no video.
    """
    _check_file(Path(path))
    limits = page_limits()
    clip = open_clip(path, begin_s, end_s, None if rate == OWN_RATE else Fraction(int(rate)))
    _check_size(clip.width, clip.height)  # again: as a player shows it
    if clip.seconds > limits.clip_s:
        raise ValueError(
            f"the clip has {clip.seconds:.1f} s; this page paints {limits.clip_s} s, choose a part with From and To"
        )
    if clip.count > limits.clip_frames:
        raise ValueError(
            f"the clip has {clip.count} frames; this page paints {limits.clip_frames}, choose fewer frames per second "
            "or a part with From and To"
        )
    return clip


def _check_file(path: Path) -> None:
    """`ValueError` unless the file is a video whose header is within the limits. No frame is decoded."""
    if not path.is_file():
        raise ValueError("the clip is gone, because files are kept for a limited time; upload it again")
    if path.suffix.lower() in ANIMATION_SUFFIXES:
        raise ValueError("this page paints videos, such as MP4 or WebM; the command nst film also takes animations")
    with opened_video(path) as container:
        if not container.streams.video:
            raise ValueError("the clip has no picture, only sound; choose a video")
        stream = container.streams.video[0]
        _check_size(stream.codec_context.width, stream.codec_context.height)
        count = 0
        with contextlib.suppress(ValueError, OSError):  # the file breaks off here: what is before it can be painted
            for count, _ in enumerate(container.demux(stream)):
                if count > MOST_IN_FILE:
                    break
        if count > MOST_IN_FILE:
            raise ValueError(f"the clip has over {MOST_IN_FILE} frames; cut it, and upload the part to be painted")


def _check_size(width: int, height: int) -> None:
    most = page_limits().clip_megapixels
    if width * height > most * 1e6:
        raise ValueError(
            f"the clip has {width} x {height} px; this page takes clips of {most} megapixels, save it smaller"
        )
