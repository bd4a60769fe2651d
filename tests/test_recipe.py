"""Settings out of a PNG are those that went in, and what is not ours is refused in a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import nst
from nst import Settings, recipe
from nst.encode import encode
from nst.settings import CHOICES, LIMITS, layer_names

WEIGHTS = st.floats(0, LIMITS.weight, allow_nan=False)
LAYERS = st.dictionaries(st.sampled_from(layer_names()), st.floats(0.01, 100), min_size=1, max_size=6)
FIELDS = {
    **{name: st.sampled_from(list(words)) for name, words in CHOICES.items() if name != "backbone"},
    **dict.fromkeys(("alpha", "beta", "total_variation"), st.floats(0.001, LIMITS.weight)),
    **dict.fromkeys(("content_layers", "style_layers"), LAYERS),
    **dict.fromkeys(("pyramid", "balance", "original_size"), st.booleans()),
    **dict.fromkeys(("colour_amount", "mask_edge", "plateau"), st.floats(0, 1)),
    "style_blend": st.none() | st.lists(st.floats(0.1, 9), min_size=1, max_size=4).map(tuple),
    "style_scale": st.floats(0.25, 4),
    "averaging": st.floats(0, 0.999),
    "size": st.integers(32, 2048),
    "steps": st.none() | st.integers(1, 10_000),
    "seed": st.integers(0, 2**63 - 1),
    "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
    "max_seconds": st.none() | st.floats(0, 86_400),
}
SETTINGS = st.fixed_dictionaries({}, optional=FIELDS).map(lambda chosen: Settings(**chosen))


@pytest.fixture(scope="module")
def result(photo: Image.Image, style: Image.Image) -> nst.Result:
    return nst.stylise(photo, style, Settings(size=64, steps=2, pyramid=False, device="cpu"))


@pytest.fixture(scope="module")
def ours(result: nst.Result, photo: Image.Image, style: Image.Image) -> recipe.Recipe:
    return recipe.Recipe.of(result, recipe.fingerprints(photo, [style]))


def png(texts: dict[str, str]) -> bytes:
    return encode(Image.new("RGB", (16, 16)), "png", texts)


def resealed(texts: dict[str, str], **changes: object) -> dict[str, str]:
    """A forgery: fields changed, and the checksum made right again."""
    body = {name: value for name, value in json.loads(texts["nst"]).items() if name != "sha256"}
    body.update(changes)
    return {"nst": recipe._sealed(body)}


def test_every_field_has_a_strategy() -> None:
    assert {item.name for item in dataclasses.fields(Settings)} - set(FIELDS) == {"backbone"}


@given(SETTINGS)
def test_settings_come_back_from_a_png(settings: Settings) -> None:
    plain = recipe.Recipe(settings, {"photo": "0" * 64}, {"python": "3"}, "cpu", "completed", 3, {"total": 1.5}, 64, 48)
    assert recipe.read(png(recipe.text(plain))) == plain


@given(SETTINGS)
def test_settings_come_back_from_an_address(settings: Settings) -> None:
    values, notices = recipe.from_query(recipe.to_query(settings))
    assert notices == []
    assert Settings(**values) == settings


def test_an_address_holds_only_what_was_changed() -> None:
    assert recipe.to_query(Settings()) == ""
    assert recipe.to_query(Settings(beta=40, style_layers={"relu1_1": 0.3})) == "beta=40&style_layers=relu1_1:0.3"


@pytest.mark.parametrize(
    ("query", "values", "about"),
    [
        ("beta=40&size=99999", {"beta": 40.0}, ["size"]),
        ("beta=much&seed=7", {"seed": 7}, ["beta"]),
        ("quality=best&pooling=average", {"pooling": "average"}, ["quality"]),
        ("style_layers=relu9_9:1", {}, ["style_layers"]),
        ("utm_source=x", {}, []),
        ("beta=" + "9" * 10_000, {}, ["address"]),
        ("%00=%ff&beta=%00", {}, ["beta"]),
    ],
)
def test_bad_values_in_an_address_are_left_out_with_a_notice(query: str, values: dict, about: list[str]) -> None:
    found, notices = recipe.from_query(query)
    assert found == values
    assert len(notices) == len(about)
    assert all(word in notice for word, notice in zip(about, notices, strict=True))


def test_a_recipe_says_how_it_went(ours: recipe.Recipe, result: nst.Result) -> None:
    again = recipe.read(png(recipe.text(ours)))
    assert (again.steps, again.stopped, (again.width, again.height)) == (2, "completed", result.image.size)
    assert again.costs["total"] == result.history[-1].total
    assert again.versions["torch"]


def test_fingerprints_are_of_pixels_and_of_nothing_else(photo: Image.Image, tmp_path: Path) -> None:
    names = [tmp_path / "holiday.png", tmp_path / "other.webp"]
    photo.save(names[0], dpi=(72, 72))
    photo.save(names[1], lossless=True)
    assert recipe.fingerprint(names[0]) == recipe.fingerprint(names[1]) == recipe.fingerprint(photo)
    changed = np.array(photo)
    changed[0, 0, 0] ^= 1
    assert recipe.fingerprint(Image.fromarray(changed)) != recipe.fingerprint(photo)
    header = f"RGB {photo.width} {photo.height} ".encode()
    assert recipe.fingerprint(photo) == hashlib.sha256(header + photo.tobytes()).hexdigest()


def test_hidden_colours_do_not_change_a_fingerprint(photo: Image.Image) -> None:
    hidden = photo.convert("RGBA")
    hidden.putalpha(Image.linear_gradient("L").resize(photo.size).point(lambda value: 0 if value < 128 else 255))
    other = hidden.copy()
    other.paste((9, 200, 9, 0), mask=other.getchannel("A").point(lambda value: 255 - value))
    assert other.tobytes() != hidden.tobytes()
    assert recipe.fingerprint(other) == recipe.fingerprint(hidden)


def test_differences_name_the_pictures(photo: Image.Image, style: Image.Image, other_style: Image.Image) -> None:
    one = recipe.fingerprints(photo, [style, other_style])
    two = recipe.fingerprints(photo, [style, style], start=photo)
    assert recipe.differences(one, one) == ()
    assert recipe.differences(one, two) == ("style 2", "start")


def test_an_edited_recipe_is_noticed(ours: recipe.Recipe) -> None:
    texts = recipe.text(ours)
    edited = texts["nst"].replace('"steps":2', '"steps":3', 1)
    assert edited != texts["nst"]
    with pytest.raises(ValueError, match="damaged or was edited"):
        recipe.read(png({"nst": edited}))


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"format": 99}, "has format 99"),
        ({"settings": {"beta": -1}}, "beta=-1 is outside"),
        ({"settings": {"style": 1}}, "'style' is not known"),
        ({"settings": [1]}, "must be values by name"),
        ({"steps": "many"}, "steps='many' must be"),
        ({"inputs": {"photo": "../../etc/passwd"}}, "inputs=.* must be SHA-256"),
        ({"more": 1}, "'more' is not known"),
    ],
)
def test_a_forged_recipe_is_refused_by_name(changes: dict, answer: str, ours: recipe.Recipe) -> None:
    with pytest.raises(ValueError, match=answer):
        recipe.read(png(resealed(recipe.text(ours), **changes)))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000, '{"format": NaN}', '{"format":1,"format":1}'])
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="recipe"):
        recipe.read(png({"nst": text}))


def test_foreign_files_are_refused_in_a_sentence_without_a_path(tmp_path: Path, photo: Image.Image) -> None:
    files = {
        "foreign.png": "holds no recipe",
        "photo.jpg": "no PNG that can be read",
        "text.png": "no PNG",
        "no.png": "No such file",
    }
    photo.save(tmp_path / "foreign.png")
    photo.save(tmp_path / "photo.jpg")
    (tmp_path / "text.png").write_text("hello")
    for name, answer in files.items():
        with pytest.raises(ValueError, match=answer) as caught:
            recipe.read(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


def test_a_text_bomb_is_refused(tmp_path: Path) -> None:
    for compressed in (False, True):
        chunks = PngInfo()
        chunks.add_itxt("nst", "9" * 70_000_000, zip=compressed)
        Image.new("RGB", (16, 16)).save(tmp_path / "bomb.png", pnginfo=chunks)
        with pytest.raises(ValueError, match=r"PNG|recipe"):
            recipe.read(tmp_path / "bomb.png")
