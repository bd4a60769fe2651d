"""Forecasts are compared with runs of a simulated machine. For real ones see `python -m nst.bench`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest
from PIL import Image

from nst import Result, Settings, estimate
from nst.device import choose_device
from nst.images import pictures
from nst.job import levels_of
from nst.schedule import STEP_OVERHEAD_PX, Level

PACE = 2e-6  # seconds per pixel of a step of the simulated machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Settings]]:
    """Runs take `PACE` on a CPU, but every third step is disturbed. Returns a list of what was measured."""
    measured: list[Settings] = []

    def stylise(_photo: Image.Image, _style: Image.Image, settings: Settings) -> SimpleNamespace:
        measured.append(settings)
        taken = [
            (3 if step % 3 == 0 else 1) * seconds_of_step(settings.size, settings.size)
            for step in range(settings.steps)
        ]
        return SimpleNamespace(history=[SimpleNamespace(seconds=s) for s in itertools.accumulate(taken)])

    monkeypatch.setattr(estimate, "stylise", stylise)
    monkeypatch.setattr(estimate, "_device", lambda settings: "cpu")
    estimate.PACES.clear()
    yield measured
    estimate.PACES.clear()


def seconds_of_step(height: int, width: int) -> float:
    return PACE * (height * width + STEP_OVERHEAD_PX)


def seconds_of_run(levels: Sequence[Level]) -> float:
    """Each level takes a step more: its targets and first gradient, less the gradient that the last step saves."""
    return sum((level.steps + 1) * seconds_of_step(level.height, level.width) for level in levels)


def run_of(photo: Image.Image, settings: Settings, **changes: object) -> Result:
    """A finished run on the simulated machine."""
    took_s = seconds_of_run(levels_of(photo, settings))
    image = pictures.scaled(photo, pictures.result_size(photo, settings.size))
    result = Result(image, None, (), settings, choose_device("cpu"), seconds=took_s, stopped="completed")
    return dataclasses.replace(result, **changes)


def test_a_forecast_by_a_few_steps_is_the_time_of_the_run(photo: Image.Image, machine: list[Settings]) -> None:
    for settings in (
        Settings(size=128, quality="draft"),
        Settings(size=700),
        Settings(size=64, pyramid=False, steps=3),
    ):
        levels = levels_of(photo, settings)
        assert estimate.seconds(levels, settings) == pytest.approx(seconds_of_run(levels))
    assert len(machine) == 1, "steps of one kind are measured once"
    estimate.seconds(levels, dataclasses.replace(settings, optimiser="adam"))
    assert [asked.optimiser for asked in machine] == ["lbfgs", "adam"]


def test_a_forecast_after_a_run_is_that_run_and_nothing_is_measured(photo: Image.Image, machine) -> None:
    settings, large = (Settings(size=size, quality="draft") for size in (96, 384))
    for wanted in (settings, large):
        levels = levels_of(photo, wanted)
        found = estimate.seconds(levels, wanted, run_of(photo, settings))
        assert found == pytest.approx(seconds_of_run(levels))
        slower = run_of(photo, settings, seconds=10 * run_of(photo, settings).seconds)
        assert estimate.seconds(levels, wanted, slower) == pytest.approx(10 * found)
    assert not machine


def test_an_earlier_run_of_another_kind_or_cut_short_tells_nothing(photo: Image.Image, machine) -> None:
    settings = Settings(size=64, pyramid=False, steps=3)
    levels = levels_of(photo, settings)
    absurd = run_of(photo, settings, seconds=1000.0)
    assert estimate.seconds(levels, settings, absurd) == pytest.approx(1000)
    cut_short, other = dataclasses.replace(absurd, stopped="budget"), dataclasses.replace(settings, optimiser="adam")
    for wanted, earlier in ((settings, cut_short), (other, absurd)):
        assert estimate.seconds(levels, wanted, earlier) == pytest.approx(seconds_of_run(levels))


def test_a_time_budget_is_the_longest_forecast(photo: Image.Image, machine) -> None:
    settings = Settings(size=1024, quality="fine", max_seconds=0.5)
    assert estimate.seconds(levels_of(photo, settings), settings) == 0.5


def test_memory_grows_with_the_picture(photo: Image.Image) -> None:
    needs = [estimate.memory_mib(levels_of(photo, s), s) for s in (Settings(size=n) for n in (128, 384, 768))]
    assert needs == sorted(needs)
    assert needs[2] > 1.5 * needs[0]


def test_memory_counts_each_style_picture(photo: Image.Image) -> None:
    settings = Settings(size=512, style_scale=2.0)
    one, four = (estimate.memory_mib(levels_of(photo, settings), settings, styles) for styles in (1, 4))
    assert four - one == pytest.approx(3 * 3 * 4 * 768 * 1024 / 2**20)  # float32, 1024 x 768 px


def test_the_largest_size_in_a_time_is_the_last_whose_forecast_fits(photo: Image.Image) -> None:
    settings = Settings(size=4096, max_seconds=1.0)
    pace, most_s = 1e-6, 60.0
    sizes = range(64, 1100, 8)

    def needs(size: int) -> float:
        changed = dataclasses.replace(settings, size=size, max_seconds=None)
        return estimate.seconds(levels_of(photo, changed), changed, pace=pace)

    found = estimate.largest_size(photo, settings, most_s, sizes, pace=pace)
    assert needs(found) <= most_s
    assert all(needs(size) > most_s for size in sizes if size > found)
    assert estimate.largest_size(photo, settings, 1e-3, sizes, pace=pace) is None


def test_tiles_take_longer(photo: Image.Image) -> None:
    settings = Settings(size=256, pyramid=False)
    tiled = dataclasses.replace(settings, tile_px=64)
    whole_s, tiled_s = (estimate.seconds(levels_of(photo, s), s, pace=1e-6) for s in (settings, tiled))
    assert tiled_s == pytest.approx(estimate.TIMES_TILED * whole_s)


def test_nothing_is_measured_when_it_would_disturb_a_run(photo: Image.Image, machine: list[Settings]) -> None:
    settings = Settings(size=64, pyramid=False, steps=3)
    levels = levels_of(photo, settings)
    assert estimate.seconds(levels, settings, watch=lambda: None) is None
    assert estimate.largest_size(photo, settings, 60.0, (64, 128), watch=lambda: None) is None
    assert not machine
    expected_s = estimate.seconds(levels, settings)
    assert estimate.seconds(levels, settings, watch=lambda: None) == expected_s, "what is known is told at any time"


def test_a_pace_that_was_measured_under_load_is_told_but_not_kept(
    photo: Image.Image, machine: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(size=64, pyramid=False, steps=3)
    levels = levels_of(photo, settings)
    assert estimate.seconds(levels, settings, watch=lambda: lambda: False) == pytest.approx(seconds_of_run(levels))
    assert len(machine) == 1, "a run has begun meanwhile"
    uneven = itertools.accumulate((1.0, 0.3, 0.1, 0.3, 0.3, 0.2))
    history = [SimpleNamespace(seconds=s) for s in uneven]
    monkeypatch.setattr(estimate, "stylise", lambda *_: machine.append(settings) or SimpleNamespace(history=history))
    for times in (2, 3):
        assert estimate.seconds(levels, settings) is not None
        assert len(machine) == times, "other programs had the processor"
