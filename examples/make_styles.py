"""Paint the style pictures of the demo: they are our own work, and the same seeds give the same pictures.

Run as: python examples/make_styles.py [NAME ...] [--out examples/styles]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from styles_batik import batik
from styles_brush import impasto, pointillism
from styles_embroidery import embroidery
from styles_glass import stained_glass
from styles_marbling import marbling
from styles_mosaic import mosaic
from styles_print import ukiyo_wave, woodcut
from styles_watercolour import watercolour

STYLES: dict[str, Callable[[], Image.Image]] = {
    "impasto": impasto,
    "stained_glass": stained_glass,
    "woodcut": woodcut,
    "watercolour": watercolour,
    "mosaic": mosaic,
    "marbling": marbling,
    "pointillism": pointillism,
    "batik": batik,
    "ukiyo_wave": ukiyo_wave,
    "embroidery": embroidery,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Paint the named styles, or all of them, and print the time of each."""
    parser = argparse.ArgumentParser(description="Paint the style pictures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(STYLES)}; none means all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "styles", help="folder to write to")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(STYLES))
    if unknown:
        parser.error(f"unknown style {', '.join(unknown)}; choose from {', '.join(STYLES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or STYLES:
        start_s = time.perf_counter()
        path = options.out / f"{name}.jpg"
        picture = STYLES[name]()
        picture.save(path, quality=92, subsampling=0)  # 4:4:4: thin coloured lines are the style
        size_kb, elapsed_s = path.stat().st_size / 1000, time.perf_counter() - start_s
        print(f"{path}  {picture.width} x {picture.height}  {size_kb:.0f} kB  {elapsed_s:.1f} s")


if __name__ == "__main__":
    main()
