"""The pictures that a batch paints: photos from folders, patterns and CSV files, with their styles and output files."""

from __future__ import annotations

import argparse
import csv
import glob
import hashlib
import io
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from nst.batch.options import Parser, add_options, overlaid, settings_of
from nst.images import encode, pictures
from nst.setting_kinds import Switch
from nst.settings import KINDS, Settings, read_value

_PATHS = {"content", "style", "mask", "start", "recipe"}  # columns of a CSV; their paths start from its folder
_SEVERAL = {"style", "mask", "lambda", "content_layer", "blend"}  # columns whose cells may hold several values
_BETWEEN = "|"  # separates the values in a cell


@dataclass(frozen=True)
class WorkItem:
    """A picture to be painted, and the files of its inputs."""

    photo: Path
    styles: tuple[Path, ...]
    settings: Settings
    masks: tuple[Path, ...] = ()
    start: Path | None = None
    bits: int = 8

    @classmethod
    def of(cls, photo: str | Path, options: argparse.Namespace) -> WorkItem:
        if not options.styles:
            raise ValueError("no style given; name one with --style, or in a column of that name")
        styles, masks = (tuple(map(Path, paths)) for paths in (options.styles, options.masks))
        start = Path(options.start) if options.start else None
        return cls(Path(photo), styles, settings_of(options), masks, start, options.bits or 8)

    @property
    def inputs(self) -> dict[str, Path]:
        """The input files, by the names that `recipe.fingerprints` uses."""
        named = {"photo": self.photo}
        named |= {f"style {number}": path for number, path in enumerate(self.styles, start=1)}
        named |= {f"mask {number}": path for number, path in enumerate(self.masks, start=1)}
        return named | ({} if self.start is None else {"start": self.start})


def read(options: argparse.Namespace) -> list[WorkItem]:
    """The pictures of the command line, in its order. A picture that is given twice is painted once."""
    found: list[WorkItem] = []
    for given in options.photos:
        if given.lower().endswith(".csv"):
            found += _rows(Path(given), options)
        else:
            found += [WorkItem.of(photo, options) for photo in _photos(given, options.output)]
    return list({repr(order): order for order in found}.values())


def _photos(given: str, output: Path) -> list[Path]:
    """The photos that a file, a folder or a pattern names, without earlier results in the output folder."""
    path = Path(given)
    if path.is_file():
        return [path]
    endings, results = pictures.readable_suffixes(), os.path.realpath(output)
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(given, recursive=True))
    photos = [
        one
        for one in sorted(found)
        if one.suffix.lower() in endings
        and not one.name.startswith(".")
        and one.is_file()
        and os.path.realpath(one.parent) != results
    ]
    if not photos:
        raise ValueError(f"no picture found at {given!r}; name photos, a folder of them, a pattern or a CSV file")
    return photos


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
                yield WorkItem.of(given.content, overlaid(options, given))
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
    photos, styled = (Counter(map(_folded, map(name, orders))) for name in (_photo_name, _styled_name))
    files: dict[Path, WorkItem] = {}
    taken: set[str] = set()
    for order in orders:
        encode.format_of(f"x{ending}", order.bits)  # `ValueError` for 16 bits in a format of 8
        alone = [_photo_name(order)] if photos[_folded(_photo_name(order))] == 1 else []
        alone += [_styled_name(order)] if styled[_folded(_styled_name(order))] == 1 else []
        hashed = (f"{_styled_name(order)}_{_digest(order, number)}" for number in count())
        name = next(name for name in chain(alone, hashed) if _folded(name) not in taken)
        taken.add(_folded(name))
        files[folder / (name + ending)] = order
    real = {os.path.realpath(path): path for order in orders for path in order.inputs.values()}
    if clashes := sorted(str(real[file]) for file in map(os.path.realpath, files) if file in real):
        raise ValueError(f"{clashes[0]!r} would be overwritten by its own result; choose another output folder")
    return files


def _photo_name(order: WorkItem) -> str:
    return order.photo.stem


def _styled_name(order: WorkItem) -> str:
    return "_".join([order.photo.stem, *(style.stem for style in order.styles)])


def _digest(order: WorkItem, number: int) -> str:
    return hashlib.sha256(f"{number} {order!r}".encode()).hexdigest()[:8]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
