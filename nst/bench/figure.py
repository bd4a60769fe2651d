"""Draws the figure of `README.md`: cost against seconds for the engine and the textbook, two pairs at two sizes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from nst.bench.engine import EXAMPLES, PAIRS, Row, levels_to_goal, load_pair
from nst.bench.textbook import Textbook, same_cost_settings
from nst.device import choose_device
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.images.colour import luminance
from nst.objective.objective import Objective, Targets
from nst.optimise import loop
from nst.scaled_pictures import Inputs

FILE = EXAMPLES / "figures" / "cost_against_seconds.svg"
TEXTBOOK_STEPS, OUR_STEPS = 200, 100
EVERY = 5  # steps between two points of the curve; computing their cost is not counted as time
SIZES = (256, 384)
COLOURS = ("#7c3aed", "#ea580c")  # one for each pair


def figure(quick: bool) -> Iterator[Row]:
    """Draw the figure; a row has the last cost and the seconds of one curve."""
    points: dict[tuple[int, str, str], list[tuple[float, float]]] = {}
    for size in SIZES[:1] if quick else SIZES:
        for pair in PAIRS[:1] if quick else PAIRS:
            inputs = load_pair(pair, size, choose_device().device)
            textbook = Textbook(inputs)
            theirs = list(_textbook_curve(textbook, 20 if quick else TEXTBOOK_STEPS))
            ours = list(_our_curve(inputs, textbook, 20 if quick else OUR_STEPS))
            for program, curve in (("textbook", theirs), ("ours", ours)):
                points[size, "+".join(pair), program] = curve
                seconds, cost = curve[-1]
                yield {"pair": "+".join(pair), "px": size, "program": program, "seconds": seconds, "cost": cost}
    _draw(points, FILE)


def _textbook_curve(textbook: Textbook, steps: int) -> Iterator[tuple[float, float]]:
    for count, seconds, picture in textbook.run(steps):
        if count % EVERY == 0:
            yield seconds, textbook.clamped_cost(picture)


def _our_curve(inputs: Inputs, textbook: Textbook, steps: int) -> Iterator[tuple[float, float]]:
    """(seconds, the textbook's cost) of our run. Pictures of small levels are scaled up to compute their cost."""
    settings, compute = same_cost_settings(), choose_device()
    seconds, started = 0.0, time.perf_counter()
    extractor = FeatureExtractor(settings.layers, device=compute.device, dtype=compute.dtype)
    image = inputs.coloured([1.0])
    for level in levels_to_goal(inputs, steps):
        objective = Objective(extractor, Targets.of(inputs, extractor, settings, level), settings)
        image = pictures.enlarge(image, (level.height, level.width), luminance(inputs.photo))
        for count, evaluation in enumerate(loop.minimise(objective, image, level.steps), start=1):
            image = evaluation.image
            if count % EVERY == 0 or count == level.steps:
                seconds += time.perf_counter() - started
                yield seconds, textbook.clamped_cost(pictures.resize(image, inputs.size))
                started = time.perf_counter()


def _draw(points: dict[tuple[int, str, str], list[tuple[float, float]]], file: Path) -> None:
    import matplotlib  # imported here, because only the tests require it

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "nst"  # the same file for the same numbers
    sizes = sorted({size for size, *_ in points})
    canvas, axes = pyplot.subplots(1, len(sizes), figsize=(4.6 * len(sizes), 3.4), squeeze=False, layout="constrained")
    for axis, size in zip(axes[0], sizes, strict=True):
        pairs = sorted({pair for px, pair, _ in points if px == size})
        for pair, colour in zip(pairs, COLOURS, strict=False):
            for program, dashes in (("textbook", "--"), ("ours", "-")):
                seconds, costs = zip(*points[size, pair, program], strict=True)
                axis.plot(seconds, costs, dashes, color=colour, label=f"{program}: {pair}")
        axis.set(xscale="log", yscale="log", xlabel="seconds", title=f"{size} px")
        axis.grid(alpha=0.3, which="both")
    axes[0][0].set_ylabel("cost of the classic scripts, clamped picture")
    axes[0][-1].legend(fontsize=8)
    file.parent.mkdir(exist_ok=True)
    canvas.savefig(file, metadata={"Date": None, "Creator": None})
    print(f"{file.relative_to(EXAMPLES.parent)}, torch {torch.__version__}")
