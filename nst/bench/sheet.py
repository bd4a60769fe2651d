"""Sheets of pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from nst.images import pictures

SHOWN_PX, GAP_PX = 160, 8  # longer side of a picture on the sheet; space between pictures


def contact_sheet(labels: Sequence[str], rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Rows of small pictures, each as long as `labels`, which stand above the columns."""
    small = [[pictures.scaled(shown, pictures.result_size(shown, SHOWN_PX)) for shown in row] for row in rows]
    heights = [max(shown.height for shown in row) + GAP_PX for row in small]
    page = Image.new("RGB", (len(labels) * (SHOWN_PX + GAP_PX), 3 * GAP_PX + sum(heights)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    top = 3 * GAP_PX
    for number, label in enumerate(labels):
        draw.text((number * (SHOWN_PX + GAP_PX), 4), label, "black", font)
    for row, height in zip(small, heights, strict=True):
        for number, shown in enumerate(row):
            page.paste(shown, (number * (SHOWN_PX + GAP_PX), top))
        top += height
    return page


def in_rows(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Rows of pictures side by side, those of a row of one height."""
    canvas = Image.new("RGB", (max(sum(one.width for one in row) for row in rows), sum(row[0].height for row in rows)))
    down = 0
    for row in rows:
        across = 0
        for picture in row:
            canvas.paste(picture, (across, down))
            across += picture.width
        down += row[0].height
    return canvas
