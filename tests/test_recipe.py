"""Recipes are compared with those of an independent writer of PNG chunks and checksums."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from PIL import Image

from nst import Costs, Settings, recipe, stylise
from nst.images import encode
from nst.settings import layer_names
from nst.ui.stylise import share
from tests.random_settings import FIELDS, OTHER, all_settings
from tests.recipes import forged, holding, made, png, refusal, sealed


@examples(max_examples=100, deadline=None)
@given(all_settings())
def test_settings_come_back_from_the_png_exactly(settings: Settings) -> None:
    content = encode.encode(Image.new("RGB", (8, 8)), "png", recipe.text(made(settings)))
    found = recipe.read(content)
    assert found == made(settings)
    assert repr(found) == repr(made(settings))  # also types, signs of zero and the order of layers


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_comes_back_from_png_and_address(name: str) -> None:
    assert OTHER[name] != getattr(Settings(), name)
    settings = Settings(**{name: OTHER[name]})
    read = recipe.read(holding(recipe.text(made(settings))["nst"])).settings
    assert read == (Settings() if name in recipe.NOT_OF_THE_PICTURE else settings)
    assert share.from_query(share.to_query(settings)) == ({name: OTHER[name]}, [])


@pytest.mark.parametrize("format", ["png", "png16"])
def test_recipe_is_read_from_path_bytes_and_picture(format: str, tmp_path: Path) -> None:
    content = encode.encode(np.full((8, 8, 3), 0.5, np.float32), format, recipe.text(made()))
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    opened = Image.open(io.BytesIO(content))
    for source in (path, str(path), content, opened, opened.copy()):
        assert recipe.read(source) == made()


def test_numpy_numbers_are_written() -> None:
    settings = Settings(size=np.int64(256), beta=np.float32(0.1), style_layers={"relu1_1": np.float64(0.3)})
    found = recipe.read(holding(recipe.text(made(settings))["nst"])).settings
    assert found == settings
    assert (type(found.size), type(found.beta)) == (int, float)
    assert Settings(**share.from_query(share.to_query(settings))[0]) == settings


def test_the_file_says_what_it_is_to_people_and_programs() -> None:
    texts = recipe.text(made())
    body = json.loads(texts["nst"])
    assert body["format"] == 1
    assert set(body["settings"]) == set(FIELDS) - {"device", "max_seconds"}
    assert texts["nst"] == forged({})  # one line without spaces, sealed by the SHA-256 of the rest
    assert texts["Software"] == "nst"
    assert "complete settings" in texts["Description"]


def test_a_run_is_painted_again_from_its_picture(photo: Image.Image, style: Image.Image) -> None:
    settings = Settings(size=64, steps=2, pyramid=False, init="noise", seed=5, precision="float32", device="cpu")
    result = stylise(photo, style, settings)
    inputs = recipe.fingerprints(photo, [style])
    content = encode.encode(result.image, "png", recipe.text(recipe.Recipe.of(result, inputs)))
    found = recipe.read(content)
    last = result.history[-1]
    assert (found.steps, found.height, found.width) == (2, *result.image.size[::-1])
    assert (found.stopped, found.compute) == ("completed", str(result.compute))
    assert found.costs["total"] == last.total
    assert {name: found.costs[name] for name in settings.style_layers} == last.style_layers
    assert set(found.versions) == {"python", "torch", "torchvision", "pillow"}
    assert found.inputs == inputs
    assert stylise(photo, style, found.settings).image == result.image


def finished(*history: Costs) -> Any:
    image = Image.new("RGB", (40, 30))
    return SimpleNamespace(settings=Settings(), compute="cpu", stopped="diverged", history=history, image=image)


def test_a_run_that_diverged_has_a_recipe_too() -> None:
    inputs = made().inputs
    assert recipe.Recipe.of(finished(), inputs).costs == {}
    last = Costs(1, 1, (30, 40), 0.5, float("nan"), 0.25, float("inf"), {"relu1_1": 2.0}, 0.0)
    written = recipe.text(recipe.Recipe.of(finished(last), inputs))["nst"]
    assert recipe.read(holding(written)).costs == {"content": 0.25, "total_variation": 0.0, "relu1_1": 2.0}


def test_settings_that_an_older_program_did_not_know_have_their_defaults() -> None:
    body = json.loads(recipe.text(made(Settings(beta=3.0)))["nst"])
    del body["sha256"], body["settings"]["averaging"], body["settings"]["statistic"]
    del body["settings"]["style_parts"]
    assert recipe.read(holding(sealed(json.dumps(body, separators=(",", ":"))))).settings == Settings(beta=3.0)


def test_older_recipe_loses_what_does_not_decide_the_picture() -> None:
    """As the page wrote them: its own time limit, the device that was free, the blend of a single style."""
    older = {"max_seconds": 600, "device": "cuda:3", "style_blend": [0.7]}
    assert recipe.read(holding(forged({}, settings=older))).settings == Settings()
    assert recipe.read(holding(forged({}, settings={"style_blend": [0.5, 0.5]}))).settings.style_blend is None
    assert recipe.read(holding(forged({}, settings={"style_blend": [0.7, 0.3]}))).settings.style_blend == (0.7, 0.3)


def keyed(text: bytes) -> dict[str, tuple[bytes, bytes]]:
    """The ways in which PNG holds a text."""
    return {
        "tEXt": (b"tEXt", b"nst\0" + text),
        "zTXt": (b"zTXt", b"nst\0\0" + zlib.compress(text)),
        "iTXt": (b"iTXt", b"nst\0\0\0en\0\0" + text),
        "iTXt packed": (b"iTXt", b"nst\0\1\0\0\0" + zlib.compress(text)),
    }


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", keyed(b""))
def test_recipe_is_found_wherever_a_program_put_it(kind: str, after: bool) -> None:
    chunk = keyed(recipe.text(made())["nst"].encode())[kind]
    assert recipe.read(png(after=chunk) if after else png(chunk)) == made()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("size", [recipe.LONGEST_TEXT + 1, 2_000_000])
@pytest.mark.parametrize("kind", keyed(b""))
def test_text_too_long_is_refused(kind: str, size: int, after: bool) -> None:
    chunk = keyed(b"[" * size)[kind]
    message = refusal(png(after=chunk) if after else png(chunk))
    assert any(words in message for words in ("over the limit of 32768", "too large", "holds no recipe"))


def test_longest_recipe_is_within_the_limits() -> None:
    weight = 0.12345678901234567e-300
    layers = dict.fromkeys(layer_names(), weight)
    settings = Settings(content_layers=layers, style_layers=layers, style_blend=(weight,) * 4)
    inputs = {f"picture {number}": "f" * 64 for number in range(10)}
    costs = dict.fromkeys((*layer_names(), "total", "content", "style"), weight)
    longest = made(settings, inputs=inputs, costs=costs, compute="x" * 200)
    assert len(recipe.text(longest)["nst"]) < recipe.LONGEST_TEXT / 3
    assert recipe.read(holding(recipe.text(longest)["nst"])) == longest
    assert len(share.to_query(settings)) < share.LONGEST_QUERY / 1.9
    assert share.from_query(share.to_query(settings))[1] == []


def saved(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "BMP"])
def test_other_formats_are_refused(format: str) -> None:
    assert "only a PNG that this program saved" in refusal(saved(format))
    assert f"is a {format}; only a PNG" in refusal(Image.open(io.BytesIO(saved(format))))


@pytest.mark.parametrize("content", [b"", b"words", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\xff" * 99])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    assert "PNG" in refusal(content)


@pytest.mark.parametrize("after", [False, True], ids=["before the pixels", "after them"])
@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_recipe_is_read_beside_what_an_editor_adds(kind: bytes, after: bool) -> None:
    """Pillow refuses a PNG with a text or a profile of over 1 MB."""
    known = made()
    content = encode.encode(Image.new("RGB", (32, 24)), "png", recipe.text(known))
    body = b"Comment\0\0" + zlib.compress(bytes(3 << 20))
    added = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    place = -12 if after else 33
    assert recipe.read(content[:place] + added + content[place:]) == known


def test_foreign_png_is_refused() -> None:
    foreign = encode.encode(Image.new("RGB", (8, 8)), "png", {"Software": "nst", "parameters": "steps: 20"})
    for source in (foreign, saved("PNG"), Image.open(io.BytesIO(foreign)), Image.new("RGB", (8, 8))):
        assert "holds no recipe" in refusal(source)


def test_cut_png_without_recipe_is_refused() -> None:
    content = encode.encode(Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)))
    assert "cannot be read" in refusal(content[: len(content) // 2])


@pytest.mark.parametrize(("side", "reason"), [(12_000, "144 megapixels"), (60_000, "far over")])
def test_huge_foreign_png_is_not_decoded(side: int, reason: str) -> None:
    """Its pixels are missing, so decoding would find it damaged; the second is beyond what Pillow opens."""
    assert reason in refusal(png(side=side))


def test_missing_file_is_a_sentence_without_its_path(tmp_path: Path) -> None:
    message = refusal(tmp_path / "secret" / "a.png")
    assert "No such file" in message
    assert "secret" not in message
