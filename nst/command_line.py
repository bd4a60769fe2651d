"""The command line: `nst PHOTO STYLE -o OUT.png` for one picture, `nst grid` for a sheet, `nst batch` for many."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nst import Degraded, Finished, Result, Settings, Started, Step, files, grid, malloc, recipe, stylise_events
from nst.batch.driver import STATUSES, NoWorkersError, Report, run
from nst.batch.manifest import NAME, Manifest
from nst.batch.options import Parser, add_options, settings_of
from nst.batch.work_list import check_files, named, read
from nst.batch.workers import Worker, cluster, local
from nst.console import PaceBar, Stopped, lasting_streams, stoppable
from nst.estimate import seconds
from nst.events import curve_csv, early_end
from nst.features.weights import WeightsError
from nst.film import command as film
from nst.images import encode, pictures
from nst.images.decode import on_white
from nst.images.print_size import PrintSize
from nst.job import levels_of
from nst.memory import lacks_memory
from nst.settings import read_value

PROGRAM = "nst"
OUT_OF_MEMORY = "out of memory, nothing was written; choose a smaller size or smaller pictures, or end other programs"


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 when all was painted, 1 when some of a batch failed or memory ran out, 2 for bad input, 130 when
    interrupted.
    """
    malloc.prepare()
    with lasting_streams():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        commands = {"batch": _batch, "film": film.run, "grid": _grid}
        return (
            commands[arguments[0]](arguments[1:]) if arguments[:1] and arguments[0] in commands else _single(arguments)
        )
    except (ValueError, WeightsError, NoWorkersError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        print(f"{PROGRAM}: {OUT_OF_MEMORY}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted, nothing was written", file=sys.stderr)
        return 130


def _single(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog=PROGRAM,
        description="Repaint a photo in the style of another picture.",
        epilog=f"A PNG keeps the settings, for --recipe. The page: {PROGRAM} page --help. A grid of "
        f"settings: {PROGRAM} grid --help. Many photos: {PROGRAM} batch --help. A clip: {PROGRAM} film --help.",
    )
    _add_files(parser)
    parser.add_argument("--costs", type=Path, metavar="FILE.csv", help="Write the loss curve, one row per step.")
    parser.add_argument(
        "--print", dest="paper", metavar="30x20cm@300",
        help="Instead of --size: the paper in cm or in, and dots per inch. The picture is as large as fits on it.",
    )  # fmt: skip
    add_options(parser)
    options = parser.parse_args(arguments)
    _check_files(options)
    paper = _on_paper(options)
    settings = settings_of(options)
    _tell_of_early_end(options)
    result, text = _paint(options, settings)
    with _writing(options.output):
        encode.save(result.painting.pixels(), options.output, options.bits or 8, text, dpi=paper and paper.dpi)
    if options.costs and result.history:
        with _writing(options.costs):
            options.costs.write_bytes(curve_csv(result.history).encode())
    costs = result.history[-1] if result.history else None
    figures = f", J = {costs.total:.3g} (content {costs.content:.3g}, style {costs.style:.3g})" if costs else ""
    if early := early_end(result.stopped, len(result.history)):
        print(f"{PROGRAM}: {early}; the picture so far was written", file=sys.stderr)
        figures += f", {early}"
    print(f"{options.output}: {result.image.width} x {result.image.height} px in {result.seconds:.1f} s{figures}")
    return 0


def _tell_of_early_end(options: argparse.Namespace) -> None:
    """Say so if the recipe is of a run that stopped early: its settings alone do not give the same picture again."""
    known = recipe.read(Path(options.recipe)) if options.recipe else None
    if known and (early := early_end(known.stopped, known.steps)):
        print(f"{PROGRAM}: the run of the recipe {early}; now all steps are taken", file=sys.stderr)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", help="the picture whose content is kept")
    parser.add_argument("styles", nargs="+", metavar="style", help="one to four pictures whose style is painted")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, such as out.png")


def _on_paper(options: argparse.Namespace) -> PrintSize | None:
    """The paper of --print, which decides the size of the picture."""
    if not options.paper:
        return None
    paper = PrintSize.read(options.paper)
    if options.size or options.original_size:
        raise ValueError("--print and --size both say how large the picture is; leave one of them out")
    if not encode.FORMATS[encode.format_of(options.output)].keeps_dpi:
        raise ValueError(f"a {options.output.suffix} file keeps no resolution; name a .png, .tif or .jpg file")
    with pictures.header(options.photo, "photo") as photo:
        options.size = read_value("size", paper.longer_px(photo.size))
    return paper


def _grid(arguments: Sequence[str]) -> int:
    """Paint one small picture for each value of one or two settings, as one sheet."""
    parser = Parser(
        prog=f"{PROGRAM} grid",
        description="Show what the values of one or two settings do, as one sheet of small pictures. A setting is an "
        "option below without its dashes, or a layer for its lambda.",
    )
    _add_files(parser)
    axis = {"metavar": "NAME=X,Y,Z", "type": _axis}
    parser.add_argument("--across", required=True, help="What varies from left to right, such as beta=1,10,40.", **axis)
    parser.add_argument("--down", help="What varies from top to bottom, such as relu3_1=0,0.2,1.", **axis)
    add_options(parser)
    parser.set_defaults(size=grid.SIZE_PX, quality="draft", costs=None)
    options = parser.parse_args(arguments)
    _check_files(options)
    if encode.format_of(options.output, options.bits or 8) != "png":
        raise ValueError(
            f"a sheet holds a recipe, which {options.output.name!r} cannot keep; name a .png file of 8 bits"
        )
    axes, more = (options.across, options.down), _further_pictures(options)
    planned = grid.Grid.of(options.photo, options.styles, settings_of(options), *axes, **more)
    began_s = time.monotonic()
    results = _paint_grid(planned)
    prints = recipe.fingerprints(options.photo, options.styles, **more)
    with _writing(options.output):
        text = grid.sheet_text(planned, next(iter(results.values())), prints)
        encode.save(
            grid.sheet(planned, {place: on_white(of.image) for place, of in results.items()}), options.output, text=text
        )
    print(f"{options.output}: {len(results)} pictures in {time.monotonic() - began_s:.1f} s")
    return 0


def _further_pictures(options: argparse.Namespace) -> dict[str, Any]:
    """The pictures of a run besides photo and styles, as keywords of `stylise` and of `recipe.fingerprints`."""
    return {"masks": options.masks, "start": options.start, "style_masks": options.style_masks}


def _axis(text: str) -> grid.Axis:
    try:
        return grid.Axis.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _paint_grid(planned: grid.Grid) -> dict[tuple[int, int], Result]:
    """The finished pictures by row and column."""
    cells = planned.cells()
    expected_s = sum(seconds(levels_of(planned.photo, cell.settings), cell.settings) for cell in cells)
    print(f"{len(cells)} pictures, about {expected_s:.0f} s", file=sys.stderr)
    results: dict[tuple[int, int], Result] = {}
    with tqdm(total=len(cells), unit="picture", leave=False) as bar:
        for painted in planned.paint():
            if painted.result:
                results[painted.cell.row, painted.cell.column] = painted.result
                bar.update()
    return results


def _check_files(options: argparse.Namespace) -> None:
    """Refuse before the run what could not be written after it, or would overwrite something."""
    encode.format_of(options.output, options.bits or 8)
    written = [(options.output, "the output"), (options.costs, "the costs")]
    read = [(options.photo, "the photo"), (options.start, "the start picture"), (options.recipe, "the recipe")]
    read += [(style, "a style picture") for style in options.styles] + [(mask, "a mask") for mask in options.masks]
    read += [(mask, "a style mask") for mask in options.style_masks]
    files.check_no_overwriting(written, read)
    for path, name in written:
        if path and path.is_dir():
            raise ValueError(f"{name} {str(path)!r} is a folder; name a file in it")
        if path and not path.parent.is_dir():
            raise ValueError(f"{name}: the folder {str(path.parent)!r} does not exist; make it first")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path} cannot be written ({error.strerror or error}); choose another place") from error


