"""Damaged and forged recipes are refused with a message."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from nst import recipe
from tests.random_settings import FIELDS
from tests.recipes import forged, holding, made, refusal, sealed


def test_every_changed_character_is_found() -> None:
    text = recipe.text(made())["nst"]
    for index, character in enumerate(text):
        changed = text[:index] + ("7" if character != "7" else "8") + text[index + 1 :]
        assert "damaged or was edited" in (message := refusal(holding(changed))) or "format" in message


@pytest.mark.parametrize("edit", ["cut", "spaces", "doubled", "empty", "list", "null", "words", "no format", "bytes"])
def test_an_edited_recipe_is_found(edit: str) -> None:
    text = recipe.text(made())["nst"]
    edited = {
        "cut": text[:-1],
        "spaces": json.dumps(json.loads(text)),
        "doubled": sealed('{"format":1,' + forged({}, leave_out="format")[1:-78] + "}"),
        "empty": "",
        "list": "[1]",
        "null": "null",
        "words": "size 384",
        "no format": forged({}, leave_out="format"),
        "bytes": "\0\ud800\uffff",
    }[edit]
    if edit == "doubled":  # the later one would win
        edited = sealed(json.dumps(json.loads(text), separators=(",", ":")).rsplit(',"sha256"', 1)[0] + ',"steps":1}')
    assert "damaged or was edited" in refusal(holding(edited))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    text = recipe.text(made())["nst"].rsplit(',"sha256"', 1)[0] + "}"
    assert '"alpha":1.0' in text
    assert "damaged" in refusal(holding(sealed(text.replace('"alpha":1.0', f'"alpha":{number}'))))


@pytest.mark.parametrize("depth", [100, 400, 900, 990, 5000, 15_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused(depth: int, opening: str, closing: str) -> None:
    deep = opening * depth + "1" + closing * depth
    text = recipe.text(made())["nst"].rsplit(',"sha256"', 1)[0] + "}"
    for changed in (deep, sealed(text.replace('"alpha":1.0', f'"alpha":{deep}'))):
        refusal(holding(changed[: recipe.LONGEST_TEXT]))


@pytest.mark.parametrize("version", [0, 2, 99, "1", 1.5, [1], "x" * 5000])
def test_another_format_is_named(version: Any) -> None:
    message = refusal(holding(json.dumps({"format": version, "sealed": "otherwise"})))
    assert f"format {version!r:.20}, not 1" in message


UNFIT = [  # settings that cannot be, and the field that the sentence names
    ("size", 9000),
    ("size", "384"),
    ("size", 10**4000),
    ("alpha", -1),
    ("alpha", "1"),
    ("alpha", [1]),
    ("alpha", None),
    ("seed", -5),
    ("quality", "x" * 5000),
    ("quality", ["fine"]),
    ("device", "tpu"),
    ("pyramid", 1),
    ("style_blend", {"a": 1}),
    ("style_blend", [0, 0]),
    ("style_blend", [1] * 9),
    ("style_layers", ["relu1_1"]),
    ("style_layers", {"relu9_9": 1}),
    ("content_layers", {"relu4_2": "much"}),
    ("brightness", 1),
    ("x" * 5000, 1),
]


@pytest.mark.parametrize(("name", "value"), UNFIT, ids=lambda part: str(part)[:20])
def test_unfit_setting_in_a_forgery_is_named(name: str, value: Any) -> None:
    message = refusal(holding(forged({}, settings={name: value})))
    assert message.startswith("the recipe cannot be used: ")
    assert name[:40] in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settings", []),
        ("settings", None),
        ("inputs", ["0" * 64]),
        ("inputs", {"photo": "0" * 63}),
        ("inputs", {"photo": "G" * 64}),
        ("inputs", {"photo": 5}),
        ("inputs", {"<b>": "0" * 64}),
        ("inputs", {"x" * 41: "0" * 64}),
        ("versions", "3.11"),
        ("versions", {"python": 3.11}),
        ("versions", {"python": "x" * 201}),
        ("compute", "two\nlines"),
        ("compute", "\ud800"),
        ("stopped", None),
        ("steps", -1),
        ("steps", True),
        ("steps", 2.0),
        ("steps", 2**31),
        ("costs", {"total": "0"}),
        ("costs", {"total": False}),
        ("costs", {"total": 10**400}),
        ("height", None),
        ("width", [384]),
        ("unheard", 1),
    ],
    ids=lambda part: str(part)[:20],
)
def test_unfit_field_in_a_forgery_is_named(name: str, value: Any) -> None:
    assert name in refusal(holding(forged({name: value})))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(recipe.Recipe)])
def test_missing_field_in_a_forgery_is_named(name: str) -> None:
    body = json.loads(recipe.text(made())["nst"])
    del body["sha256"], body[name]
    assert f"{name!r} is missing" in refusal(holding(sealed(json.dumps(body, separators=(",", ":")))))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["relu1_1", "photo"]), inner),
    max_leaves=4,
)


@examples(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(recipe.Recipe)]), anything))
def test_no_forged_field_raises_anything_but_a_sentence(change: dict[str, Any]) -> None:
    _read_or_refused(forged(change))


@examples(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(list(FIELDS)), anything, min_size=1))
def test_no_forged_setting_raises_anything_but_a_sentence(change: dict[str, Any]) -> None:
    _read_or_refused(forged({}, settings=change))


def _read_or_refused(text: str) -> None:
    try:
        found = recipe.read(holding(text))
    except ValueError:
        assert "recipe" in refusal(holding(text))
    else:
        assert recipe.read(holding(recipe.text(found)["nst"])) == found  # settings that were missing have defaults now
