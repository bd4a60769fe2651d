"""Shared by tests of films: frames with known motion, and videos made of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIZE = (64, 48)  # width and height, px


def pan(photo: Image.Image, count: int, step: int = 3) -> list[Image.Image]:
    """Frames that move to the right over a photo by `step` px each."""
    wide = photo.convert("RGB").resize((SIZE[0] + step * count, SIZE[1]))
    return [wide.crop((step * t, 0, step * t + SIZE[0], SIZE[1])) for t in range(count)]


def video(
    path: Path,
    frames: Sequence[Image.Image],
    rate: Fraction | int = 12,
    codec: str = "libx264",
    times_s: Sequence[float] | None = None,
    sound: str | None = None,
    rotation: int = 0,
    colours: int | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """A video of these frames, at a rate or at these times; `colours` is a matrix of H.273, `sound` a codec."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options={"crf": "4", "qp": "0"})
        stream.width, stream.height = frames[0].size
        ticks = Fraction(rate) if times_s is None else Fraction(12_000)  # per second
        stream.pix_fmt, stream.time_base = "yuv420p", 1 / ticks
        if colours is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = colours, 1
        if aspect:
            stream.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        heard = out.add_stream(sound, rate=48_000, layout="mono") if sound else None
        for number, frame in enumerate(frames):
            pixels = av.VideoFrame.from_image(frame).reformat(format="yuv420p", dst_colorspace=colours)
            pixels.pts = number if times_s is None else round(times_s[number] * ticks)
            pixels.time_base = 1 / ticks
            out.mux(stream.encode(pixels))
        out.mux(stream.encode(None))
        if heard:
            _add_sound(out, heard, float(len(frames) / rate))
    return path


def _add_sound(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    times = np.arange(int(48_000 * seconds)) / 48_000
    frame = av.AudioFrame.from_ndarray(0.3 * np.sin(2764 * times).astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate, frame.pts = 48_000, 0
    context = stream.codec_context
    resampler = av.AudioResampler(context.format, "mono", 48_000, frame_size=context.frame_size or 1024)
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        out.mux(stream.encode(part))
    out.mux(stream.encode(None))


def decoded(path: Path) -> list[Image.Image]:
    """All frames of a video, as FFmpeg converts them by itself."""
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, of 255."""
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())
