"""Compute what the lesson opens with, in `examples/lesson/`: data of the first pictures, and small paintings.

`python examples/make_lesson.py` from the top folder; a minute or two on two cores.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import nst  # noqa: E402 (the folder above is not installed)
from nst.explain import channels, layer_studies  # noqa: E402
from nst.explain.entry_picture import paint_entry  # noqa: E402
from nst.ui.explain.studies import entries_of  # noqa: E402
from nst.ui.explain.views import FIRST_LAYER, Asked  # noqa: E402
from nst.ui.server import examples  # noqa: E402
from nst.ui.stylise.visit import Visit  # noqa: E402

SAVED_PX = 192


def save(name: str, content: str | object) -> None:
    target = examples.lesson(name)
    target.parent.mkdir(exist_ok=True)
    if isinstance(content, str):
        target.write_text(content)
    else:
        content.save(target, quality=85)
    print(f"examples/lesson/{name}", flush=True)


def main() -> None:
    photo, style, _, _ = examples.first_sight()
    block = Asked("style", FIRST_LAYER, "gram", 0, 0, photo, style, Visit()).look.block(FIRST_LAYER)
    strongest = channels.strongest_pairs(block, "gram", 1)[0]
    asked = Asked("style", FIRST_LAYER, "gram", strongest.k, strongest.m, photo, style, Visit())
    for name in ("channel", "pair", "matrix", "cost", "shuffle", "guess"):
        save(f"{name}.json", json.dumps(asked.data(name)))
    wanted = entries_of(asked.k, asked.m, channels.least_correlated_pair(block))
    for number, (k, m) in enumerate(wanted.values()):
        *_, last = paint_entry(FIRST_LAYER, k, m)
        save(f"entry_{number}.jpg", last.image)
    for layer in layer_studies.TEXTURE_LAYERS:
        image = nst.stylise(photo, style, layer_studies.playground_settings(layer)).image
        image.thumbnail((SAVED_PX, SAVED_PX))
        save(f"lambda_{layer}.jpg", image)


if __name__ == "__main__":
    main()
