"""Compare a print with a small picture: the same photo and style at 384 and 2048 px, whole and cropped, side by side.

`python examples/make_print.py` from the top folder; five minutes on two cores. The crops show the same part of the
photo. Prints seconds and J, each at its size.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import nst  # noqa: E402 (the folder above is not installed)

PHOTO, STYLE = HERE / "photos" / "chelsea.jpg", HERE / "styles" / "impasto.jpg"
SIZES = (384, 2048)
CELL = (640, 425)
PART = (0.35, 0.25, 0.66, 0.56)  # left, top, right, bottom of the crop, as shares of the picture's sides


def main() -> None:
    sheet = Image.new("RGB", (2 * CELL[0] + 10, 2 * CELL[1] + 10), "white")
    for column, size in enumerate(SIZES):
        result = nst.stylise(PHOTO, STYLE, nst.Settings(size=size))
        last = result.history[-1]
        print(
            f"{size} px: {result.seconds:.0f} s, J {last.total:.2f}, content {last.content:.2f}, style {last.style:.3f}"
        )
        width, height = result.image.size
        box = [round(share * side) for share, side in zip(PART, (width, height, width, height), strict=True)]
        left = column * (CELL[0] + 10)
        sheet.paste(result.image.resize(CELL, Image.Resampling.LANCZOS), (left, 0))
        sheet.paste(result.image.crop(box).resize(CELL, Image.Resampling.LANCZOS), (left, CELL[1] + 10))
        ImageDraw.Draw(sheet).text(
            (left + 8, 8), f"{size} px", "white", font_size=26, stroke_width=3, stroke_fill="black"
        )
    sheet.save(HERE / "figures" / "print.jpg", quality=88)


if __name__ == "__main__":
    main()
