"""The engine against the textbook loop: time of a step, time to the same cost, and the gain of each lever.

Both are measured alternately in one process. Absolute times drift on shared machines; ratios of neighbouring
measurements do not.
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
from nst.images.colour import luminance
from nst.objective.objective import Objective, Targets
from nst.optimise import loop
from nst.optimise.cuda_graph import WARM_UP_CALLS, CapturedStep
from nst.scaled_pictures import Inputs
from nst.schedule import Level, plan
from nst.settings import Settings, layer_names

Row = dict[str, Any]

PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = PACKAGE / "examples"  # the folder in a wheel
if not EXAMPLES.is_dir():
    EXAMPLES = PACKAGE.parent / "examples"  # in the repository
PAIRS = (("chelsea", "impasto"), ("coffee", "watercolour"))  # photo, style
COARSE_STEPS = (8, 8, 8)  # coarsest, middle and last level of our run; the last count is replaced by a limit
COARSEST_ON_GPU_PX = 200  # on a GPU a step on fewer pixels is not faster, and each level costs a new CUDA graph
MOST_STEPS = 400
MARGIN = 0.998  # factor of the goal: our cost is computed in bfloat16, and the textbook must also find it low enough


@dataclass(frozen=True)
class Lever:
    """A part of the engine that `ablation` takes away. The default takes nothing away."""

    device: str | None = None  # kind of device on which this part exists; None: on all
    dtype: torch.dtype | None = None  # None: the fastest number format of the device
    pyramid: bool = True
    photo_start: bool = True
    coloured_start: bool = True
    photo_detail: bool = True
    optimiser: loop.Make = loop.BoxLBFGS
    changed: tuple[tuple[ModuleType, str, Any], ...] = ()  # (module, name, value during the measurement)


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
    """An example photo and style picture, scaled for a run whose longer side is `size` px."""
    photo, style = (EXAMPLES / folder / f"{name}.jpg" for folder, name in zip(("photos", "styles"), pair, strict=True))
    return Inputs.of(pictures.load(photo), [pictures.load(style)], Settings(size=size), device)


def our_objective(inputs: Inputs, dtype: torch.dtype) -> Objective:
    """The engine's objective (value and gradient) with settings that make it the textbook's cost."""
    settings = same_cost_settings()
    extractor = FeatureExtractor(settings.layers, device=inputs.photo.device, dtype=dtype)
    return Objective(extractor, Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 1)), settings)


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median wall time of `repeats` calls after one warm-up call."""
    seconds_of(call)
    return sorted(seconds_of(call) for _ in range(repeats))[repeats // 2]


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall time of a call, until the device has finished its work."""
    started = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def as_in_a_run(objective: Objective, image: Tensor) -> Callable[[], Any]:
    """A function that computes the gradient at this picture as a run does: on CUDA as a captured graph."""
    call = partial(objective, image)
    if not image.is_cuda:
        return call
    recorded = CapturedStep(call, image.device)
    for _ in range(WARM_UP_CALLS + 1):
        recorded()
    return recorded


def step_flop(height: int, width: int) -> float:
    """Floating-point operations of a step up to relu5_1 on height x width px.

    Counted are the convolutions (direct) and the style matrices, each forward and backward to its input.
    """
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
    """Measured speed of a large square matrix product on this device, in operations per second."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / median_seconds(lambda: a @ b, 9)


def step(quick: bool) -> Iterator[Row]:
    """Seconds per step, ours and the textbook's, and the share of the matmul peak that our step reaches."""
    compute = choose_device()
    for size in (256,) if quick else (128, 256, 512, 1024):
        inputs = load_pair(PAIRS[0], size, compute.device)
        objective, textbook = our_objective(inputs, compute.dtype), Textbook(inputs)
        x = textbook.network_input(inputs.photo)
        before = matmul_flop_per_s(compute.device, compute.dtype)
        ours = median_seconds(as_in_a_run(objective, inputs.photo), 5 if quick else max(5, 4096 // size))
        peak = (before + matmul_flop_per_s(compute.device, compute.dtype)) / 2  # before and after: clock rates drift
        theirs = median_seconds(partial(textbook.step, x), 3)
        rate = step_flop(*inputs.size) / ours
        yield {
            **{"px": size, "ours_s": ours, "textbook_s": theirs, "ratio": theirs / ours},
            **{"gflop_per_s": rate / 1e9, "matmul_gflop_per_s": peak / 1e9, "of_matmul": rate / peak},
        }


def threads(quick: bool) -> Iterator[Row]:
    """Seconds per step at 256 px on 1, 2 and 4 threads, and the speed-up over one thread."""
    compute, threads_before = choose_device(), torch.get_num_threads()
    inputs = load_pair(PAIRS[0], 256, compute.device)
    objective = our_objective(inputs, compute.dtype)
    one_thread_s = math.nan
    for count in (1, 2) if quick else (1, 2, 4):
        torch.set_num_threads(count)
        seconds = median_seconds(partial(objective, inputs.photo), 9)
        one_thread_s = seconds if count == 1 else one_thread_s
        yield {"threads": count, "cores": os.cpu_count(), "step_s": seconds, "speed_up": one_thread_s / seconds}
    torch.set_num_threads(threads_before)


def quality(quick: bool) -> Iterator[Row]:
    """Seconds until our cost is as low as the textbook's best after n of its steps, both of clamped pictures."""
    compute = choose_device()
    marks = (25,) if quick else (100, 200, 400)
    for size in (256,) if quick else (256, 384):
        for pair in PAIRS[:1] if quick else PAIRS:
            inputs = load_pair(pair, size, compute.device)
            textbook = Textbook(inputs)
            goal = math.inf
            to_goal(inputs, goal, compute.dtype)  # warm up; the textbook warms up during its many steps
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
    """Run the engine level by level until the cost of the last level is at most the goal.

    "steps" counts those of the last level, "seconds" those of all levels, "image" is the picture. Steps and seconds
    are infinite when `MOST_STEPS` are not enough.
    """
    settings = same_cost_settings()
    with ExitStack() as meanwhile:
        if lever.changed:
            kept_kernels.clear()  # kernels built for one lever must not serve another
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
            detail = luminance(inputs.photo)
            image = pictures.enlarge(image, size, detail) if lever.photo_detail else pictures.resize(image, size)
            steps = loop.minimise(objective, image, level.steps, lever.optimiser)
            for count, evaluation in enumerate(steps, start=1):
                image = evaluation.image
                if level is levels[-1] and evaluation.cost <= MARGIN * goal:
                    return {"steps": count, "seconds": time.perf_counter() - began, "image": image}
    return {"steps": math.inf, "seconds": math.inf, "image": image}


def levels_to_goal(inputs: Inputs, last_steps: int, pyramid: bool = True) -> list[Level]:
    """The levels of our run; the last one takes `last_steps` steps at most. A GPU skips the smallest levels."""
    levels = plan(*inputs.size, COARSE_STEPS, last_steps, pyramid=pyramid)
    least_px = COARSEST_ON_GPU_PX if inputs.photo.is_cuda else 0
    return [level for level in levels if level is levels[-1] or max(level.height, level.width) >= least_px]


def ablation(quick: bool) -> Iterator[Row]:
    """Seconds to the textbook's cost after 200 steps, with one lever taken away at a time; the best of several runs.

    At 256 px on a CPU and at 512 px on a GPU, where smaller pictures would have no coarse level.
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
