"""The size of a print on paper: centimetres or inches and dots per inch, as pixels of the picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {"cm": 2.54, "in": 1.0}  # how many make an inch
RESOLUTIONS = {150: "posters", 200: "good", 300: "photo books"}  # dpi, and what for
DPI_RANGE = (36, 2400)
LEGAL = "a print's width, height and resolution, such as 30x20cm@300 or 12x8in@200"


@dataclass(frozen=True)
class PrintSize:
    """A sheet of paper and its resolution. A picture of another shape is printed as large as fits on it."""

    width: float
    height: float
    unit: str
    dpi: int

    def __post_init__(self) -> None:
        low, high = DPI_RANGE
        if not low <= self.dpi <= high:
            raise ValueError(f"{self.dpi} dpi is outside {low} to {high}; choose 150, 200 or 300")
        if not (0 < self.width < 10_000 and 0 < self.height < 10_000):
            raise ValueError(f"a print of {self.width:g} x {self.height:g} {self.unit} is none; choose sides above 0")

    @classmethod
    def read(cls, text: str) -> PrintSize:
        """`30x20cm@300`; without a resolution it has 300 dpi. `ValueError` says what is legal."""
        number = r"(\d{1,4}(?:\.\d{1,3})?)"
        found = re.fullmatch(rf"{number} ?[x×] ?{number} ?(cm|in)(?:@(\d{{1,4}}))?", text.strip().lower())
        if not found:
            raise ValueError(f"{text!r:.40} is no size of a print; write {LEGAL}")
        width, height, unit, dpi = found.groups()
        return cls(float(width), float(height), unit, int(dpi or 300))

    def longer_px(self, picture: tuple[int, int]) -> int:
        """The longer side, px, of a picture of this (width, height) on the sheet, turned as the picture is."""
        shorter, longer = sorted(side / UNITS[self.unit] * self.dpi for side in (self.width, self.height))
        return round(min(longer, shorter * max(picture) / min(picture)))

    def __str__(self) -> str:
        return f"{self.width:g}x{self.height:g}{self.unit}@{self.dpi}"


def side(longer_px: float, dpi: int, unit: str) -> float:
    """The length on paper of a side of `longer_px` pixels."""
    return longer_px / dpi * UNITS[unit]