def _paint(options: argparse.Namespace, settings: Settings) -> tuple[Result, Mapping[str, str] | None]:
    """The result, and the texts with its recipe if the output's format keeps texts."""
    given, more = (options.photo, options.styles), _further_pictures(options)
    events = stylise_events(*given, settings, **more)
    inputs = None
    if encode.FORMATS[encode.format_of(options.output, options.bits or 8)].keeps_text:
        inputs = recipe.fingerprints(*given, **more)  # now: the files may change during a run
    with tqdm(unit="step", leave=False) as bar:
        for event in events:
            match event:
                case Started(steps=steps, compute=compute):
                    bar.total = steps
                    bar.write(str(compute), file=sys.stderr)
                case Step(costs=costs):
                    bar.set_postfix(px=max(costs.size), J=f"{costs.total:.3g}", refresh=False)
                    bar.update()
                case Degraded(reason=reason):
                    bar.write(reason, file=sys.stderr)
                case Finished(result=result):
                    return result, recipe.text(recipe.Recipe.of(result, inputs)) if inputs else None
    raise AssertionError("a run ends with Finished")


def _batch_parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} batch",
        description="Repaint many photos. The same command again goes on where it was stopped.",
    )
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTOS",
        help="photos, folders of them, patterns such as 'in/**/*.jpg', or CSV files: a picture per row, with columns "
        "content, style and any option below by its name; several values in a cell are separated by |",
    )  # fmt: skip
    parser.add_argument(
        "--style", dest="styles", action="append", default=[], metavar="PICTURE",
        help="A picture whose style is painted; up to four. Of a folder or a pattern each picture is, one at a time.",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the pictures go")
    endings = [suffix.removeprefix(".") for form in encode.FORMATS.values() for suffix in form.suffixes]
    parser.add_argument(
        "--format", choices=list(dict.fromkeys(endings)), default="png", help="The pictures' ending. Default: png."
    )
    parser.add_argument("--costs", action="store_true", help="Write each picture's loss curve beside it, as CSV.")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="How many paint at once. Default: one per GPU, or per two cores."
    )
    parser.add_argument("--ray", metavar="auto|ADDRESS", help="Paint on this Ray cluster instead of this machine.")
    add_options(parser)
    return parser


