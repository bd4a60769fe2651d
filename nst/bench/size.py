"""What a larger picture costs: memory and time of a step against its size, seen whole and in tiles."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch

from nst import images, memory
from nst.bench.engine import EXAMPLES, Row
from nst.compute import choose
from nst.features import FeatureExtractor
from nst.inputs import Inputs
from nst.objective import Objective
from nst.optimise import minimise
from nst.schedule import Level
from nst.settings import Settings
from nst.targets import Targets
from nst.tiled import TiledObjective
from nst.tiles import MIB

FILE = EXAMPLES / "figures" / "memory_and_time_against_size.svg"
SIZES = (256, 512, 1024, 2048, 4096)
LARGEST_WHOLE = 2048  # px; beyond, few machines that are not told to use tiles have the memory
COLOURS = {"whole": "#ea580c", "tiles": "#7c3aed"}


def tiles(quick: bool) -> Iterator[Row]:
    """Peak memory above idle and seconds per step, whole and in tiles in turns, each in a fresh process; draws them."""
    rows = []
    for size in SIZES[:2] if quick else SIZES:
        for how in ("whole", "tiles"):
            if how == "whole" and size > LARGEST_WHOLE:
                continue
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows.append({"px": size, "how": how, **pool.apply(_measure, (size, how == "tiles"))})
            yield rows[-1]
    _draw(rows, FILE)


def _measure(size: int, in_tiles: bool) -> Row:
    """Two steps of the last level of a run at 4:3."""
    compute, settings = choose(), Settings(size=size)
    idle = _mib("VmRSS")
    inputs = _inputs(size, compute.device)
    extractor = FeatureExtractor(settings.layers, dtype=compute.dtype, device=compute.device, replicate_edges=True)
    tile_bytes = memory.TILE_MIB * MIB if in_tiles else None
    targets = Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 2), tile_bytes)
    whole = Objective(extractor, targets, settings)
    objective = TiledObjective(extractor, targets, settings, tile_bytes) if in_tiles else whole
    started = [time.perf_counter() for _ in minimise(objective, inputs.photo, 3 if size < 4096 else 2)]
    seconds = min(after - before for before, after in pairwise(started))
    peak = torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else _mib("VmHWM") - idle
    estimate = memory.memory_mib(settings, inputs.size, compute.dtype, tile_bytes)
    return {"peak_mib": peak, "estimate_mib": estimate, "step_s": seconds}


def _inputs(size: int, device: torch.device) -> Inputs:
    """The example pictures, scaled up where they are smaller."""
    photo = images.load(EXAMPLES / "photos" / "coffee.jpg").resize((640, 480))
    return Inputs.of(photo, [images.load(EXAMPLES / "styles" / "impasto.jpg")], Settings(size=size), device)


def _mib(what: str) -> float:
    """VmRSS or VmHWM of this process, where the system tells."""
    if not sys.platform.startswith("linux"):
        return float("nan")
    return int(Path("/proc/self/status").read_text().split(what + ":")[1].split()[0]) / 1024


def _draw(rows: list[Row], file: Path) -> None:
    import matplotlib  # only here: a requirement of the tests, not of the program

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "nst"  # the same file for the same numbers
    canvas, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 3.4), layout="constrained")
    for how, colour in COLOURS.items():
        sizes, peaks, estimates, seconds = zip(
            *((row["px"], row["peak_mib"], row["estimate_mib"], row["step_s"]) for row in rows if row["how"] == how),
            strict=True,
        )
        left.plot(sizes, peaks, "o-", color=colour, label=how)
        left.plot(sizes, estimates, ":", color=colour, label=f"{how}, as estimated")
        right.plot(sizes, seconds, "o-", color=colour, label=how)
    left.set(title="peak memory above idle", ylabel="MiB")
    right.set(title="one step", ylabel="seconds")
    for axis in (left, right):
        axis.set(xscale="log", yscale="log", xlabel="longer side, px (4:3)", xticks=SIZES, xticklabels=SIZES)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    file.parent.mkdir(exist_ok=True)
    canvas.savefig(file, metadata={"Date": None, "Creator": None})
    print(f"{file.relative_to(EXAMPLES.parent)}, torch {torch.__version__}")
