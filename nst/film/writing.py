"""Writes a film: H.264 with the clip's sound in MP4, MOV or MKV, VP9 in WebM, an animation, or a folder of pictures."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from nst.film.clip import Clip, opened_video
from nst.images import encode, timelapse

TICKS = 90_000  # per second, the usual clock of video files
FOLDER = "folder"  # the key in `FORMATS` of an output without a suffix


@dataclass(frozen=True)
class Format:
    """A file format of films: words for people, suffix, and for videos the codecs."""

    words: str
    suffix: str
    codec: str = ""  # of the picture; none for what Pillow writes
    options: Mapping[str, str] | None = None  # of the codec
    sound: str = ""  # the codec of sound that cannot be copied
    copied: tuple[str, ...] = ()  # the codecs of sound that the container takes as they are


_H264 = {"crf": "17", "preset": "medium"}
_MP4_SOUND = ("aac", "mp3", "ac3", "eac3", "alac")
FORMATS: dict[str, Format] = {
    "mp4": Format("MP4: plays everywhere", ".mp4", "libx264", _H264, "aac", _MP4_SOUND),
    "mov": Format("QuickTime", ".mov", "libx264", _H264, "aac", _MP4_SOUND),
    "mkv": Format("Matroska", ".mkv", "libx264", _H264, "aac", (*_MP4_SOUND, "opus", "vorbis", "flac")),
    "webm": Format("WebM: free of patents", ".webm", "libvpx-vp9",
                   {"crf": "24", "b": "0", "row-mt": "1", "cpu-used": "4"}, "libopus", ("opus", "vorbis")),
    "gif": Format("GIF: 256 colours, no sound", ".gif"),
    "webp": Format("animated WebP, no sound", ".webp"),
    FOLDER: Format("a folder of PNG pictures", ""),
}  # fmt: skip


def format_of(path: str | Path) -> str:
    """The key in `FORMATS` for a file's name. `ValueError` for a suffix that is not known."""
    suffix = Path(path).suffix.lower()
    for key, form in FORMATS.items():
        if suffix == form.suffix:
            return key
    known = " ".join(sorted(suffixes()))
    raise ValueError(f"a film cannot be written as {suffix}; use {known}, or a name without an ending for a folder")


def suffixes() -> set[str]:
    """Endings of the files that are written, in lower case with their dot."""
    return {form.suffix for form in FORMATS.values() if form.suffix}


def is_even(path: str | Path) -> bool:
    """Whether the sides of the film must be even numbers of pixels, as H.264 and VP9 with 4:2:0 colours want."""
    return bool(FORMATS[format_of(path)].codec)


def write(
    path: str | Path, frames: Iterable[Image.Image], clip: Clip, text: str = "", stopped_s: float | None = None
) -> None:
    """Write frames (PIL RGB of one size) as a film with the clip's rate and sound. A file is replaced when complete.

    `text` is kept as the file's comment. `stopped_s` ends the sound where the frames end. A folder takes PNG files that
    are numbered from 1.
    """
    path, form = Path(path), format_of(path)
    if form == FOLDER:
        path.mkdir(exist_ok=True)
        for number, frame in enumerate(frames, start=1):
            encode.save(frame, path / f"{number:06d}.png", text={"Comment": text} if text and number == 1 else None)
        return
    part = path.with_name(f".film-{secrets.token_hex(8)}.part")  # on the same disk: a move between disks is a copy
    try:
        writer: Callable[..., None] = _write_video if FORMATS[form].codec else _write_animation
        writer(part, form, frames, clip, text, clip.seconds if stopped_s is None else stopped_s)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_animation(
    part: Path, form: str, frames: Iterable[Image.Image], clip: Clip, text: str, _end_s: float
) -> None:
    frames = iter(frames)
    durations = _durations_ms(clip.rate)
    if form == "gif":  # one palette from the first frames: with one for each frame, colours flicker
        first = list(islice(frames, timelapse.PALETTE_FRAMES))
        palette = timelapse.common_palette(first)
        frames = (timelapse.in_palette(frame, palette) for frame in (*first, *frames))
    rest = list(frames)
    options: dict[str, Any] = {"comment": text.encode()} if form == "gif" else {"quality": 85, "exif": _exif(text)}
    shown = [next(durations) for _ in rest]
    rest[0].save(part, form, save_all=True, append_images=rest[1:], duration=shown, loop=0, **options)


def _exif(text: str) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = text
    return exif


def _durations_ms(rate: Fraction) -> Iterator[int]:
    """Whole hundredths of a second, as GIF has them, that keep to the rate over time."""
    number = 0
    while True:
        yield 10 * (round(100 * (number + 1) / rate) - round(100 * number / rate))
        number += 1


