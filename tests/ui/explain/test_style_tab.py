"""The tab "What is style?": its numbers are compared with the engine's."""

from __future__ import annotations

import re

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from nst.explain import channels, layer_studies
from nst.explain.look import Look, cut, look_at, strongest_patches
from nst.ui.explain import views
from nst.ui.explain.heatmaps import SCALES, matrix_figure
from nst.ui.explain.views import ABOVE, BELOW, overlay, sheet
from nst.ui.server import examples

PHOTO, STYLE, RESULT, _ = examples.first_sight()
GIVEN = (PHOTO, STYLE, None)


@pytest.fixture(scope="module")
def look() -> Look:
    return look_at(STYLE)


@pytest.mark.parametrize("ordering", channels.ORDERINGS)
@pytest.mark.parametrize("kind", channels.KINDS)
def test_a_cell_tells_its_channels_and_the_matrix_entry(look: Look, kind: str, ordering: str) -> None:
    updates = views.show_matrix("style", "relu2_1", kind, ordering, "logarithm", *GIVEN)
    (heat,), words = updates["matrix"].data, updates["matrix_words"]
    block = look.block("relu2_1")
    entries = channels.matrix(block, kind)
    for row, column in ((0, 0), (3, 77), (127, 5)):
        k, m = int(heat.y[row]), int(heat.x[column])
        assert np.asarray(heat.customdata)[row, column] == pytest.approx(entries[k, m], rel=1e-5, abs=1e-8)
    assert "144 x 192 positions x 128 channels" in words or "192 x 144 positions x 128 channels" in words
    assert updates["pairs"].value == views.pair_name(
        *[getattr(channels.strongest_pairs(block, kind)[0], n) for n in "km"]
    )


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_keeps_order_and_sign(scale: str) -> None:
    values = np.array([[-4.0, 0.0], [1.0, 100.0]])
    coloured = SCALES[scale](values)
    assert (np.argsort(coloured, axis=None) == np.argsort(values, axis=None)).all()
    assert (np.sign(coloured) == np.sign(values)).all()
    signed = matrix_figure(values, np.arange(2), scale).data[0]
    assert signed.zmin == -signed.zmax, "zero has the colour between"


@pytest.mark.parametrize("kind", channels.KINDS)
def test_the_number_under_the_product_map_is_the_matrix_entry(look: Look, kind: str) -> None:
    updates = views.show_pair("style", "relu3_1", kind, 12, 40, *GIVEN)
    sentence, number = updates.pop("relation"), updates.pop("entry")
    entry = channels.matrix(look.block("relu3_1"), kind)[12, 40]
    told = float(re.search(r"\*\*([^*]+)\*\*", number)[1])
    assert told == pytest.approx(entry, rel=1e-3)
    assert {"12", "40"} <= set(re.findall(r"\d+", sentence))
    assert set(updates) == {"map_k", "patches_k", "map_m", "patches_m", "product"}
    assert "24 x 24 pixels" in number


def test_an_overlay_is_hot_where_the_map_is_and_cold_where_it_is_below_zero(look: Look) -> None:
    height, width, _ = look.shape("relu3_1")
    values = np.zeros((height, width), np.float32)
    values[10, 20], values[40, 50] = 2.0, -2.0
    drawn = np.asarray(overlay(look, "relu3_1", values), dtype=float)
    for (row, column), colour in (((10, 20), ABOVE), ((40, 50), BELOW)):
        middle = drawn[4 * row + 1 : 4 * row + 3, 4 * column + 1 : 4 * column + 3].mean((0, 1))
        assert np.abs(middle - colour).max() < 80
    away = drawn[-20:, :20]
    assert np.abs(away - away.mean(-1, keepdims=True)).max() <= 1, "grey elsewhere"


def test_a_sheet_shows_the_strongest_patch_first(look: Look) -> None:
    patches = strongest_patches(look, "relu3_1", 12)
    first = np.asarray(sheet(look, patches), dtype=float)[:84, :84]
    expected = cut(look, patches[0]).resize((84, 84), Image.Resampling.BICUBIC)
    assert np.abs(first - np.asarray(expected)).mean() < 12
    assert sheet(look, []) is None


def test_the_result_is_the_examples_until_there_is_one() -> None:
    assert views.picture_of("result", *GIVEN) == RESULT
    other = examples.styles()["mosaic"]
    with pytest.raises(ValueError, match="no result of these two pictures yet; press Stylise"):
        views.picture_of("result", PHOTO, other, None)
    with pytest.raises(ValueError, match="there is no photo yet"):
        views.picture_of("photo", None, STYLE, None)


@pytest.fixture(scope="module")
def comparison() -> dict:
    return views.show_comparison("relu3_1", "gram", "energy", "linear", *GIVEN)


def test_the_result_has_become_the_styles(comparison: dict) -> None:
    photo, style, result, difference = (np.asarray(trace.customdata) for trace in comparison["matrices"].data)
    assert np.abs(result - style).sum() < 0.5 * np.abs(photo - style).sum()
    np.testing.assert_allclose(difference, result - style, rtol=1e-4, atol=1e-3 * style.max())
    before, after = (np.asarray(trace.y) for trace in comparison["bars"].data)
    assert (after < before).all()
    assert "relu3_1" in comparison["compare_words"]


def test_wrong_channels_end_in_a_sentence() -> None:
    with pytest.raises(gr.Error, match="channel 999 is not there; choose from 0 to 255"):
        views.show_pair("style", "relu3_1", "gram", 999, 0, *GIVEN)


def test_every_example_has_its_studies() -> None:
    for path in examples.styles().values():
        textures = views.show_shipped_studies(None, path)["textures"]
        assert [layer for _, layer in textures] == list(layer_studies.TEXTURE_LAYERS)
    for path in examples.photos().values():
        contents = views.show_shipped_studies(path, None)["contents"]
        assert [layer for _, layer in contents] == list(layer_studies.CONTENT_LAYERS)
    assert views.show_shipped_studies(None, "/somewhere/mine.jpg") == {"textures": [], "contents": []}
