"""Memory and time of a step against the size of the picture, computed whole and in tiles."""

from __future__ import annotations

import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nst import malloc, memory
from nst.bench.engine import EXAMPLES, Row
from nst.device import choose_device
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.objective.objective import Objective
from nst.objective.targets import Targets
from nst.objective.tiled import TiledObjective
from nst.objective.tiles import MIB
from nst.optimise.loop import minimise
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from nst.settings import Settings

FILE = EXAMPLES / "figures" / "memory_and_time_against_size.svg"
SIZES = (256, 512, 1024, 2048, 4096)
LARGEST_WHOLE = 2048  # px; for larger pictures without tiles few machines have enough memory
STEPS = 2  # steps of the measured run; with more steps the optimiser would keep more pictures
COLOURS = {"whole": "#ea580c", "tiles": "#7c3aed"}


def tiles(quick: bool) -> Iterator[Row]:
    """Peak memory above idle (each in a new process) and seconds per gradient (alternately in one process); drawn."""
    rows = []
    for size in SIZES[:2] if quick else SIZES:
        ways = ("whole", "tiles") if size <= LARGEST_WHOLE else ("tiles",)
        peaks = {how: _in_new_process(_peak, size, how) for how in ways}
        seconds = _in_new_process(_seconds, size, ways)
        for how in ways:
            estimate = memory.memory_mib(Settings(steps=STEPS), _size(size), choose_device().dtype, _tile_bytes(how))
            ratio = seconds[how] / seconds["whole"] if "whole" in ways else math.nan
            rows.append({"px": size, "how": how, "peak_mib": peaks[how], "estimate_mib": estimate,
                         "gradient_s": seconds[how], "times_whole": ratio})  # fmt: skip
            yield rows[-1]
    _draw(rows, FILE)


def _in_new_process(work: Callable, *arguments: object) -> Any:
    """Call `work` in a new process whose heap is set up as the program's."""
    with multiprocessing.get_context("spawn").Pool(1, malloc.prepare) as pool:
        return pool.apply(work, arguments)


def _peak(size: int, how: str) -> float:
    """Peak memory of a few steps of a run's last level above the idle process, MiB."""
    idle = _mib("VmRSS")
    for _ in minimise(_objectives(size, (how,))[how], _inputs(size).photo, STEPS):
        pass
    return torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else _mib("VmHWM") - idle


def _seconds(size: int, ways: Sequence[str]) -> dict[str, float]:
    """Seconds of one gradient, by way: the least of several turns, the one that other programs disturbed least."""
    objectives, photo = _objectives(size, ways), _inputs(size).photo
    found: dict[str, list[float]] = {how: [] for how in ways}
    for _ in range(1 if size > LARGEST_WHOLE else 4):
        for how, objective in objectives.items():
            started = time.perf_counter()
            objective(photo)
            if photo.is_cuda:
                torch.cuda.synchronize()
            found[how].append(time.perf_counter() - started)
    return {how: min(turns) for how, turns in found.items()}


def _objectives(size: int, ways: Sequence[str]) -> dict[str, Objective]:
    """The objective of a run's last level at 4:3, by way: "whole" or "tiles"."""
    compute, settings, inputs = choose_device(), Settings(size=size), _inputs(size)
    extractor = FeatureExtractor(settings.layers, dtype=compute.dtype, device=compute.device, replicate_edges=True)
    targets = Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 2), _tile_bytes(ways[-1]))
    made = {"whole": Objective(extractor, targets, settings)}
    made["tiles"] = TiledObjective(extractor, targets, settings, _tile_bytes("tiles"))
    return {how: made[how] for how in ways}


def _tile_bytes(how: str) -> float | None:
    return memory.TILE_MIB * MIB if how == "tiles" else None


def _size(longer_px: int) -> tuple[int, int]:
    return longer_px * 3 // 4, longer_px


@cache
def _inputs(size: int) -> Inputs:
    """Two example pictures, the photo at 4:3, scaled to this longer side, px."""
    photo = pictures.load(EXAMPLES / "photos" / "coffee.jpg").resize((640, 480))
    style = pictures.load(EXAMPLES / "styles" / "impasto.jpg")
    return Inputs.of(photo, [style], Settings(size=size), choose_device().device)


def _mib(what: str) -> float:
    """VmRSS or VmHWM of this process, MiB; NaN except on Linux."""
    if not sys.platform.startswith("linux"):
        return float("nan")
    return int(Path("/proc/self/status").read_text().split(what + ":")[1].split()[0]) / 1024


def _draw(rows: list[Row], file: Path) -> None:
    import matplotlib  # imported here, because only the tests require it

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    matplotlib.rcParams["svg.hashsalt"] = "nst"  # the same file for the same numbers
    canvas, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 3.4), layout="constrained")
    for how, colour in COLOURS.items():
        sizes, peaks, estimates, seconds = zip(
            *(
                (row["px"], row["peak_mib"], row["estimate_mib"], row["gradient_s"])
                for row in rows
                if row["how"] == how
            ),
            strict=True,
        )
        left.plot(sizes, peaks, "o-", color=colour, label=how)
        left.plot(sizes, estimates, ":", color=colour, label=f"{how}, as estimated")
        right.plot(sizes, seconds, "o-", color=colour, label=how)
    left.set(title="peak memory above idle", ylabel="MiB")
    right.set(title="one gradient", ylabel="seconds")
    for axis in (left, right):
        axis.set(xscale="log", yscale="log", xlabel="longer side, px (4:3)", xticks=SIZES, xticklabels=SIZES)
        axis.minorticks_off()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    file.parent.mkdir(exist_ok=True)
    canvas.savefig(file, metadata={"Date": None, "Creator": None})
    print(f"{file.relative_to(EXAMPLES.parent)}, torch {torch.__version__}")