def _batch(arguments: Sequence[str]) -> int:
    options = _batch_parser().parse_args(arguments)
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"workers={options.workers} is under the limit of 1; leave it out to have one per device")
    orders = named(read(options), "." + options.format, options.output)
    _tell_of_early_end(options)
    check_files(orders, options)
    crew = _crew(options, settings_of(options).device)[: len(orders)]
    started = time.monotonic()
    counts = dict.fromkeys(STATUSES, 0)
    code = early = 0
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        with (
            closing(Manifest(options.output)) as manifest,
            stoppable(),
            _Bar(total=len(orders), smoothing=0) as bar,
            closing(run(orders, crew, manifest, options.costs)) as reports,
        ):
            for report in reports:
                counts[report.status] += 1
                early += report.early_end is not None
                bar.settle(report)
    except OSError as error:
        raise ValueError(f"{options.output} cannot be written ({error.strerror or error}); choose another") from error
    except Stopped as stopped:
        print("stopped; the same command goes on from here", file=sys.stderr)
        code = 128 + stopped.number
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    summary += f" ({early} stopped early)" if early else ""
    print(f"{options.output}: {summary} of {len(orders)} in {time.monotonic() - started:.1f} s; see {NAME}")
    return code or int(counts["failed"] > 0)


def _crew(options: argparse.Namespace, device: str) -> list[Worker]:
    if not options.ray:
        return local(device, options.workers)
    return cluster(options.ray, options.workers)


class _Bar(PaceBar):
    """Counts pictures; those that needed no painting are left out of the pace."""

    def settle(self, report: Report) -> None:
        if report.status == "kept":
            self.initial += 1
        if told := report.error or report.early_end:
            self.write(f"{report.photo}: {told}", file=sys.stderr)
        self.update()
