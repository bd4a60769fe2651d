"""The engine against the textbook, in turns in one run: a step, the time to the same cost, what each lever brings.

Absolute times drift on shared machines; ratios of neighbours do not.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from nst.bench.textbook import CHANNELS, Textbook, same_cost_settings
from nst.device import choose_device
from nst.features import layers, weights, winograd
from nst.features.extractor import FeatureExtractor, kept_kernels
from nst.images import pictures
from nst.objective.objective import Objective, Targets
from nst.optimise import loop
from nst.optimise.cuda_graph import WARM_UP_CALLS, CapturedStep
from nst.scaled_pictures import Inputs
from nst.schedule import Level, plan
from nst.settings import Settings, layer_names

Row = dict[str, Any]

PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = PACKAGE / "examples"  # where a wheel puts them
if not EXAMPLES.is_dir():
    EXAMPLES = PACKAGE.parent / "examples"  # in the repository
PAIRS = (("chelsea", "impasto"), ("coffee", "watercolour"))  # photo, style
COARSE_STEPS = (8, 8, 8)  # coarsest, middle and last level of our run; the last goes on until the goal
COARSEST_ON_GPU_PX = 200  # where a step on less takes as long, and each level is recorded anew
MOST_STEPS = 400
MARGIN = 0.998  # our own count of the cost comes from bfloat16; this makes sure that the textbook agrees


@dataclass(frozen=True)
class Lever:
    """What `ablation` takes away from the engine; as it stands, nothing."""

    device: str | None = None  # the only kind where it is one
    dtype: torch.dtype | None = None  # None: the fastest here
    pyramid: bool = True
    photo_start: bool = True
    coloured_start: bool = True
    photo_detail: bool = True
    optimiser: loop.Make = loop.BoxLBFGS
    changed: tuple[tuple[ModuleType, str, Any], ...] = ()  # names in our modules, and what they are meanwhile


LEVERS = {
    "nothing": Lever(),
    "bfloat16": Lever(dtype=torch.float32),
    "weights packed once": Lever("cpu", changed=((layers, "PACKED_DTYPES", ()),)),
    "Winograd's convolution": Lever("cpu", changed=((winograd, "FEWEST_PAIRS", math.inf),)),
    "steps recorded as a graph": Lever("cuda", changed=((loop, "CapturedStep", lambda step, device: step),)),
    "bias and relu in the convolution": Lever("cuda", changed=((layers, "FUSED_DTYPES", ()),)),
    "the first convolution on matrix units": Lever("cuda", changed=((layers, "SPLIT", ()),)),
    "pooling in Triton": Lever("cuda", changed=((layers, "gpu_pooling", lambda: None),)),
    "coarse levels": Lever(pyramid=False),
    "the style's colours in the start": Lever(coloured_start=False),
    "start from the photo": Lever(photo_start=False, photo_detail=False),
    "the photo's detail at finer levels": Lever(photo_detail=False),
    "frequency preconditioner": Lever(optimiser=partial(loop.BoxLBFGS, power=0.0)),
    "local step lengths": Lever(optimiser=partial(loop.BoxLBFGS, local=0.0)),
    "doubled initial scale": Lever(optimiser=partial(loop.BoxLBFGS, gain=1.0)),
    "L-BFGS (Adam instead)": Lever(optimiser=loop.ProjectedAdam),
}


def load_pair(pair: tuple[str, str], size: int, device: torch.device) -> Inputs:
    """Two example pictures at the size of a run."""
    photo, style = (EXAMPLES / folder / f"{name}.jpg" for folder, name in zip(("photos", "styles"), pair, strict=True))
    return Inputs.of(pictures.load(photo), [pictures.load(style)], Settings(size=size), device)


def our_objective(inputs: Inputs, dtype: torch.dtype) -> Objective:
    """The engine's value and gradient for the textbook's cost."""
    settings = same_cost_settings()
    extractor = FeatureExtractor(settings.layers, device=inputs.photo.device, dtype=dtype)
    return Objective(extractor, Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 1)), settings)


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median wall time of a call after one to warm up."""
    seconds_of(call)
    return sorted(seconds_of(call) for _ in range(repeats))[repeats // 2]


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall time of a call, the device having finished."""
    started = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def as_in_a_run(objective: Objective, image: Tensor) -> Callable[[], Any]:
    """A call that computes the gradient at this picture as a run does: on CUDA by a recorded step."""
    call = partial(objective, image)
    if not image.is_cuda:
        return call
    recorded = CapturedStep(call, image.device)
    for _ in range(WARM_UP_CALLS + 1):
        recorded()
    return recorded


def step_flop(height: int, width: int) -> float:
    """Operations of a step to relu5_1: direct convolutions, forward and to their input, style matrices both ways."""
    total, channels = 0.0, 3
    for name in layer_names()[: layer_names().index("relu5_1") + 1]:
        if name.startswith("conv"):
            fan_in, channels = channels, weights.load("vgg19")[name][0].shape[0]
            total += 2 * (2 * 9 * fan_in * channels * height * width)
        elif name.startswith("pool"):
            height, width = height // 2, width // 2
        elif name in CHANNELS:
            total += 2 * (2 * channels**2 * height * width)
    return total


def matmul_flop_per_s(device: torch.device, dtype: torch.dtype) -> float:
    """What this machine does on a large square product in this precision, measured now."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / median_seconds(lambda: a @ b, 9)


def step(quick: bool) -> Iterator[Row]:
    """Seconds per step beside the textbook's, and the share of the matmul peak that ours reaches."""
    compute = choose_device()
    for size in (256,) if quick else (128, 256, 512, 1024):
        inputs = load_pair(PAIRS[0], size, compute.device)
        objective, textbook = our_objective(inputs, compute.dtype), Textbook(inputs)
        x = textbook.network_input(inputs.photo)
        before = matmul_flop_per_s(compute.device, compute.dtype)
        ours = median_seconds(as_in_a_run(objective, inputs.photo), 5 if quick else max(5, 4096 // size))
        peak = (before + matmul_flop_per_s(compute.device, compute.dtype)) / 2  # around ours: clocks drift
        theirs = median_seconds(partial(textbook.step, x), 3)
        rate = step_flop(*inputs.size) / ours
        yield {
            **{"px": size, "ours_s": ours, "textbook_s": theirs, "ratio": theirs / ours},
            **{"gflop_per_s": rate / 1e9, "matmul_gflop_per_s": peak / 1e9, "of_matmul": rate / peak},
        }


def threads(quick: bool) -> Iterator[Row]:
    """Seconds per step at 256 px on 1, 2 and 4 threads, and how much faster than on one."""
    compute, usual = choose_device(), torch.get_num_threads()
    inputs = load_pair(PAIRS[0], 256, compute.device)
    objective = our_objective(inputs, compute.dtype)
    alone = math.nan
    for count in (1, 2) if quick else (1, 2, 4):
        torch.set_num_threads(count)
        seconds = median_seconds(partial(objective, inputs.photo), 9)
        alone = seconds if count == 1 else alone
        yield {"threads": count, "cores": os.cpu_count(), "step_s": seconds, "speed_up": alone / seconds}
    torch.set_num_threads(usual)


def quality(quick: bool) -> Iterator[Row]:
    """Seconds to the best clamped cost that the textbook has shown after so many of its steps."""
    compute = choose_device()
    marks = (50,) if quick else (100, 200, 400)
    for size in (256,) if quick else (256, 384):
        for pair in PAIRS[:1] if quick else PAIRS:
            inputs = load_pair(pair, size, compute.device)
            textbook = Textbook(inputs)
            goal = math.inf
            to_goal(inputs, goal, compute.dtype)  # warm up: the textbook's many steps do that for themselves
            for count, seconds, picture in textbook.run(max(marks)):
                if count % 10 == 0:
                    goal = min(goal, textbook.clamped_cost(picture))
                if count in marks:
                    ours = to_goal(inputs, goal, compute.dtype)
                    yield {
                        **{"pair": "+".join(pair), "px": size, "textbook_steps": count, "textbook_s": seconds},
                        **{"ours_steps": ours["steps"], "ours_s": ours["seconds"], "ratio": seconds / ours["seconds"]},
                        **{"cost": goal, "ours_cost": textbook.clamped_cost(ours["image"])},
                    }


def to_goal(inputs: Inputs, goal: float, dtype: torch.dtype, lever: Lever = LEVERS["nothing"]) -> Row:
    """Run the engine's own levels until the last one reaches the goal: steps there, seconds in all, the picture."""
    settings = same_cost_settings()
    with ExitStack() as meanwhile:
        if lever.changed:
            kept_kernels.clear()  # others are built meanwhile
            meanwhile.callback(kept_kernels.clear)
        for change in lever.changed:
            meanwhile.enter_context(patch.object(*change))
        extractor = FeatureExtractor(settings.layers, device=inputs.photo.device, dtype=lever.dtype or dtype)
        began = time.perf_counter()
        levels = levels_to_goal(inputs, MOST_STEPS, lever.pyramid)
        image = inputs.coloured([1.0]) if lever.coloured_start else inputs.photo
        if not lever.photo_start:
            image = torch.full_like(inputs.photo, 0.5)
        for level in levels:
            objective = Objective(extractor, Targets.of(inputs, extractor, settings, level), settings)
            size = level.height, level.width
            image = pictures.enlarge(image, size, inputs.photo) if lever.photo_detail else pictures.resize(image, size)
            steps = loop.minimise(objective, image, level.steps, lever.optimiser)
            for count, evaluation in enumerate(steps, start=1):
                image = evaluation.image
                if level is levels[-1] and evaluation.cost <= MARGIN * goal:
                    return {"steps": count, "seconds": time.perf_counter() - began, "image": image}
    return {"steps": math.inf, "seconds": math.inf, "image": image}


def levels_to_goal(inputs: Inputs, last_steps: int, pyramid: bool = True) -> list[Level]:
    """The levels of a run of ours that goes on until a goal, for so many steps at most."""
    levels = plan(*inputs.size, COARSE_STEPS, last_steps, pyramid=pyramid)
    least_px = COARSEST_ON_GPU_PX if inputs.photo.is_cuda else 0
    return [level for level in levels if level is levels[-1] or max(level.height, level.width) >= least_px]


def ablation(quick: bool) -> Iterator[Row]:
    """Seconds to the textbook's cost after 200 of its steps with one lever taken away at a time; the best of a few.

    At 256 px, and at 512 px on a GPU, where smaller pictures have no coarse level.
    """
    compute = choose_device()
    on_gpu = compute.device.type == "cuda"
    inputs = load_pair(PAIRS[0], 512 if on_gpu else 256, compute.device)
    textbook = Textbook(inputs)
    goal = min(textbook.clamped_cost(picture) for count, _, picture in textbook.run(60 if quick else 200) if count > 50)
    to_goal(inputs, goal, compute.dtype)  # warm-up
    whole = math.nan
    for name, lever in LEVERS.items():
        if lever.device in (None, compute.device.type):
            runs = [to_goal(inputs, goal, compute.dtype, lever) for _ in range(5 if on_gpu else 1)]
            best = min(runs, key=lambda run: run["seconds"])
            whole = best["seconds"] if name == "nothing" else whole
            yield {"without": name, "steps": best["steps"], "seconds": best["seconds"],
                   "times_slower": best["seconds"] / whole}  # fmt: skip
