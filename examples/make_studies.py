"""Paint each example anew from one layer at a time, in `examples/studies/`, so that the page can show this at once.

`python examples/make_studies.py` from the top folder; five minutes on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import nst  # noqa: E402 (the folder above is not installed)
from nst.explain import layer_studies  # noqa: E402
from nst.ui.server import examples  # noqa: E402

SAVED_PX = 192


def paint(path: str, layers: Sequence[str], settings_of: Callable[[str], nst.Settings]) -> None:
    """Paint the picture anew from noise, by each layer alone."""
    for layer in layers:
        target = Path(examples.study(path, layer))
        target.parent.mkdir(parents=True, exist_ok=True)
        image = nst.stylise(path, path, settings_of(layer)).image
        image.thumbnail((SAVED_PX, SAVED_PX), Image.Resampling.LANCZOS)
        image.save(target, quality=85)
        print(target.relative_to(HERE.parent), flush=True)


def main() -> None:
    for path in examples.styles().values():
        paint(path, layer_studies.TEXTURE_LAYERS, layer_studies.texture_settings)
    for path in examples.photos().values():
        paint(path, layer_studies.CONTENT_LAYERS, layer_studies.content_settings)


if __name__ == "__main__":
    main()
