"""Paint the small pictures of the page in `examples/thumbnails/`: its examples, and a card for each preset.

`python examples/make_thumbnails.py` from the top folder; half a minute on two cores.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import nst  # noqa: E402 (the folder above is not installed)
from nst.ui.server import examples  # noqa: E402
from nst.ui.stylise.presets import PRESETS  # noqa: E402

SAMPLE_PX = 112  # the page shows it at half this size; screens with two pixels per CSS pixel use all of it
CARD_PX = (216, 144)
PAINTED_PX = 320


def save(picture: Image.Image, size: tuple[int, int], path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS).save(path, quality=85, icc_profile=None)
    print(Path(path).relative_to(HERE.parent))


def main() -> None:
    for sample in (*examples.photos().values(), *examples.styles().values()):
        save(Image.open(sample), (SAMPLE_PX, SAMPLE_PX), examples.thumbnail(sample))
    photo, style, _, _ = examples.first_sight()
    for name, chosen in PRESETS.items():
        settings = dataclasses.replace(chosen, size=PAINTED_PX)
        save(nst.stylise(photo, style, settings).image, CARD_PX, examples.preset(name))


if __name__ == "__main__":
    main()
