"""Forecasts against runs: how long they take, and what they are made of."""

from __future__ import annotations

import dataclasses

import pytest
from PIL import Image

import nst
from nst import Settings, estimate
from nst.settings import QUALITIES


def test_a_forecast_by_a_few_steps_is_near_the_run(
    photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUALITIES, "draft", (10, 6, 4))
    settings = Settings(size=128, quality="draft")
    nst.stylise(photo, style, settings)  # warm
    ratios: list[float] = []
    while not any(0.4 < ratio < 2 for ratio in ratios):  # other processes may disturb the one or the other
        assert len(ratios) < 3, ratios
        estimate._measured_pace.cache_clear()
        expected = estimate.seconds(estimate.levels_of(photo, settings), settings)
        ratios.append(expected / nst.stylise(photo, style, settings).seconds)


def test_a_forecast_after_a_run_is_that_run(photo: Image.Image, style: Image.Image) -> None:
    settings = Settings(size=96, quality="draft")
    result = nst.stylise(photo, style, settings)
    levels = estimate.levels_of(photo, settings)
    assert estimate.seconds(levels, settings, result) == pytest.approx(result.seconds)
    double = dataclasses.replace(settings, size=384)
    later = estimate.seconds(estimate.levels_of(photo, double), double, result)
    assert 1.5 < later / result.seconds < 20


def test_an_earlier_run_of_another_kind_or_cut_short_tells_nothing(photo: Image.Image, style: Image.Image) -> None:
    settings = Settings(size=64, pyramid=False, steps=3)
    levels = estimate.levels_of(photo, settings)
    measured = estimate.seconds(levels, settings)
    earlier = nst.stylise(photo, style, settings)
    absurd = dataclasses.replace(earlier, seconds=1000.0)
    assert estimate.seconds(levels, settings, absurd) == pytest.approx(1000)
    assert estimate.seconds(levels, settings, dataclasses.replace(absurd, stopped="budget")) == measured
    other = dataclasses.replace(settings, optimiser="adam")
    assert estimate.seconds(levels, other, absurd) < 100


def test_a_time_budget_is_the_longest_forecast(photo: Image.Image) -> None:
    settings = Settings(size=1024, quality="fine", max_seconds=0.5)
    assert estimate.seconds(estimate.levels_of(photo, settings), settings) == 0.5


def test_memory_grows_with_the_picture(photo: Image.Image) -> None:
    needs = [estimate.memory_mib(estimate.levels_of(photo, s), s) for s in (Settings(size=n) for n in (128, 384, 768))]
    assert needs == sorted(needs)
    assert needs[2] > 1.5 * needs[0]


def test_memory_counts_each_style_picture(photo: Image.Image) -> None:
    settings = Settings(size=512, style_scale=2.0)
    one, four = (estimate.memory_mib(estimate.levels_of(photo, settings), settings, styles) for styles in (1, 4))
    assert four - one == pytest.approx(3 * 3 * 4 * 768 * 1024 / 2**20)  # float32, 1024 x 768 px


def test_the_largest_size_in_a_time_is_the_last_whose_forecast_fits(photo: Image.Image) -> None:
    settings = Settings(size=4096, max_seconds=1.0)
    pace, most_s = 1e-6, 60.0
    sizes = range(64, 1100, 8)

    def needs(size: int) -> float:
        changed = dataclasses.replace(settings, size=size, max_seconds=None)
        return estimate.seconds(estimate.levels_of(photo, changed), changed, pace=pace)

    found = estimate.largest_size(photo, settings, most_s, sizes, pace=pace)
    assert needs(found) <= most_s
    assert all(needs(size) > most_s for size in sizes if size > found)
    assert estimate.largest_size(photo, settings, 1e-3, sizes, pace=pace) is None


def test_tiles_take_longer(photo: Image.Image) -> None:
    settings = Settings(size=256, pyramid=False)
    tiled = dataclasses.replace(settings, tile_px=64)
    whole_s, tiled_s = (estimate.seconds(estimate.levels_of(photo, s), s, pace=1e-6) for s in (settings, tiled))
    assert tiled_s == pytest.approx(estimate.TIMES_TILED * whole_s)
