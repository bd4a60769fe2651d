"""The pictures that a batch paints: photos from folders, patterns and CSV files, with their styles and output files."""

from __future__ import annotations

import argparse
import csv
import glob
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, product
from pathlib import Path

from nst import files
from nst.batch.manifest import NAME
from nst.batch.options import Parser, add_options, overlaid, settings_of
from nst.images import encode, pictures
from nst.setting_kinds import Switch
from nst.settings import KINDS, Settings, read_value

# Columns of a CSV: those of paths, which start from its folder, and those whose cells may hold several values.
_PATHS = {"content", "style", "mask", "style_mask", "start", "recipe"}
_SEVERAL = {"style", "mask", "style_mask", "lambda", "content_layer", "blend"}
_BETWEEN = "|"  # separates the values in a cell
_CURVE = ".csv"  # the ending of a loss curve, beside its picture


@dataclass(frozen=True)
class WorkItem:
    """A picture to be painted, and the files of its inputs."""

    photo: Path
    styles: tuple[Path, ...]
    settings: Settings
    masks: tuple[Path, ...] = ()
    start: Path | None = None
    bits: int = 8
    recipe: Path | None = field(default=None, repr=False)  # where the settings are from; they are what counts
    style_masks: tuple[Path, ...] = ()

    @classmethod
    def of(cls, photo: str | Path, options: argparse.Namespace) -> WorkItem:
        if not options.styles:
            raise ValueError("no style given; name one with --style, or in a column of that name")
        several = options.styles, options.masks, options.style_masks
        styles, masks, style_masks = (tuple(map(Path, paths)) for paths in several)
        start, recipe = (Path(path) if path else None for path in (options.start, options.recipe))
        return cls(Path(photo), styles, settings_of(options), masks, start, options.bits or 8, recipe, style_masks)

    @property
    def inputs(self) -> dict[str, Path]:
        """The input files, by the names that `recipe.fingerprints` uses."""
        named = {"photo": self.photo}
        named |= {f"style {number}": path for number, path in enumerate(self.styles, start=1)}
        named |= {f"mask {number}": path for number, path in enumerate(self.masks, start=1)}
        named |= {} if self.start is None else {"start": self.start}
        return named | {f"style mask {number}": path for number, path in enumerate(self.style_masks, start=1)}


def read(options: argparse.Namespace) -> list[WorkItem]:
    """The pictures of the command line, in its order. A picture that is given twice is painted once."""
    found: list[WorkItem] = []
    for given in options.photos:
        if given.lower().endswith(".csv"):
            found += _rows(Path(given), options)
        else:
            photos, styles = _pictures(given, options.output), _style_choices(options)
            found += [WorkItem.of(photo, chosen) for photo in photos for chosen in styles]
    return list({repr(order): order for order in found}.values())


def _style_choices(options: argparse.Namespace) -> list[argparse.Namespace]:
    """The options once for each choice of styles: where a folder or a pattern is given, a picture of it at a time."""
    found = [_pictures(given, options.output) if _is_several(given) else [given] for given in options.styles]
    return [argparse.Namespace(**{**vars(options), "styles": list(chosen)}) for chosen in product(*found)]


def _is_several(given: str) -> bool:
    return not os.path.isfile(given) and (os.path.isdir(given) or glob.has_magic(given))


def _pictures(given: str, output: Path) -> list[Path]:
    """The pictures that a file, a folder or a pattern names; earlier results in the output folder are none."""
    if os.path.isfile(given):
        return [Path(given)]
    endings, results = pictures.readable_suffixes(), os.path.realpath(output)
    found = [
        one
        for one in sorted(_listed(given))
        if one.suffix.lower() in endings and not one.name.startswith(".") and one.is_file()
    ]
    chosen = [one for one in found if os.path.realpath(one.parent) != results]
    if found and not chosen:
        raise ValueError(
            f"the {len(found)} pictures at {files.shown(given)!r} are in the output folder, "
            "where pictures count as earlier results; choose another output folder"
        )
    if not chosen:
        tried = ", with its brackets as a pattern and as they are" if "[" in given else ""
        raise ValueError(
            f"no picture found at {files.shown(given)!r}{tried}; name photos, a folder of them, a pattern or a CSV file"
        )
    return chosen


def _listed(given: str) -> list[Path]:
    """What is in a folder, or what a pattern matches: its brackets as they are, else as choices of characters."""
    if os.path.isdir(given):
        try:
            return list(Path(given).iterdir())
        except OSError as error:
            raise ValueError(f"folder {files.shown(given)!r} cannot be read ({error.strerror})") from None
    brackets_as_they_are = given.replace("[", "[[]")
    return [Path(one) for one in glob.glob(brackets_as_they_are, recursive=True) or glob.glob(given, recursive=True)]