def _write_video(part: Path, form: str, frames: Iterable[Image.Image], clip: Clip, text: str, end_s: float) -> None:
    import av

    options = {"movflags": "+faststart+use_metadata_tags"} if form in ("mp4", "mov") else {}
    container_format = {"mkv": "matroska"}.get(form, form)
    with av.open(str(part), "w", format=container_format, options=options) as out:
        out.metadata["comment"] = text
        sound = _Sound.of(out, clip, FORMATS[form], end_s)
        stream = None
        for number, frame in enumerate(frames):
            stream = stream or _video_stream(out, frame.size, clip.rate, FORMATS[form])
            sound.mux_until(float(number / clip.rate))
            pixels = av.VideoFrame.from_image(frame)
            pixels.pts, pixels.time_base = round(number / clip.rate * TICKS), Fraction(1, TICKS)
            out.mux(stream.encode(pixels.reformat(format="yuv420p", dst_colorspace="ITU709")))
        out.mux(stream.encode(None))
        sound.mux_until(float("inf"))


def _video_stream(out: Any, size: tuple[int, int], rate: Fraction, form: Format) -> Any:
    stream = out.add_stream(form.codec, rate=rate, options=dict(form.options or {}))
    stream.width, stream.height = size
    stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, TICKS)
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709 (H.273), which players take for sRGB
    context.color_range = 1  # 16 to 235
    return stream


class _Sound:
    """The clip's sound, copied to a film, or encoded anew where the film's container cannot take it."""

    def __init__(self, packets: Iterator[tuple[float, Any]], out: Any) -> None:
        self.packets, self.out = packets, out
        self.waiting: tuple[float, Any] | None = next(packets, None)

    @classmethod
    def of(cls, out: Any, clip: Clip, form: Format, end_s: float) -> _Sound:
        if not clip.sound:
            return cls(iter(()), out)
        source = opened_video(clip.path)
        heard = source.streams.audio[0]
        if heard.codec_context.codec.canonical_name in form.copied:
            return cls(_copied(source, heard, out.add_stream_from_template(heard), clip, end_s), out)
        stream = out.add_stream(
            form.sound, rate=48_000, layout="stereo" if heard.codec_context.channels > 1 else "mono"
        )
        return cls(_encoded(source, heard, stream, clip, end_s), out)

    def mux_until(self, time_s: float) -> None:
        """Write what is heard up to a time of the film, so that sound and pictures alternate in the file."""
        while self.waiting and self.waiting[0] <= time_s:
            self.out.mux(self.waiting[1])
            self.waiting = next(self.packets, None)


def _copied(source: Any, heard: Any, stream: Any, clip: Clip, end_s: float) -> Iterator[tuple[float, Any]]:
    """(time in the film, packet) for each packet of sound within the film."""
    with source:
        for packet in _packets(source, heard, clip):
            time_s = float(packet.pts * packet.time_base) - _begin_s(source) - clip.start_s
            if time_s >= end_s:
                return
            if time_s < 0 and clip.start_s:  # at the clip's own begin these warm up the decoder
                continue
            packet.stream = stream
            packet.pts = packet.dts = round(time_s / packet.time_base)
            yield time_s, packet


def _encoded(source: Any, heard: Any, stream: Any, clip: Clip, end_s: float) -> Iterator[tuple[float, Any]]:
    """The same for sound that is decoded and encoded."""
    import av

    context = stream.codec_context
    resampler = av.AudioResampler(context.format or "fltp", context.layout, context.sample_rate)
    written = 0  # samples
    with source:
        for packet in _packets(source, heard, clip):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue  # silence in place of what is broken
            for frame in frames:
                time_s = float(frame.time or 0) - _begin_s(source) - clip.start_s
                if time_s < 0:
                    continue
                if time_s >= end_s:
                    break
                for part in resampler.resample(frame):
                    part.pts, part.time_base = written, Fraction(1, context.sample_rate)
                    written += part.samples
                    yield time_s, stream.encode(part)
        yield written / context.sample_rate, stream.encode(None)


def _packets(source: Any, heard: Any, clip: Clip) -> Iterator[Any]:
    import av

    if clip.start_s > 1:
        source.seek(int((_begin_s(source) + clip.start_s - 0.5) * 1_000_000))
    packets = source.demux(heard)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            continue
        if packet is None:
            return
        if packet.pts is not None:
            yield packet


def _begin_s(source: Any) -> float:
    """The time of the first picture, from which a clip's times count."""
    video = source.streams.video[0]
    return float((video.start_time or 0) * video.time_base)
