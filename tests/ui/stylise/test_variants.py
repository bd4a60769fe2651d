"""The panel of options: which grids it asks for, what they take, and what a click on a cell sets."""

from __future__ import annotations

import json
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from nst import Settings
from nst.grid import SIZE_PX
from nst.job import levels_of
from nst.ui.server.limits import page_limits
from nst.ui.stylise import variants
from nst.ui.stylise.form import RunRequest

MOST_WORK = 600_000  # pixels times steps, with overhead: 1.5 s on two quiet cores
CHOSEN = {**variants.FIRST, "option_px": SIZE_PX, "option_quality": "draft"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> object:
    """A function from the photo's shape to the planned grid."""

    def planned(shape: tuple[int, int] = (90, 60), **chosen: object) -> object:
        def run_request(_: object, **changes: object) -> RunRequest:
            return RunRequest(Image.new("RGB", shape), (Image.new("RGB", (90, 70)),), (), None, Settings(**changes))

        monkeypatch.setattr(variants, "run_request", run_request)
        monkeypatch.setattr(variants.estimate, "seconds", lambda *_, **__: 1.5)
        return variants._planned({**CHOSEN, **chosen}, {})[0]

    return planned


@pytest.mark.parametrize("shape", [(900, 600), (512, 512), (600, 620), (1600, 200), (200, 2000), (64, 64), (3000, 80)])
def test_a_grid_takes_no_longer_for_another_shape(shape: tuple[int, int], asked) -> None:
    grid = asked(shape)
    cells = grid.cells()
    assert len({(cell.settings.beta, cell.settings.style_scale) for cell in cells}) == len(cells) == 8
    for cell in cells:
        assert sum(level.work for level in levels_of(grid.photo, cell.settings)) < MOST_WORK


def test_strength_is_painted_as_beta_and_labelled_as_strength(asked) -> None:
    grid = asked(across_values="0, 50, 100", down="nothing")
    assert [cell.settings.beta for cell in grid.cells()] == [1, 10, 100]
    assert grid.across.labels == ("Strength 0", "Strength 50", "Strength 100")


@pytest.mark.parametrize("name", variants.VARYING)
def test_every_setting_has_values_that_can_be_painted_and_taken(name: str, asked) -> None:
    values = variants.fill("across", name)["across_values"]
    grid = asked(across=name, across_values=values, down="nothing")
    assert len({cell.settings for cell in map(_hashable, grid.cells())}) == len(values.split(","))
    written = variants._written(grid, grid.cells()[-1], (name, "nothing"))
    updates = variants.take(1.0, SimpleNamespace(settings=json.dumps(written)))
    assert set(updates) <= {*variants.TAKEN, "strength"}
    assert len(updates) >= 2


def _hashable(cell: object) -> SimpleNamespace:
    return SimpleNamespace(settings=repr(cell.settings))


def test_a_grid_over_the_time_limit_is_refused_before_it_starts(asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_MAX_SECONDS", "10")
    page_limits.cache_clear()
    with pytest.raises(
        ValueError, match="these 8 pictures take about 10 s, over this page's limit of 10 s; give fewer"
    ):
        asked()
    page_limits.cache_clear()


@pytest.mark.parametrize("forged", ["", "[]", '{"beta": "much"}', '{"beta": {}}', "7"])
def test_a_forged_cell_ends_in_a_sentence(forged: str) -> None:
    with pytest.raises(gr.Error, match="cannot be read"):
        variants.take(1.0, SimpleNamespace(settings=forged))
    assert variants.take(1.0, SimpleNamespace(settings='{"photo": "/etc/passwd"}')).keys() == {"status"}
