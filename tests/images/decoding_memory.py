"""Memory that each input of a picture takes above the idle program: `python -m tests.images.decoding_memory 100`.

The number is the megapixels of the largest picture that is accepted. Prints JSON, input -> MiB.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from nst import malloc, recipe
from nst.images import pictures
from nst.settings import LIMITS
from nst.ui.server import uploads
from nst.ui.stylise import form
from tests.images.hostile import png

MIB = 1 << 20


def encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def with_alpha(side: int) -> Image.Image:
    """Half of it brushed in red and green, the rest clear."""
    layer = Image.new("RGBA", (side, side))
    for column, colour in enumerate(list(form.BRUSHES.values())[:2]):
        layer.paste(colour, (column * side // 4, 0, (column + 1) * side // 4, side))
    return layer


def brushed(layer: bytes) -> Image.Image | None:
    uploads.PAINTINGS["x"] = layer
    return uploads.painted_layer({"id": "x"})


def inputs(side: int) -> dict[str, tuple[Callable[[bytes], object], bytes]]:
    """Input -> what reads it, and the file: of this side the largest that are legal, and others that are refused."""
    over = math.isqrt(int(LIMITS.megapixels * 1e6)) + 100
    rgb, clear = encoded(Image.new("RGB", (side, side), "teal")), encoded(with_alpha(side))
    deep = encoded(Image.fromarray(np.full((side, side), 40_000, np.uint16)))
    refused = png(over, over, pixels=b"")
    return {
        "photo, style, start": (pictures.load, rgb),
        "photo, style, start with transparency": (pictures.load, clear),
        "photo, style, start of 16 bits, grey": (pictures.load, deep),
        "photo, style, start, refused": (pictures.load, refused),
        "fingerprint for a recipe": (recipe.fingerprint, clear),
        "mask": (pictures.to_mask, clear),
        "masks of two styles": (lambda file: form.masks_of(file, 2), clear),
        "mask, refused": (pictures.to_mask, refused),
        "brush": (brushed, encoded(with_alpha(uploads.LAYER_PX))),
        "brush, refused": (brushed, encoded(with_alpha(max(side, uploads.LAYER_PX + 1)))),
        "recipe PNG": (recipe.read, rgb),
        "recipe PNG, refused": (recipe.read, refused),
    }


def resident_mib(name: str) -> float:
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0]) / 1024


def measured(read: Callable[[bytes], object], file: bytes) -> float:
    """The peak of resident memory while a file is read, MiB above that before."""
    malloc.trim()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew, see proc(5)
    idle_mib = resident_mib("VmRSS")
    with contextlib.suppress(ValueError, gr.Error):
        read(file)
    return resident_mib("VmHWM") - idle_mib


def main(megapixels: float) -> None:
    malloc.prepare()
    for read, file in inputs(100).values():  # what the first picture of any kind needs
        measured(read, file)
    side = math.isqrt(int(megapixels * 1e6))
    print(json.dumps({name: round(measured(*given), 1) for name, given in inputs(side).items()}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
