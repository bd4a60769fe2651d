"""The lesson: what its views in the browser get is compared with the engine's numbers."""

from __future__ import annotations

import base64
import json

import gradio as gr
import numpy as np
import pytest

from nst.explain import channels, layer_studies
from nst.explain.look import Look
from nst.ui.explain import layout, payloads, studies, views
from nst.ui.explain.views import FIRST_LAYER, Asked
from nst.ui.server import examples
from nst.ui.stylise.visit import Visit

PHOTO, STYLE, RESULT, _ = examples.first_sight()
GIVEN = (PHOTO, STYLE, Visit())
FIRST = ("style", FIRST_LAYER, "gram", *views.first_pair(), *GIVEN)


@pytest.fixture(scope="module")
def look() -> Look:
    return Asked.of(*FIRST).look


def data_of(updates: dict) -> dict:
    return json.loads(updates["data"])


def map_of(packed: dict, grid: list[int]) -> np.ndarray:
    """A map as the browser reads it."""
    values = np.frombuffer(base64.b64decode(packed["values"]), "<u2").reshape(grid)
    return values * packed["scale"]


def matrix_of(packed: dict) -> np.ndarray:
    """A matrix as the browser reads it."""
    count = packed["count"]
    found = np.zeros((count, count))
    found[np.triu_indices(count)] = (
        np.frombuffer(base64.b64decode(packed["values"]), "<f2").astype(float) * packed["scale"]
    )
    return found + np.triu(found, 1).T


@pytest.mark.parametrize(("layer", "k", "m"), [("relu3_1", 12, 40), ("relu1_1", 3, 3), ("relu5_1", 500, 7)])
def test_the_maps_of_a_pair_are_its_activations_and_their_products_add_up(
    look: Look, layer: str, k: int, m: int
) -> None:
    pair = data_of(views.show_step("pair", "style", layer, "gram", k, m, *GIVEN))["pair"]
    block = look.block(layer)
    assert pair["grid"] == list(look.shape(layer)[:2])
    maps = [map_of(packed, pair["grid"]) for packed in pair["maps"]]
    for found, channel in zip(maps, (k, m), strict=True):
        np.testing.assert_allclose(found, block[0, channel].numpy(), atol=1e-5 * float(block[0, channel].max()))
    entry = channels.matrix(block)[k, m]
    assert pair["entry"] == pytest.approx(entry, rel=1e-4)
    assert (maps[0] * maps[1]).sum() == pytest.approx(entry, rel=1e-3)
    assert pair["share_of_means"] == pytest.approx(maps[0].mean() * maps[1].mean() * maps[0].size / entry, rel=1e-3)


@pytest.mark.parametrize("kind", channels.KINDS)
def test_the_matrix_in_the_browser_is_the_layers(look: Look, kind: str) -> None:
    found = payloads.matrix(look, "relu2_1", kind)
    entries = channels.matrix(look.block("relu2_1"), kind)
    np.testing.assert_allclose(matrix_of(found["entries"]), entries, rtol=1e-3, atol=2e-7 * found["largest"])
    assert found["signed"] == (kind != "gram")
    assert all(sorted(order) == list(range(128)) for order in found["orders"].values())
    k, m, value = found["pairs"][0]
    assert value == pytest.approx(entries[k, m])


def test_a_channel_comes_with_the_positions_that_excite_it_most(look: Look) -> None:
    k = int(channels.order(look.block("relu3_1"), "energy")[0])
    found = payloads.channel(look, "relu3_1", k)
    assert [k, *found["patches"][0][:2]] == found["choices"][0]
    assert found["patches"][0][2] == float(look.block("relu3_1")[0, k].max())
    assert found["field"] == [24, 4, -10]


@pytest.fixture(scope="module")
def computed() -> dict[str, dict]:
    """The data of the example by name, computed as for any other picture."""
    return {name: Asked.of(*FIRST).data(name) for names in views.STEPS.values() for name in names}


@pytest.mark.parametrize("step", views.STEPS)
def test_the_example_that_is_shipped_is_what_would_be_computed(step: str, computed: dict[str, dict]) -> None:
    shipped = data_of(views.show_step(step, *FIRST))
    assert shipped.keys() == set(views.STEPS[step])
    for name, found in shipped.items():
        assert_same(found, json.loads(json.dumps(computed[name])), name)


def assert_same(shipped: object, computed: object, name: str) -> None:
    """Equal up to rounding; pictures are compared by their presence, because encoders differ."""
    if name in ("src", "texture"):
        assert str(shipped).startswith("data:image/jpeg;base64,") == str(computed).startswith("data:image")
    elif name == "matrix_change":
        assert max(shipped, computed) < 1e-5
    elif isinstance(shipped, dict) and "values" in shipped:
        kind = "<f2" if "count" in shipped else "<u2"
        read = (np.frombuffer(base64.b64decode(each["values"]), kind).astype(float) for each in (shipped, computed))
        a, b = (values * each["scale"] for values, each in zip(read, (shipped, computed), strict=True))
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4 * np.abs(a).max())
    elif isinstance(shipped, dict):
        assert shipped.keys() == computed.keys()
        for key, value in shipped.items():
            assert_same(value, computed[key], key)
    elif name == "order" or name == "orders":
        assert sorted(map(str, np.ravel(shipped))) == sorted(map(str, np.ravel(computed)))
    elif isinstance(shipped, list):
        assert len(shipped) == len(computed)
        for one, other in zip(shipped, computed, strict=True):
            assert_same(one, other, name)
    elif isinstance(shipped, float):
        assert computed == pytest.approx(shipped, rel=1e-3)
    else:
        assert shipped == computed


