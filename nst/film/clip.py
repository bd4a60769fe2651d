"""Reads a clip: a video file (PyAV, which contains FFmpeg), an animation (Pillow), or a folder of pictures.

Only video files need PyAV, which is imported on first use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from nst.images import pictures
from nst.images.decode import on_white
from nst.settings import LIMITS

# FFmpeg's readers that are used. Others follow addresses in the file, such as those of playlists.
CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf"
ANIMATION_SUFFIXES = (".gif", ".webp", ".png", ".apng", ".avif")
FOLDER_RATE = Fraction(25)  # frames per second of a folder of pictures, which does not say
FASTEST = Fraction(120)  # frames per second; a higher rate is a mistake in the file
HIGH_DEFINITION_PX = 720  # height from which players take a video without a colour space for BT.709


@dataclass
class Clip:
    """A clip between two times, at a constant frame rate. `broken` counts frames that could not be decoded."""

    path: Path
    kind: str  # "video", "animation" or "folder"
    width: int  # px, upright, of square pixels
    height: int
    rate: Fraction  # frames per second
    seconds: float  # from `start_s` to the end; about, because some files do not say
    start_s: float = 0.0
    sound: bool = False
    broken: int = field(default=0, compare=False)

    @property
    def count(self) -> int:
        """The number of frames; about, as `seconds`."""
        return max(1, round(self.seconds * self.rate))

    @property
    def shape(self) -> Image.Image:
        """A picture of the clip's size, to compute other sizes from."""
        return Image.new("L", (self.width, self.height))

    def since(self, number: int) -> Clip:
        """The clip from its frame of this index (from 0) on."""
        passed_s = float(number / self.rate)
        return dataclasses.replace(self, start_s=self.start_s + passed_s, seconds=self.seconds - passed_s)

    def frames(self, size: tuple[int, int]) -> Iterator[Image.Image]:
        """The frames as PIL RGB of this (height, width). A broken frame is the one before it, again.

        `ValueError` when no frame can be decoded.
        """
        self.broken = 0
        timed = {"video": _video, "animation": _animation, "folder": _folder}[self.kind](self, size)
        return _at_rate(timed, self.rate, self.seconds)


def open_clip(path: str | Path, start_s: float = 0.0, end_s: float | None = None, rate: Fraction | None = None) -> Clip:
    """Read a clip's facts. `start_s` and `end_s` (seconds) cut it, `rate` changes its frames per second.

    `ValueError` says what is wrong with the file or with the times, and what to do.
    """
    path = Path(path)
    if path.is_dir():
        clip = _opened_folder(path, rate)
    elif path.suffix.lower() in ANIMATION_SUFFIXES:
        clip = _opened_animation(path)
    else:
        clip = _opened_video(path)
    if rate is None and clip.rate > FASTEST:  # as in recordings whose header gives the clock instead
        raise ValueError(
            f"the clip has {float(clip.rate):g} frames per second; the limit is {FASTEST}, choose a rate such as 25"
        )
    end_s = clip.seconds if end_s is None else min(end_s, clip.seconds)
    if not 0 <= start_s < end_s:
        raise ValueError(
            f"from {start_s:g} s to {end_s:g} s there is no frame; the clip has {clip.seconds:.2f} s, "
            "choose times within it"
        )
    if rate is not None and not 0 < rate <= FASTEST:
        raise ValueError(f"fps={float(rate):g} is outside 0 to {FASTEST}; choose a number inside")
    pictures.header(clip.shape, "clip")  # checks its shape
    clip.start_s, clip.seconds, clip.rate = start_s, end_s - start_s, rate or clip.rate
    return clip


def _at_rate(timed: Iterator[tuple[float, Image.Image]], rate: Fraction, seconds: float) -> Iterator[Image.Image]:
    """Frames with their times (s, from 0) -> the frame that shows at each multiple of 1 / rate, before `seconds`.

    Files round times, so a frame counts from a quarter of a frame before its time.
    """
    shown, number = None, 0
    most = max(1, round(seconds * rate))
    for time_s, frame in timed:
        while shown is not None and number < most and number / rate < time_s - 0.25 / rate:
            yield shown
            number += 1
        shown = frame
        if number >= most:
            return
    if shown is None:
        raise ValueError("no frame of the clip can be decoded; convert it to MP4 (H.264) and try again")
    while number < most:
        yield shown
        number += 1


def _opened_folder(path: Path, rate: Fraction | None) -> Clip:
    files = _files(path)
    if not files:
        raise ValueError(f"the folder {path.name!r} has no pictures; name one with the frames in order of their names")
    with pictures.header(files[0], "first frame") as first:
        width, height = first.size
    rate = rate or FOLDER_RATE
    return Clip(path, "folder", width, height, rate, float(len(files) / rate))


