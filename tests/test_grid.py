"""The grid over two settings: its axes as text, its cells, its sheet."""

from __future__ import annotations

import pytest
from PIL import Image

from nst import Settings, recipe
from nst.grid import NAMES, Axis, Grid, sheet, sheet_text, usual_values

SETTINGS = Settings(size=64, quality="draft", steps=2, pyramid=False)


@pytest.mark.parametrize("name", NAMES)
def test_an_axis_is_read_back_from_its_text(name: str) -> None:
    axis = Axis.of(name, usual_values(name, Settings()).split(","))
    assert Axis.read(str(axis)).values == axis.values
    assert len(axis.labels) == len(axis.values) >= 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("size=1,2", "'size' cannot vary in a grid; choose from alpha, beta"),
        ("beta=", "beta has 0 values in the grid; give 1 to 8"),
        ("beta=" + "1," * 9, "beta has 9 values"),
        ("beta=1,much", "beta='much' cannot be read"),
        ("relu3_1=-1", "outside 0 to 1000000"),
        ("pooling=median", "'median' is not known; choose from max, average"),
    ],
)
def test_an_axis_that_is_none_is_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Axis.read(text)


def test_cells_differ_in_the_axes_alone(photo: Image.Image, style: Image.Image) -> None:
    grid = Grid.of(photo, [style], SETTINGS, Axis.read("relu3_1=0,0.5"), Axis.read("beta=1,10,40"))
    assert grid.shape == (3, 2)
    seen = [(cell.settings.beta, cell.settings.style_layers["relu3_1"]) for cell in grid.cells()]
    assert seen == [(1, 0), (1, 0.5), (10, 0), (10, 0.5), (40, 0), (40, 0.5)]
    assert {cell.settings.style_layers["relu1_1"] for cell in grid.cells()} == {0.2}


def test_an_illegal_combination_is_refused_before_the_first_picture(photo: Image.Image, style: Image.Image) -> None:
    with pytest.raises(ValueError, match="leave nothing to minimise"):
        Grid.of(photo, [style], SETTINGS, Axis.read("alpha=0,1"), Axis.read("beta=10,0"))
    with pytest.raises(ValueError, match="beta cannot vary across and down"):
        Grid.of(photo, [style], SETTINGS, Axis.read("beta=1,2"), Axis.read("beta=10,0"))


def test_a_sheet_shows_each_picture_in_its_place_and_holds_the_recipe(photo: Image.Image, style: Image.Image) -> None:
    grid = Grid.of(photo, [style], SETTINGS, Axis.read("beta=1,100"), Axis.read("init=content,noise"))
    finished = {(p.cell.row, p.cell.column): p for p in grid.paint() if p.result}
    assert list(finished) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    page = sheet(grid, {place: painted.picture for place, painted in finished.items()})
    width, height = finished[0, 0].picture.size
    found = [(x, y) for y in range(page.height) for x in range(page.width) if page.getpixel((x, y)) != (255, 255, 255)]
    assert max(y for _, y in found) > 2 * height
    for (row, column), painted in finished.items():
        corner = page.getpixel((page.width - (2 - column) * (width + 8), page.height - (2 - row) * (height + 8)))
        assert corner == painted.picture.getpixel((0, 0))
    text = sheet_text(grid, finished[0, 0].result, recipe.fingerprints(photo, [style]))
    assert text["Grid"] == "--across beta=1,100 --down init=content,noise"
    assert finished[0, 0].result.settings.beta == 1