def _rows(path: Path, options: argparse.Namespace) -> Iterator[WorkItem]:
    """A picture for each row of a CSV file; a cell that is not empty overrides the command's option."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error}); save it as CSV in UTF-8") from None
    header = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), restval="")
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--content", required=True)
    parser.add_argument("--style", dest="styles", action="append", default=[])
    add_options(parser)
    for row in rows:
        try:
            arguments = list(_arguments(row, path.parent))
            if arguments:  # spreadsheets end a table with rows of separators only
                given = parser.parse_args(arguments)
                for chosen in _style_choices(overlaid(options, given)):
                    yield WorkItem.of(given.content, chosen)
        except ValueError as error:
            raise ValueError(f"{path.name}, line {rows.line_num}: {error}") from None


def _arguments(row: Mapping[str | None, str | list[str]], folder: Path) -> Iterator[str]:
    """A row as arguments of the command line: `beta` of `20` is `--beta=20`, `no_pyramid` of `no` is `--pyramid`."""
    if any(cell.strip() for cell in row.get(None, ())):  # DictReader puts the cells without a name under None
        raise ValueError("more cells than the first line has names; quote cells that hold a separator")
    for column, cell in row.items():
        if column is None or not cell.strip():
            continue
        name = column.strip().lower().replace("-", "_")
        switch = name.removeprefix("no_")
        if isinstance(KINDS.get(switch), Switch):
            yield _flag(switch if read_value(switch, cell.strip()) == (name == switch) else f"no_{switch}")
            continue
        values = [value.strip() for value in (cell.split(_BETWEEN) if name in _SEVERAL else [cell])]
        if name in _PATHS:
            values = [str(folder / value) for value in values]
        if name == "blend":  # one option takes all of its values
            yield from (_flag(name), *values)
        else:
            yield from (f"{_flag(name)}={value}" for value in values)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def named(orders: Sequence[WorkItem], ending: str, folder: Path) -> dict[Path, WorkItem]:
    """Output file -> picture. A file has the photo's name; where two would be equal also the styles', then a hash.

    No two names differ only by case or by the composition of accents, because some file systems take them for one file.
    """
    most = files.longest_name(folder) - max(len(ending), len(_CURVE))
    photos, styled = (Counter(map(files.folded, map(name, orders))) for name in (_photo_name, _styled_name))
    found: dict[Path, WorkItem] = {}
    taken: set[str] = set()
    for order in orders:
        encode.format_of(f"x{ending}", order.bits)  # `ValueError` for 16 bits in a format of 8
        alone = [_photo_name(order)] if photos[files.folded(_photo_name(order))] == 1 else []
        alone += [_styled_name(order)] if styled[files.folded(_styled_name(order))] == 1 else []
        hashes = (f"_{_digest(order, number)}" for number in count())
        hashed = (files.shortened(_styled_name(order), most - len(ending)) + ending for ending in hashes)
        short = (name for name in alone if len(os.fsencode(name)) <= most)
        name = next(name for name in chain(short, hashed) if files.folded(name) not in taken)
        taken.add(files.folded(name))
        found[folder / (name + ending)] = order
    return found


def check_files(results: Mapping[Path, WorkItem], options: argparse.Namespace) -> None:
    """Refuse a batch that would write over its own inputs, or that cannot write what it paints."""
    lists = (given for given in options.photos if given.lower().endswith(".csv"))
    read = [(path, "the list of pictures") for path in lists]
    written = [(options.output / NAME, "the manifest")]
    for file, order in results.items():
        of = f"of {files.shown(order.photo)!r}"
        read += [(path, f"the {name} {of}") for name, path in order.inputs.items()]
        read += [(order.recipe, f"the recipe {of}")]
        written += [(file, f"the result {of}")]
        written += [(file.with_suffix(_CURVE), f"the costs {of}")] if options.costs else []
    remedy = "choose another output folder, or paint one batch after the other where one needs the other's results"
    files.check_no_overwriting(written, read, remedy)


def _photo_name(order: WorkItem) -> str:
    return order.photo.stem


def _styled_name(order: WorkItem) -> str:
    return "_".join([order.photo.stem, *(style.stem for style in order.styles)])


def _digest(order: WorkItem, number: int) -> str:
    return hashlib.sha256(f"{number} {order!r}".encode()).hexdigest()[:8]