def _files(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names."""
    endings = pictures.readable_suffixes()
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in endings and file.is_file())


def _folder(clip: Clip, size: tuple[int, int]) -> Iterator[tuple[float, Image.Image]]:
    for number, file in enumerate(_files(clip.path)):
        time_s = float(number / clip.rate) - clip.start_s
        if time_s + 0.5 / clip.rate < 0:
            continue
        try:
            frame = on_white(pictures.load(file, f"frame {file.name!r}"))
        except ValueError:
            clip.broken += 1
            continue
        yield time_s, pictures.scaled(frame, size)


def _opened_animation(path: Path) -> Clip:
    with pictures.opened(path, "clip") as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames < 2:
            raise ValueError("the clip is a single picture; name a video, an animation or a folder of pictures")
        durations = [_duration_s(picture, number) for number in range(frames)]
    # The rate at which most frames last one frame: the shortest time that is not a slip.
    rate = Fraction(1 / sorted(durations)[len(durations) // 4]).limit_denominator(1000)
    return Clip(path, "animation", *picture.size, min(rate, Fraction(50)), sum(durations))


def _duration_s(picture: Image.Image, number: int) -> float:
    """How long a frame is shown. Browsers show a frame of less than 20 ms for 100 ms."""
    picture.seek(number)
    picture.load()
    duration_ms = picture.info.get("duration") or 0
    return (duration_ms if duration_ms >= 20 else 100) / 1000


def _animation(clip: Clip, size: tuple[int, int]) -> Iterator[tuple[float, Image.Image]]:
    time_s = -clip.start_s
    with pictures.opened(clip.path, "clip") as picture:
        for number in range(picture.n_frames):
            try:
                duration_s = _duration_s(picture, number)
                frame = on_white(pictures.to_rgba(picture, "clip"))
            except (OSError, SyntaxError, ValueError):
                clip.broken += 1
                continue
            if time_s + duration_s > 0:
                yield max(0.0, time_s), pictures.scaled(frame, size)
            time_s += duration_s


def _opened_video(path: Path) -> Clip:
    with opened_video(path) as container:
        if not container.streams.video:
            raise ValueError("the clip has no picture, only sound; choose a video")
        stream = container.streams.video[0]
        _check_pixels(stream.codec_context.width, stream.codec_context.height)
        rate = stream.average_rate or stream.guessed_rate or FOLDER_RATE
        duration = stream.duration and stream.duration * stream.time_base
        seconds = float(duration or (container.duration or 0) / 1_000_000)
        first = next(_decoded(container, stream, None), None)
        if first is None:
            raise ValueError("no frame of the clip can be decoded; convert it to MP4 (H.264) and try again")
        width, height = _upright_size(first, stream)
        if seconds <= 0:  # as of a stream that was recorded live
            seconds = _last_time_s(container, stream)
        return Clip(path, "video", width, height, Fraction(rate), seconds, sound=bool(container.streams.audio))


def _check_pixels(width: int, height: int) -> None:
    if width * height > LIMITS.megapixels * 1e6:
        raise ValueError(
            f"the clip has {width} x {height} px; the limit is {LIMITS.megapixels:g} megapixels, save it smaller"
        )


def opened_video(path: Path) -> Any:
    """The opened file. FFmpeg may read this file alone, as one of `CONTAINERS`."""
    import av  # here: single pictures need no video library

    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    most = {"max_pixels": str(int(LIMITS.megapixels * 1e6))}  # of a frame; decoders allocate no larger one
    try:
        container = av.open(str(path), "r", options=most, container_options=options, metadata_errors="replace")
        for stream in container.streams.video:
            stream.codec_context.options = most
        return container
    except FileNotFoundError:
        raise ValueError(f"the clip {path.name!r} does not exist; check the path") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not understood"
        raise ValueError(
            f"the clip {path.name!r} cannot be opened ({why}); use MP4, WebM, MKV, AVI, GIF, animated WebP "
            "or a folder of pictures"
        ) from None


def _decoded(container: Any, stream: Any, clip: Clip | None) -> Iterator[Any]:
    """The frames of a video that can be decoded; the others are counted in `clip.broken`."""
    import av

    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            if clip:
                clip.broken += 1
            continue
        for frame in frames:
            if not frame.is_corrupt:
                yield frame
            elif clip:
                clip.broken += 1


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream, up to the end or to where the file breaks off."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _last_time_s(container: Any, stream: Any) -> float:
    """The length of a video whose header does not give it, as of one that a browser records."""
    container.seek(0)
    times = [float(packet.pts * packet.time_base) for packet in _packets(container, stream) if packet.pts is not None]
    return (max(times) - min(times) if times else 0) + float(1 / (stream.average_rate or FOLDER_RATE))


def _upright_size(frame: Any, stream: Any) -> tuple[int, int]:
    """(width, height) of a frame as a player shows it: square pixels, rotated as the camera was."""
    aspect = stream.sample_aspect_ratio or 1
    width, height = round(frame.width * max(1, aspect)), round(frame.height / min(1, aspect))
    return (height, width) if frame.rotation % 180 else (width, height)


def _video(clip: Clip, size: tuple[int, int]) -> Iterator[tuple[float, Image.Image]]:
    with opened_video(clip.path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        begin_s = float((stream.start_time or 0) * stream.time_base)
        if clip.start_s > 1:
            container.seek(int((begin_s + clip.start_s - 0.5) * 1_000_000))  # to the key frame before
        waiting = None  # the last frame before `start_s`, which may still show then
        for frame in _decoded(container, stream, clip):
            time_s = (begin_s if frame.time is None else frame.time) - begin_s - clip.start_s
            if time_s <= 0:
                waiting = frame
                continue
            if waiting is not None:
                yield 0.0, _picture(waiting, size)
                waiting = None
            yield time_s, _picture(frame, size)
            if time_s > clip.seconds + 1:
                return
        if waiting is not None:
            yield 0.0, _picture(waiting, size)


def _picture(frame: Any, size: tuple[int, int]) -> Image.Image:
    """A decoded frame as upright PIL RGB of (height, width), in sRGB for a BT.601 or BT.709 video."""
    height, width = size[::-1] if frame.rotation % 180 else size
    unknown = frame.colorspace in (0, 2)  # RGB or unspecified
    source = ("ITU709" if frame.height >= HIGH_DEFINITION_PX else "ITU601") if unknown else None
    rgb = frame.reformat(width, height, "rgb24", src_colorspace=source, interpolation="LANCZOS")
    picture = Image.fromarray(rgb.to_ndarray())
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def read_comment(path: Path) -> str:
    """The comment of a video file, where a film keeps its recipe; empty without one."""
    with opened_video(path) as container:
        return {name.lower(): text for name, text in container.metadata.items()}.get("comment", "")
