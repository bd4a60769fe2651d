"""Paint the contact sheets in `examples/sheets/`: the effect of each control on the same photo and style.

`python examples/make_sheets.py [NAME ...]` from the top folder; all of them take some minutes on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import nst  # noqa: E402 (the folder above is not installed)

SIZE = 320  # px, longer side
GAP, CAPTION = 6, 22  # px
Tile = tuple[str, Image.Image]


def photo(name: str) -> Image.Image:
    return Image.open(HERE / "photos" / f"{name}.jpg").convert("RGB")


def style(name: str) -> Image.Image:
    return Image.open(HERE / "styles" / f"{name}.jpg").convert("RGB")


def paint(content: Image.Image, styles: Image.Image | Sequence[Image.Image], masks=(), **chosen: object) -> nst.Result:
    return nst.stylise(content, styles, nst.Settings(size=SIZE, **chosen), masks=masks)


def blend() -> Iterator[Tile]:
    """Blends of two styles, from one to the other."""
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        result = paint(photo("chelsea"), [style("impasto"), style("mosaic")], style_blend=(1 - share, share))
        yield f"{1 - share:.0%} impasto, {share:.0%} mosaic", result.image


def scale() -> Iterator[Tile]:
    """The size of the strokes."""
    for factor in (0.25, 0.5, 1.0, 2.0, 4.0):
        yield f"style scale {factor:g}", paint(photo("coffee"), style("impasto"), style_scale=factor).image


def colour() -> Iterator[Tile]:
    """One run, then other colours; and the style picture recoloured before the run."""
    content, painting = photo("chelsea"), style("ukiyo_wave")
    finished = paint(content, painting).painting
    for method in nst.settings.CHOICES["colour"]:
        yield f"{method}, after", finished.recoloured(method, 1.0).picture()
    for method in ("luminance", "symmetric"):
        yield f"{method}, before", paint(content, painting, colour=method, colour_when="before").image


def masks() -> Iterator[Tile]:
    """Masks: a disc with a soft edge, and one style on each side."""
    content = photo("chelsea")
    y, x = np.mgrid[0 : content.height, 0 : content.width]
    disc = np.hypot(x - content.width * 0.45, y - content.height * 0.5) < content.height * 0.33
    left = x < content.width / 2
    drawn = [Image.fromarray(255 * where.astype(np.uint8)) for where in (disc, left, ~left)]
    yield "photo", content
    yield "inside a disc", paint(content, style("impasto"), drawn[0], mask_edge=0.05).image
    two = [style("impasto"), style("mosaic")]
    yield "a style on either side", paint(content, two, drawn[1:], mask_edge=0.1).image


def statistic() -> Iterator[Tile]:
    """Gram matrix against Wasserstein distance."""
    for content, painting in (("chelsea", "impasto"), ("coffee", "watercolour"), ("chelsea", "mosaic")):
        for name in nst.settings.CHOICES["statistic"]:
            yield f"{name}: {painting}", paint(photo(content), style(painting), statistic=name).image


def terms() -> Iterator[Tile]:
    """Each half of the cost alone, and the other ways to start and to pool."""
    content, painting = photo("chelsea"), style("mosaic")
    yield "alpha 0: pure texture", paint(content, painting, alpha=0, init="noise").image
    yield "beta 0: rebuilt content", paint(content, painting, beta=0, init="noise").image
    yield "default", paint(content, painting).image
    yield "average pooling", paint(content, painting, pooling="average").image
    yield "total variation 100", paint(content, painting, total_variation=100).image
    yield "averaging 0.9", paint(content, painting, averaging=0.9).image


COLUMNS = {"statistic": 2}  # number of columns by sheet; three for the others
SHEETS = {sheet.__name__: sheet for sheet in (blend, scale, colour, masks, statistic, terms)}


def laid_out(tiles: Sequence[Tile], columns: int) -> Image.Image:
    """Tiles in rows, each above its caption."""
    width = max(tile.width for _, tile in tiles) + GAP
    height = max(tile.height for _, tile in tiles) + CAPTION + GAP
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (caption, tile) in enumerate(tiles):
        left, top = GAP + index % columns * width, GAP + index // columns * height
        sheet.paste(tile, (left, top))
        draw.text((left + 2, top + tile.height + 3), caption, fill="black", font=ImageFont.load_default(14))
    return sheet


def main(names: Sequence[str]) -> None:
    (HERE / "sheets").mkdir(exist_ok=True)
    for name in names or SHEETS:
        tiles = [(caption, tile.resize(_shown(tile), Image.Resampling.LANCZOS)) for caption, tile in SHEETS[name]()]
        laid_out(tiles, COLUMNS.get(name, 3)).save(HERE / "sheets" / f"{name}.jpg", quality=88)
        print(f"examples/sheets/{name}.jpg")


def _shown(tile: Image.Image) -> tuple[int, int]:
    return round(tile.width * SIZE / max(tile.size)), round(tile.height * SIZE / max(tile.size))


if __name__ == "__main__":
    main(sys.argv[1:])