def test_what_another_visitor_looks_at_is_not_the_shipped_example() -> None:
    for source, layer, kind, k, m in (
        ("photo", FIRST_LAYER, "gram", *FIRST[3:5]),
        ("style", "relu2_1", "gram", *FIRST[3:5]),
        ("style", FIRST_LAYER, "correlation", *FIRST[3:5]),
        ("style", FIRST_LAYER, "gram", 1, 2),
    ):
        assert not Asked.of(source, layer, kind, k, m, *GIVEN).is_first_sight("pair")
    other = examples.styles()["mosaic"]
    assert not Asked.of("style", FIRST_LAYER, "gram", *FIRST[3:5], PHOTO, other, Visit()).is_first_sight("pair")


def test_the_result_has_become_the_styles(look: Look) -> None:
    cost = data_of(views.show_step("cost", *FIRST))["cost"]
    photo, style, result = (matrix_of(cost["matrices"][name]) for name in ("photo", "style", "result"))
    assert np.abs(result - style).sum() < 0.5 * np.abs(photo - style).sum()
    assert [layer for layer, _, _ in cost["costs"]] == list(layer_studies.TEXTURE_LAYERS)
    assert all(after < before for _, before, after in cost["costs"])
    expected = channels.matrix(look.block(FIRST_LAYER)) / look.block(FIRST_LAYER)[0, 0].numel()
    np.testing.assert_allclose(style, expected, rtol=2e-3, atol=1e-4 * expected.max())


def test_another_layer_begins_with_its_strongest_pair(look: Look) -> None:
    updates = views.show_layer("pair", "style", "relu2_1", "gram", 250, 251, *GIVEN)
    strongest = channels.strongest_pairs(look.block("relu2_1"), "gram", 1)[0]
    assert (updates["k"], updates["m"]) == (strongest.k, strongest.m)
    assert data_of(updates)["pair"]["pairs"][0] == [strongest.k, strongest.m]


def test_a_click_changes_the_pair_or_the_kind_and_nonsense_nothing() -> None:
    def click(step: str, **asked: object) -> dict:
        return views.choose(step, *FIRST, gr.EventData(None, asked))

    updates = click("matrix", k=3, m=9)
    assert (updates["k"], updates["m"]) == (3, 9)
    assert set(data_of(updates)) == {"pair"}, "the matrix is not sent again"
    updates = click("matrix", kind="correlation")
    assert set(data_of(updates)) == {"matrix"}
    assert data_of(updates)["matrix"]["kind"] == updates["kind"] == "correlation"
    assert set(data_of(click("channels", k=7))) == {"channel"}
    for nonsense in ({"k": "7"}, {"kind": "cosine"}, {"kind": ["gram"]}, {"k": [1], "m": None}):
        assert click("matrix", **nonsense) == {}
    assert views.choose("matrix", *FIRST, gr.EventData(None, None))["k"] == FIRST[3], "a request without an event"
    with pytest.raises(gr.Error, match="channel 999 is not there; choose from 0 to 255"):
        click("pair", k=999)


def test_the_file_for_the_notebook_has_the_chosen_layer(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    button = views.make_file("style", "relu1_1", "gram", 0, 0, *GIVEN)["file"]
    read = np.load(button.value["path"])
    assert str(read["layer"]) == "relu1_1"
    assert read["a_S"].shape == read["a_G"].shape == read["a_C"].shape == (*read["a_C"].shape[:2], 64)
    assert button.interactive


def test_in_a_guess_the_right_channel_fires_and_the_other_does_not(look: Look) -> None:
    for layer in ("relu2_1", "relu3_1", "relu4_1"):
        duel = payloads.guess(look, layer, STYLE)["duel"]
        right, other = duel["sides"][duel["right"]], duel["sides"][1 - duel["right"]]
        row, column = duel["patch"]
        assert right["value"] == float(look.block(layer)[0, right["channel"], row, column])
        assert right["share"] > 0.3 > 2 * other["share"]
        assert [row, column] not in right["patches"]
    cards = payloads.guess(look, "relu3_1", STYLE)["cards"]
    assert sorted(card["layer"] for card in cards) == list(layer_studies.TEXTURE_LAYERS)


def test_the_result_is_the_examples_until_there_is_one() -> None:
    assert views.picture_of("result", *GIVEN) == RESULT
    other = examples.styles()["mosaic"]
    with pytest.raises(ValueError, match="no result of these two pictures yet; press Stylise"):
        views.picture_of("result", PHOTO, other, Visit())
    with pytest.raises(ValueError, match="there is no photo yet"):
        views.picture_of("photo", None, STYLE, Visit())


def test_every_example_has_its_studies() -> None:
    for path in examples.styles().values():
        layers = [caption.split(":")[0] for _, caption in studies.shipped(path, layer_studies.TEXTURE_LAYERS)]
        assert layers == list(layer_studies.TEXTURE_LAYERS)
    for path in examples.photos().values():
        layers = [caption for _, caption in studies.shipped(path, layer_studies.CONTENT_LAYERS)]
        assert layers == list(layer_studies.CONTENT_LAYERS)
    assert studies.show_shipped(PHOTO, STYLE)["textures"].visible
    assert not studies.show_shipped(None, "/somewhere/mine.jpg")["textures"].visible, "no empty box"


def test_every_shipped_picture_of_the_lesson_is_there() -> None:
    for path, _ in (*studies.shipped_entries(), *studies.shipped_lambdas()):
        assert examples.lesson(path).is_file()
    assert all((layout.HERE / "lesson" / f"{name}.js").is_file() for name in layout.SCRIPTS)
