"""A run as an animation of a few seconds: the photo turns into the painting, which is then shown for 1.5 s.

WebP and GIF, because Pillow writes them. The page also writes MP4, by `nst.film`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from PIL import Image

from nst.images.decode import on_white
from nst.images.encode import SRGB_PROFILE
from nst.images.pictures import result_size, scaled

FIRST_MS = 500  # how long the photo is shown: long enough to be recognised
MOTION_MS = 2500  # of all frames between the first and the last together, in equal parts
SLOWEST_MS = 250  # longest time of one of these frames; with longer ones the animation seems to have stopped
LAST_MS = 1500  # how long the painting is shown
TICK_MS = 10  # the unit of time of a GIF
MOST_FRAMES = 2 + MOTION_MS // (2 * TICK_MS)  # two ticks for each frame: browsers show a frame of one tick for ten
PALETTE_FRAMES = 4  # number of frames from whose colours the palette of a GIF is made


@dataclass(frozen=True)
class Format:
    """A file format of animations: its words for people, its suffix and its MIME type."""

    words: str
    suffix: str
    mime: str


ANIMATION_FORMATS: dict[str, Format] = {
    "webp": Format("WebP: small, all colours", ".webp", "image/webp"),
    "gif": Format("GIF: read everywhere, 256 colours", ".gif", "image/gif"),
}


class Timelapse:
    """Collects the pictures of a run in bounded memory: about 20 MiB with the default limits.

    It always keeps the first and the last picture, and every n-th one between them; n doubles when more than
    `most_frames` would be kept. `ValueError` for limits outside their range.
    """

    def __init__(self, most_frames: int = 48, longer_px: int = 384) -> None:
        if not 2 <= most_frames <= MOST_FRAMES:
            raise ValueError(f"most_frames={most_frames} is outside 2 to {MOST_FRAMES}; choose a number inside")
        if longer_px < 1:
            raise ValueError(f"longer_px={longer_px} leaves no picture; choose 1 at least")
        self.most_frames, self.longer_px = most_frames, longer_px
        self.kept: list[Image.Image] = []  # the pictures number 0, stride, 2 * stride ...
        self.last: Image.Image | None = None
        self.stride = 1
        self.seen = 0

    def add(self, picture: Image.Image) -> None:
        """Add the run's next picture, of any size; transparent parts become white. A repeated picture is not added."""
        frame = _fitted(picture, self.longer_px)
        if frame == self.last:  # an encoder would merge the two frames
            return
        if self.seen % self.stride == 0:
            self.kept.append(frame)
        self.last = frame
        self.seen += 1
        if len(self.kept) + (self.kept[-1] is not frame) > self.most_frames:
            self.kept = self.kept[::2]
            self.stride *= 2

    def frames(self) -> list[Image.Image]:
        """RGB pictures from first to last, all with the size of the last one; empty if no picture was added."""
        if self.last is None:
            return []
        chosen = self.kept if self.kept[-1] is self.last else [*self.kept, self.last]
        return [scaled(frame, self.last.size[::-1]) for frame in chosen]

    def strip(self, count: int) -> Image.Image:
        """At most `count` different pictures of the run side by side, the first and the last among them; RGB."""
        frames = self.frames()
        if not frames:
            raise ValueError("0 pictures make no strip; add 1 at least")
        count = min(count, len(frames))
        chosen = [frames[round(index * (len(frames) - 1) / max(1, count - 1))] for index in range(count)]
        width, height = frames[0].size
        strip = Image.new("RGB", (width * count, height))
        for place, frame in enumerate(chosen):
            strip.paste(frame, (place * width, 0))
        return strip

    def encode(self, format: str = "webp") -> bytes:
        """The bytes of an endless animation in one of `ANIMATION_FORMATS`; 4.5 s long with 12 frames or more.

        The encoder may merge equal neighbouring frames without changing the total time. `ValueError` for an unknown
        format, and without a picture.
        """
        if format not in ANIMATION_FORMATS:
            raise ValueError(f"format={format!r} is not known; choose from {', '.join(ANIMATION_FORMATS)}")
        frames = self.frames()
        if not frames:
            raise ValueError("0 pictures make no time-lapse; add 1 at least")
        options: dict[str, Any] = {"quality": 85, "method": 4, "icc_profile": SRGB_PROFILE}
        if format == "gif":
            frames, options = _in_one_palette(frames), {}
        buffer = io.BytesIO()
        times = durations(len(frames))
        frames[0].save(buffer, format, save_all=True, append_images=frames[1:], duration=times, loop=0, **options)
        return buffer.getvalue()


def durations(count: int) -> list[int]:
    """The time that each of `count` frames is shown, ms."""
    if count < 2:
        return [LAST_MS] * count
    between = count - 2
    motion_ms = min(MOTION_MS, SLOWEST_MS * between)
    ends = [round(motion_ms * index / max(1, between) / TICK_MS) * TICK_MS for index in range(between + 1)]
    return [FIRST_MS, *(end - start for start, end in pairwise(ends)), LAST_MS]


def _fitted(picture: Image.Image, longer_px: int) -> Image.Image:
    """A copy in RGB, without metadata, whose longer side has at most `longer_px` pixels."""
    picture = on_white(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
    frame = scaled(picture, result_size(picture, min(longer_px, max(picture.size))))
    frame.info = {}  # Pillow's encoders would copy comments and more from here
    return frame


def _in_one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Give all frames one palette of 256 colours from frames spread over the run: separate palettes would flicker."""
    count = min(len(frames), PALETTE_FRAMES)
    palette = common_palette([frames[round(place * (len(frames) - 1) / max(1, count - 1))] for place in range(count)])
    return [in_palette(frame, palette) for frame in frames]


def common_palette(frames: Sequence[Image.Image]) -> Image.Image:
    """A picture with a palette of 256 colours for frames (RGB) of one size."""
    width, height = frames[0].size
    together = Image.new("RGB", (width, len(frames) * height))
    for place, frame in enumerate(frames):
        together.paste(frame, (0, place * height))
    return together.quantize()


def in_palette(frame: Image.Image, palette: Image.Image) -> Image.Image:
    """A frame (RGB) in the colours of `common_palette`, without dither, which would flicker."""
    return frame.quantize(palette=palette, dither=Image.Dither.NONE)
