"""What a batch paints: the photos of folders, patterns and CSV files, each with its styles and a name of its own."""

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
from nst.settings import Settings

_PATHS = {"--content", "--style", "--mask", "--start", "--recipe"}  # columns of a CSV, whose folder they start from
_BETWEEN = "|"  # several values in a cell


@dataclass(frozen=True)
class WorkItem:
    """A picture to be painted, and where its inputs lie."""

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
        """The files by the names that `recipe.fingerprints` gives them."""
        named = {"photo": self.photo}
        named |= {f"style {number}": path for number, path in enumerate(self.styles, start=1)}
        named |= {f"mask {number}": path for number, path in enumerate(self.masks, start=1)}
        return named | ({} if self.start is None else {"start": self.start})


def read(options: argparse.Namespace) -> list[WorkItem]:
    """What the command asks for, in its order; the same order given twice counts once."""
    found: list[WorkItem] = []
    for given in options.photos:
        if given.lower().endswith(".csv"):
            found += _rows(Path(given), options)
        else:
            found += [WorkItem.of(photo, options) for photo in _photos(given, options.output)]
    return list({repr(order): order for order in found}.values())


def _photos(given: str, output: Path) -> list[Path]:
    """The photos that a file, a folder or a pattern names; earlier results in the output folder are none."""
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
    """An order per row, whose cells go before the command's options."""
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
            given = parser.parse_args(list(_arguments(row, path.parent)))
            yield WorkItem.of(given.content, overlaid(options, given))
        except ValueError as error:
            raise ValueError(f"{path.name}, line {rows.line_num}: {error}") from None


def _arguments(row: Mapping[str | None, str], folder: Path) -> Iterator[str]:
    """A row as the command line would say it: `beta` with `20` is `--beta=20`, `no_pyramid` with `yes` a switch."""
    if None in row:
        raise ValueError("more cells than the first line has names; quote cells that hold a separator")
    for column, cell in row.items():
        flag = "--" + column.strip().lower().replace("_", "-")
        values = [value.strip() for value in cell.split(_BETWEEN)] if cell.strip() else []
        if flag in _PATHS:
            values = [str(folder / value) for value in values]
        if values in (["yes"], ["true"]):
            yield flag
        elif flag == "--blend":  # takes its values in one go
            yield from (flag, *values) if values else ()
        elif values not in (["no"], ["false"]):
            yield from (f"{flag}={value}" for value in values)


def named(orders: Sequence[WorkItem], ending: str, folder: Path) -> dict[Path, WorkItem]:
    """A file for each order: the photo's name, with the styles' and a hash where others would have the same.

    No two differ only by case or by how accents are composed, because some disks hold such files for one.
    """
    photos, styled = (Counter(map(_folded, map(name, orders))) for name in (_photo_name, _styled_name))
    files: dict[Path, WorkItem] = {}
    taken: set[str] = set()
    for order in orders:
        encode.format_of(f"x{ending}", order.bits)  # refuses 16 bits where the format has 8
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
