"""A grid of small pictures: what the values of one or two settings do, side by side, for the page and `nst grid`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from nst import recipe
from nst.events import Finished, Result, Step
from nst.images import pictures
from nst.images.decode import on_white
from nst.job import levels_of
from nst.objective.targets import kept_styles
from nst.setting_kinds import Blend, Layers, Switch
from nst.settings import CHOICES, KINDS, STYLE_LAYER_WORDS, Settings, read_value, write_value
from nst.transfer import stylise_events

MOST_VALUES = 8  # of one axis
SIZE_PX = 192  # longer side of a picture of the shape 3:2; others have as many pixels
LEAST_PX = 180  # longer side; from here on a picture has two levels, and coarse strokes are painted first
STEPS_OF_ONE_LEVEL = 20
STYLE_PX = 512  # longer side of a style picture, for these small pictures
# Fields that no axis may vary: of the machine, of the size of all pictures, and those that are no single value.
FIXED = {"size", "original_size", "device", "precision", "tile_px", "max_seconds", "steps"}
NAMES = (
    *(name for name, kind in KINDS.items() if not isinstance(kind, (Layers, Blend)) and name not in FIXED),
    *STYLE_LAYER_WORDS,
)


@dataclass(frozen=True)
class Axis:
    """One setting and its values: a field of `Settings`, or a style layer whose lambda varies."""

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]  # what is written beside each value

    @classmethod
    def read(cls, text: str) -> Axis:
        """`beta=1,10,40` or `relu3_1=0,0.2,1`. `ValueError` says what is legal."""
        name, _, values = text.partition("=")
        name = name.strip().replace("-", "_").removeprefix("lambda_")
        return cls.of(name, values.split(","))

    @classmethod
    def of(cls, name: str, written: Sequence[str]) -> Axis:
        """The axis of a setting from its values as text."""
        if name not in NAMES:
            raise ValueError(f"{name!r:.40} cannot vary in a grid; choose from {', '.join(NAMES)}")
        written = [value.strip() for value in written if value.strip()]
        if not 1 <= len(written) <= MOST_VALUES:
            raise ValueError(f"{name} has {len(written)} values in the grid; give 1 to {MOST_VALUES}, such as 1,10,40")
        if name in STYLE_LAYER_WORDS:
            values = tuple(read_value("style_layers", f"{name}:{value}")[name] for value in written)
        else:
            values = tuple(read_value(name, value) for value in written)
        return cls(name, values, tuple(f"{name} {value}" for value in written))

    def applied(self, settings: Settings, value: Any) -> Settings:
        """The settings with this value."""
        if self.name in STYLE_LAYER_WORDS:
            return dataclasses.replace(settings, style_layers={**settings.style_layers, self.name: value})
        return dataclasses.replace(settings, **{self.name: value})

    def __str__(self) -> str:
        """The text that `read` gives back."""
        field = "alpha" if self.name in STYLE_LAYER_WORDS else self.name
        return f"{self.name}=" + ",".join(write_value(field, value) for value in self.values)


@dataclass(frozen=True)
class Cell:
    """One picture of the grid."""

    row: int
    column: int
    settings: Settings
    label: str


@dataclass(frozen=True)
class Painted:
    """A picture of the grid, as it is painted or, with a result, finished."""

    cell: Cell
    picture: Image.Image
    result: Result | None


@dataclass(frozen=True)
class Grid:
    """Pictures, settings and axes. Its pictures are small: they are decoded and shrunk once for all cells."""

    photo: Image.Image
    styles: tuple[Image.Image, ...]
    masks: tuple[pictures.Source, ...]
    start: pictures.Source | None
    settings: Settings
    across: Axis
    down: Axis | None = None
    style_masks: tuple[pictures.Source, ...] = ()

    @classmethod
    def of(
        cls,
        photo: pictures.Source,
        styles: Sequence[pictures.Source],
        settings: Settings,
        across: Axis,
        down: Axis | None = None,
        masks: Sequence[pictures.Source] = (),
        start: pictures.Source | None = None,
        style_masks: Sequence[pictures.Source] = (),
    ) -> Grid:
        """`settings.size` is the longer side of a picture of the shape 3:2. `ValueError` for illegal cells."""
        if down is not None and down.name == across.name:
            raise ValueError(f"{across.name} cannot vary across and down; choose another setting for one of them")
        photo = pictures.load(photo, "photo")
        settings = dataclasses.replace(
            settings, original_size=False, max_seconds=None, size=_size(photo, settings.size)
        )
        shrunk = tuple(_shrunk(pictures.load(style, "style picture"), STYLE_PX) for style in styles)
        photo, given = _shrunk(photo, 2 * settings.size), (tuple(masks), start, settings, across, down)
        grid = cls(photo, shrunk, *given, tuple(style_masks))
        grid.cells()  # every combination must be legal before the first is painted
        return grid

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.down.values) if self.down else 1, len(self.across.values)

    def cells(self) -> list[Cell]:
        """All pictures, row by row."""
        rows, columns = self.shape
        return [self._cell(row, column) for row, column in product(range(rows), range(columns))]

    def _cell(self, row: int, column: int) -> Cell:
        settings, label = self.across.applied(self.settings, self.across.values[column]), self.across.labels[column]
        if self.down:
            settings = self.down.applied(settings, self.down.values[row])
            label += f", {self.down.labels[row]}"
        if len(levels_of(self.photo, settings)) == 1 and settings.pyramid:
            settings = dataclasses.replace(settings, steps=STEPS_OF_ONE_LEVEL)
        return Cell(row, column, settings, label)

    def paint(self) -> Iterator[Painted]:
        """Paint all cells, one after the other. Closing it ends the run."""
        for cell in self.cells():
            given = {"masks": self.masks, "start": self.start, "style_masks": self.style_masks}
            events = stylise_events(self.photo, self.styles, cell.settings, memo=kept_styles(), **given)
            for event in events:
                match event:
                    case Step(preview=Image.Image() as preview):
                        yield Painted(cell, preview, None)
                    case Finished(result=result):
                        yield Painted(cell, on_white(result.image), result)


def usual_values(name: str, settings: Settings) -> str:
    """Values of a setting that are worth a look, as text: its choices, or smaller and larger ones than now."""
    if name in CHOICES:
        return ",".join(list(CHOICES[name])[:MOST_VALUES])
    if name in STYLE_LAYER_WORDS:
        return "0,0.1,0.3,1"
    if isinstance(KINDS[name], Switch):
        return "no,yes"
    fixed = {"colour_amount": "0,0.3,0.7,1", "style_scale": "0.5,1,2", "averaging": "0,0.5,0.9", "seed": "0,1,2,3"}
    fixed |= {"total_variation": "0,3,30", "mask_edge": "0,0.02,0.1", "plateau": "0,0.02,0.1"}
    if name in fixed:
        return fixed[name]
    now = getattr(settings, name) or 1
    return ",".join(write_value(name, round(now * factor, 3)) for factor in (0.3, 1, 3, 10))


def _size(photo: Image.Image, size: int) -> int:
    """The longer side, px, at which this photo has as many pixels as one of the shape 3:2 with this longer side."""
    longer_px = size * math.sqrt(2 / 3 * max(photo.size) / min(photo.size))
    return max(round(longer_px), LEAST_PX if size >= LEAST_PX else 32)


def _shrunk(picture: Image.Image, longer_px: int) -> Image.Image:
    """The picture with this longer side, unless it is smaller, or its shorter side would be too small to paint."""
    if max(picture.size) <= longer_px or min(picture.size) * longer_px < 32 * max(picture.size):
        return picture
    return pictures.scaled(picture, pictures.result_size(picture, longer_px))


GAP_PX, TEXT_PX = 8, 14


def sheet(grid: Grid, painted: dict[tuple[int, int], Image.Image]) -> Image.Image:
    """All pictures on white, by row and column, with the settings' values above and to the left of them."""
    font = ImageFont.load_default(TEXT_PX)
    first = next(iter(painted.values()))
    width, height = first.size
    rows, columns = grid.shape
    left = GAP_PX + max(
        (round(font.getlength(label)) + GAP_PX for label in (grid.down.labels if grid.down else ())), default=0
    )
    column_px = max(width, *(round(font.getlength(label)) for label in grid.across.labels)) + GAP_PX
    top, row_px = 2 * GAP_PX + TEXT_PX, height + GAP_PX
    page = Image.new("RGB", (left + columns * column_px, top + rows * row_px), "white")
    draw = ImageDraw.Draw(page)
    for column, label in enumerate(grid.across.labels):
        draw.text((left + column * column_px + width / 2, GAP_PX), label, "black", font, anchor="ma")
    for row, label in enumerate(grid.down.labels if grid.down else ()):
        draw.text((GAP_PX, top + row * row_px + height / 2), label, "black", font, anchor="lm")
    for (row, column), picture in painted.items():
        page.paste(picture, (left + column * column_px, top + row * row_px))
    return page


def sheet_text(grid: Grid, first: Result, fingerprints: Mapping[str, str]) -> dict[str, str]:
    """The sheet's texts: the recipe of its first picture, and the axes as `nst grid` takes them."""
    axes = f"--across {grid.across}" + (f" --down {grid.down}" if grid.down else "")
    return {**recipe.text(recipe.Recipe.of(first, fingerprints)), "Grid": axes}
