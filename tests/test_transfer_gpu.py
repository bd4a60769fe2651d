"""Whole runs on a GPU, held to the same runs on the CPU."""

import gc

import numpy as np
import pytest
import torch
from PIL import Image

import nst
from nst import Degraded, Settings
from tests.runs import all_numbers, balanced_costs, part, quick, with_alpha


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gpu_run_ends_near_the_cpu_run(precision: str, photo, style) -> None:
    gpu = nst.stylise(photo, style, quick(steps=20, device="cuda", precision=precision))
    cpu = nst.stylise(photo, style, quick(steps=20, precision="float32"))
    (_, gpu_style), (_, cpu_style) = (balanced_costs(r.image, photo, style) for r in (gpu, cpu))
    assert gpu.compute.device.type == "cuda"
    assert gpu_style == pytest.approx(cpu_style, rel=0.2)


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_gpu_run_with_everything_at_once_ends_near_the_cpu_run(statistic: str, photo, style, other_style) -> None:
    clear = with_alpha(photo, Image.linear_gradient("L"))
    drawn = [part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 0.9, 1)]
    gpu, cpu = (
        nst.stylise(
            clear, [style, other_style],
            quick(
                steps=4, device=device, precision="float32", statistic=statistic, mask_edge=0.05, averaging=0.5,
                style_scale=1.5, colour="symmetric", colour_when="before",
            ),
            masks=drawn, start=style,
        )
        for device in ("cuda", "cpu")
    )  # fmt: skip
    assert gpu.history[-1].style == pytest.approx(cpu.history[-1].style, rel=0.1)
    assert np.abs(gpu.painting.pixels() - cpu.painting.pixels()).mean() < 0.02
    assert gpu.image.getchannel("A").tobytes() == cpu.image.getchannel("A").tobytes()


def test_gpu_default_run_takes_nine_tenths_of_the_style_cost_and_keeps_the_content(photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=128, device="cuda"))
    _, style_cost_of_start = balanced_costs(photo.resize(result.image.size, Image.Resampling.LANCZOS), photo, style)
    content_cost, style_cost = balanced_costs(result.image, photo, style)
    assert style_cost < 0.1 * style_cost_of_start
    assert content_cost < 1
    assert result.compute.dtype in (torch.bfloat16, torch.float32)


def test_gpu_runs_leave_no_memory_behind(photo, style) -> None:
    def left() -> int:
        nst.stylise(photo, style, quick(device="cuda", steps=5))
        gc.collect()
        return torch.cuda.memory_allocated()

    first = [left() for _ in range(2)][-1]
    assert [left() for _ in range(4)][-1] < first + 2**20


@pytest.mark.parametrize(("most_mib", "way_out"), [(1500, "tiles"), (2600, "more slowly")])
def test_gpu_run_that_is_short_of_memory_finds_a_way(most_mib: int, way_out: str, photo, style) -> None:
    large, total = photo.resize((1536, 1152)), torch.cuda.mem_get_info()[1]
    wanted = Settings(size=1536, steps=4, pyramid=False, device="cuda")
    nst.stylise(photo, style, quick(device="cuda"))  # libraries
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + most_mib * 2**20) / total)
    try:
        *events, last = nst.stylise_events(large, style, wanted)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert any(isinstance(event, Degraded) and way_out in event.reason for event in events)
    assert last.result.image.size == (1536, 1152)
    assert np.isfinite(all_numbers(last.result)).all()
