"""The command `nst film CLIP STYLE -o OUT.mp4`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from nst import files, recipe
from nst.batch.options import Parser, add_options, settings_of
from nst.batch.workers import cluster, local
from nst.console import PaceBar, Stopped, stoppable
from nst.events import Degraded, Step
from nst.film import writing
from nst.film.clip import open_clip, read_comment
from nst.film.film import GAMMA, Film
from nst.film.painting import Painted
from nst.film.segments import paint_on
from nst.objective.targets import kept_styles
from nst.settings import Settings

PROGRAM = "nst film"


def run(arguments: Sequence[str]) -> int:
    """Paint a clip. Exit code: 0 when all of it was painted, 128 + the signal's number when it was stopped before."""
    options = _parser().parse_args(arguments)
    even = writing.is_even(options.output)
    _check_files(options)
    clip = open_clip(options.clip, options.begin_s, options.end_s, options.fps)
    folder = options.output.with_name(options.output.name + ".frames")
    given = {"gamma": options.gamma, "masks": options.masks, "style_masks": options.style_masks, "even": even}
    film = Film.of(clip, options.styles, _settings(options), folder, **given)
    began_s, code = time.monotonic(), 0
    try:
        with stoppable():
            _read(film)
            _paint(film, options)
    except Stopped as stopped:
        code = 128 + stopped.number
    done = film.done() if film.count else 0
    if code and not done:
        print("stopped, nothing was written", file=sys.stderr)
        return code
    try:
        film.write(options.output)
        if not code:
            film.remove()
    except OSError as error:
        where = options.output
        raise ValueError(f"{where} cannot be written ({error.strerror or error}); choose another place") from error
    if code:
        print(f"stopped; the film so far was written, the same command goes on from frame {done + 1}", file=sys.stderr)
    if film.broken:
        print(f"{PROGRAM}: {film.broken} frames were broken; the frame before each is shown instead", file=sys.stderr)
    height, width = film.size
    print(
        f"{options.output}: {width} x {height} px, {done} of {film.count} frames at {float(clip.rate):g} per second in "
        f"{time.monotonic() - began_s:.1f} s"
    )
    return code


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Repaint a clip in the style of a picture, without flicker. The same command again goes on where "
        "it was stopped.",
    )
    parser.add_argument("clip", type=Path, help="a video, a GIF, an animated WebP, or a folder of pictures")
    parser.add_argument("styles", nargs="+", metavar="style", help="one to four pictures whose style is painted")
    known = ", ".join(form.suffix for form in writing.FORMATS.values() if form.suffix)
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help=f"the film to write ({known}), or a name without an ending for a folder of pictures",
    )  # fmt: skip
    parser.add_argument(
        "--gamma", type=float, default=GAMMA, metavar="X",
        help=f"Weight of the temporal cost: more holds the paint still, less follows the style. Default: {GAMMA:g}.",
    )  # fmt: skip
    time_of = {"type": float, "metavar": "SECONDS"}
    parser.add_argument("--from", dest="begin_s", default=0.0, help="Where the film begins in the clip.", **time_of)
    parser.add_argument("--to", dest="end_s", help="Where the film ends in the clip.", **time_of)
    parser.add_argument("--fps", type=_rate, metavar="N", help="Frames per second, instead of the clip's.")
    parser.add_argument("--workers", type=int, metavar="N", help="How many shots are painted at once. Default: 1.")
    parser.add_argument("--ray", metavar="auto|ADDRESS", help="Paint the shots on this Ray cluster.")
    add_options(parser)
    return parser


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no number of frames per second") from None


def _settings(options: argparse.Namespace) -> Settings:
    """The settings of the options; --recipe may name a film of this program."""
    if options.recipe and Path(options.recipe).suffix.lower() in writing.suffixes() - {".webp", ".gif"}:
        base, _ = recipe.read_film(read_comment(Path(options.recipe)))
        return settings_of(options, base)
    return settings_of(options)


def _check_files(options: argparse.Namespace) -> None:
    """Refuse before the run what could not be written after it, or would overwrite something."""
    if options.start:
        raise ValueError("a film has no start picture; leave --start out")
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"workers={options.workers} is under the limit of 1; leave it out to paint one shot at a time")
    read = [(options.clip, "the clip"), (options.recipe, "the recipe")]
    read += [(style, "a style picture") for style in options.styles] + [(mask, "a mask") for mask in options.masks]
    read += [(mask, "a style mask") for mask in options.style_masks]
    files.check_no_overwriting([(options.output, "the film")], read)
    form = writing.format_of(options.output)
    if options.output.is_dir() and (form != writing.FOLDER or any(options.output.iterdir())):
        raise ValueError(f"the film {str(options.output)!r} is a folder with other files; name another one")
    if not options.output.parent.is_dir():
        raise ValueError(f"the film: the folder {str(options.output.parent)!r} does not exist; make it first")


def _read(film: Film) -> None:
    with PaceBar(total=film.clip.count, unit="frame", leave=False, desc="reading") as bar:
        for _ in film.prepare():
            bar.update()
    print(f"{film.count} frames, {len(film.shots)} shots, {film.done()} painted before", file=sys.stderr)


def _paint(film: Film, options: argparse.Namespace) -> None:
    painted = sum(map(film.is_painted, range(film.count)))
    with (
        PaceBar(total=film.count, initial=painted, unit="frame", smoothing=0) as bar,
        closing(_events(film, options)) as events,
    ):
        for event in events:
            if isinstance(event, Degraded):
                bar.write(event.reason, file=sys.stderr)
            elif isinstance(event, Painted):
                bar.update()


def _events(film: Film, options: argparse.Namespace) -> Iterator[Step | Degraded | Painted]:
    if options.ray:
        return paint_on(film, cluster(options.ray, options.workers))
    if (options.workers or 1) > 1:
        return paint_on(film, local(film.settings.device, options.workers)[: len(film.shots)])
    return film.paint(kept_styles())
