"""Recipes are held to an independent writer of PNG chunks and seals, addresses to the settings they came from."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from random_settings import all_settings

from nst import Costs, Settings, recipe, stylise
from nst.images import encode
from nst.settings import layer_names
from nst.ui.stylise import share

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
OTHER = {  # a legal value for each field that is not its default
    "alpha": 0.1,
    "beta": 1 / 3,
    "content_layers": {"conv4_2": 0.7, "relu3_1": 1e-9},
    "style_layers": {"relu5_1": 0.3, "relu1_1": 0.1, "pool2": 0},
    "style_blend": (0.7, 0.3),
    "style_scale": 0.5,
    "statistic": "wasserstein",
    "colour": "luminance",
    "colour_when": "before",
    "colour_amount": 0.25,
    "mask_edge": 0.0125,
    "size": 513,
    "original_size": True,
    "quality": "fine",
    "steps": 77,
    "pyramid": False,
    "optimiser": "adam",
    "init": "noise",
    "pooling": "average",
    "total_variation": 1e-7,
    "averaging": 0.9,
    "plateau": 0.001,
    "balance": False,
    "backbone": "vgg16-torchvision",
    "seed": 2**63 - 1,
    "device": "cuda:3",
    "precision": "bfloat16",
    "tile_px": 320,
    "max_seconds": 12.5,
}


def made(settings: Settings | None = None, **fields: Any) -> recipe.Recipe:
    known = {
        "settings": settings or Settings(),
        "inputs": {"photo": "0" * 64, "style 1": "a" * 64, "style 2": "b" * 64},
        "versions": {"python": "3.11.7", "torch": "2.11.0+cu130"},
        "compute": "cpu, float32 (no CUDA GPU, CPU has no native bfloat16)",
        "stopped": "completed",
        "steps": 90,
        "costs": {"total": 0.1 + 0.2, "content": 5e-324, "style": 1e300, "relu1_1": 1 / 3},
        "height": 288,
        "width": 384,
    }
    return recipe.Recipe(**{**known, **fields})


def forged(change: Mapping[str, Any], leave_out: str = "", settings: Mapping[str, Any] | None = None) -> str:
    """What somebody writes who knows how recipes are sealed."""
    body = json.loads(recipe.text(made())["nst"])
    body = {name: value for name, value in {**body, **change}.items() if name not in ("sha256", leave_out)}
    body["settings"] = {**body["settings"], **settings} if settings else body.get("settings")
    return sealed(json.dumps(body, separators=(",", ":")))


def sealed(text: str) -> str:
    return text[:-1] + f',"sha256":"{hashlib.sha256(text.encode()).hexdigest()}"' + "}"


def holding(text: str) -> Image.Image:
    """A picture as Pillow hands it over after reading this recipe."""
    picture = Image.new("RGB", (8, 8))
    picture.info["nst"] = text
    return picture


def png(*chunks: tuple[bytes, bytes], after: tuple[bytes, bytes] | None = None, side: int = 1) -> bytes:
    """A PNG with one black pixel and more chunks, before the pixel or after it."""
    header = (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    pixels = (b"IDAT", zlib.compress(bytes(4)))
    parts = [header, *chunks, pixels, *([after] if after else []), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def refusal(source: Any) -> str:
    """The sentence with which a source is refused."""
    with pytest.raises(ValueError, match=r"^\S") as caught:
        recipe.read(source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


# Round trips


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
    assert getattr(recipe.read(holding(recipe.text(made(settings))["nst"])).settings, name) == OTHER[name]
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
    assert set(body["settings"]) == set(FIELDS)
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
    assert recipe.read(holding(sealed(json.dumps(body, separators=(",", ":"))))).settings == Settings(beta=3.0)


# Damage and forgery


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


@examples(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(recipe.Recipe)]), anything))
def test_no_forged_field_raises_anything_but_a_sentence(change: dict[str, Any]) -> None:
    _read_or_refused(forged(change))


@examples(max_examples=150, deadline=None)
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


# Files


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


@pytest.mark.parametrize(("side", "reason"), [(12_000, "holds no recipe"), (60_000, "far too large")])
def test_huge_foreign_png_is_not_decoded(side: int, reason: str) -> None:
    """Its pixels are missing, so decoding would find it damaged; the second is beyond what Pillow opens."""
    assert reason in refusal(png(side=side))


def test_missing_file_is_a_sentence_without_its_path(tmp_path: Path) -> None:
    message = refusal(tmp_path / "secret" / "a.png")
    assert "No such file" in message
    assert "secret" not in message


# Fingerprints


def test_fingerprint_is_the_sha256_of_size_and_pixels() -> None:
    picture = Image.new("RGB", (20, 16), (1, 2, 3))
    assert recipe.fingerprint(picture) == hashlib.sha256(b"RGB 20 16 " + bytes([1, 2, 3]) * 320).hexdigest()


@pytest.mark.parametrize("format", ["png", "webp", "bmp", "tiff"])
def test_saving_losslessly_keeps_the_fingerprint(format: str, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / f"other.{format}"
    photo.save(path, lossless=True)
    assert recipe.fingerprint(path) == recipe.fingerprint(photo)


def test_fingerprint_is_of_the_upright_picture_without_its_metadata(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret garden"
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert recipe.fingerprint(tmp_path / "turned.png") == recipe.fingerprint(photo)


def test_other_pixels_have_another_fingerprint(photo: Image.Image) -> None:
    dot, cut = photo.copy(), photo.crop((0, 0, 159, 120))
    dot.putpixel((80, 60), (0, 0, 1))
    turned = Image.frombytes("RGB", photo.size[::-1], photo.tobytes())
    pictures = (photo, dot, cut, turned, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), photo.convert("L"))
    assert len({recipe.fingerprint(picture) for picture in pictures}) == len(pictures)


def test_only_visible_colours_count(photo: Image.Image) -> None:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 50, 50))
    alpha.paste(100, (50, 0, 60, 50))
    first, hidden, shown, fainter, opaque = (photo.convert("RGBA") for _ in range(5))
    hidden.paste((9, 9, 9), (0, 0, 40, 40))
    shown.paste((9, 9, 9), (52, 0, 58, 40))
    for picture in (first, hidden, shown, fainter):
        picture.putalpha(alpha)
    fainter.putpixel((55, 5), (*fainter.getpixel((55, 5))[:3], 99))
    before = hidden.tobytes()
    prints = [recipe.fingerprint(picture) for picture in (first, hidden, shown, fainter)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert hidden.tobytes() == before  # the picture itself is left alone
    assert recipe.fingerprint(opaque) == recipe.fingerprint(photo)
    seen = np.array(first) * (np.asarray(alpha) > 0)[..., None].astype(np.uint8)
    assert prints[0] == hashlib.sha256(b"RGBA 160 120 " + seen.tobytes()).hexdigest()  # hidden colours as zeros


def test_mask_counts_as_the_run_sees_it(photo: Image.Image, style: Image.Image) -> None:
    grey = Image.new("L", (160, 120))
    grey.paste(255, (0, 0, 80, 120))
    red, blue = Image.new("RGBA", grey.size, "red"), Image.new("RGBA", grey.size, "blue")
    red.putalpha(grey), blue.putalpha(grey)
    found = [recipe.fingerprints(photo, [style], [mask])["mask 1"] for mask in (grey, red, blue, grey.convert("RGB"))]
    assert len(set(found)) == 1
    assert found[0] != recipe.fingerprints(photo, [style], [grey.point(lambda value: 255 - value)])["mask 1"]


def test_each_input_has_a_fingerprint_under_its_name(photo: Image.Image, style: Image.Image, other_style) -> None:
    mask = Image.new("L", (160, 120), 255)
    found = recipe.fingerprints(photo, [style, other_style], [mask], start=style)
    assert list(found) == ["photo", "style 1", "style 2", "mask 1", "start"]
    assert found == recipe.fingerprints(photo, [style, other_style], [mask], start=style)
    assert found["style 1"] == found["start"] != found["style 2"]
    assert len(set(found.values())) == 4


def test_no_name_path_or_metadata_of_an_upload_is_kept(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret garden"
    path = tmp_path / "secret.png"
    photo.save(path, exif=exif)
    text = json.dumps(recipe.text(made(inputs=recipe.fingerprints(path, [path], [], path))))
    assert "secret" not in text
    assert tmp_path.name not in text


def test_unreadable_input_is_named(photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"words")
    with pytest.raises(ValueError, match="the style 2 is not a picture"):
        recipe.fingerprints(photo, [photo, tmp_path / "a.png"])


# Addresses


@examples(max_examples=150, deadline=None)
@given(all_settings())
def test_settings_come_back_from_the_address(settings: Settings) -> None:
    query = share.to_query(settings)
    changes, notices = share.from_query(query)
    assert notices == []
    assert Settings(**changes) == settings
    assert share.from_query("?" + query) == share.from_query(dict(parse_qsl(query, keep_blank_values=True)))
    assert share.from_query("?" + query) == (changes, [])


@pytest.mark.parametrize(
    ("settings", "query"),
    [
        (Settings(), ""),
        (Settings(beta=40.0, size=512), "beta=40&size=512"),
        (Settings(style_layers={"relu1_1": 0.3, "relu2_1": 0}), "style_layers=relu1_1:0.3,relu2_1:0"),
        (Settings(style_blend=(0.75, 1.0), pyramid=False), "style_blend=0.75,1&pyramid=false"),
        (Settings(alpha=0, content_layers={}), "alpha=0&content_layers="),
        (Settings(total_variation=1e-7, device="cuda:1"), "total_variation=1e-07&device=cuda:1"),
    ],
)
def test_address_is_short_and_readable(settings: Settings, query: str) -> None:
    assert share.to_query(settings) == query


BAD = [
    ("size=abc", "size", "'abc' cannot be read"),
    ("size=384.5", "size", "cannot be read"),
    ("size=9000", "size", "over the limit of 8192"),
    ("beta=nan", "beta", "must be a number"),
    ("beta=inf", "beta", "outside 0 to"),
    ("beta=", "beta", "'' cannot be read"),
    ("quality=best", "quality", "choose from draft"),
    ("pyramid=maybe", "pyramid", "cannot be read"),
    ("style_layers=relu1_1", "style_layers", "cannot be read"),
    ("style_layers=relu1_1:0.2:3", "style_layers", "cannot be read"),
    ("style_layers=relu9_9:1", "style_layers", "not a layer of vgg19"),
    ("style_blend=0,0", "style_blend", "only zeros"),
    ("style_blend=", "style_blend", "cannot be read"),
    ("content_layers=", "content_layers", "raise one"),
    ("seed=-1", "seed", "under the limit"),
    ("seed=" + "9" * 60, "seed", "over the limit"),
    ("seed=" + "9" * 5000, "seed", "cannot be read"),
    ("device=<script>", "device", "not known"),
    ("quality=" + "x" * 8000, "quality", "cannot be read"),
    ("beta=0." + "1" * 63, "beta", "cannot be read"),
    ("quality=a%0Ab%00", "quality", "not known"),
]


@pytest.mark.parametrize(("query", "name", "reason"), BAD, ids=lambda part: part[:30])
def test_bad_value_in_an_address_is_left_out_with_a_notice(query: str, name: str, reason: str) -> None:
    changes, notices = share.from_query(f"alpha=2&{query}&steps=9")
    assert changes == {"alpha": 2.0, "steps": 9}
    assert len(notices) == 1
    assert notices[0].startswith(f"{name} in the address is ignored: ")
    assert reason in notices[0]
    assert notices[0].endswith(".")
    assert len(notices[0]) <= share.LONGEST_NOTICE + 1
    assert notices[0].isprintable()


def test_values_that_need_each_other_are_taken_together() -> None:
    changes, notices = share.from_query("total_variation=1&beta=0&style_layers=&alpha=0")
    assert (changes, notices) == ({"alpha": 0, "beta": 0, "style_layers": {}, "total_variation": 1}, [])
    changes, notices = share.from_query("alpha=0&beta=0")
    assert changes == {"alpha": 0.0}
    assert "nothing to minimise" in notices[0]
    changes, notices = share.from_query("style_layers=relu3_4:1&backbone=vgg16-torchvision")
    assert changes == {"style_layers": {"relu3_4": 1.0}}
    assert notices[0].startswith("backbone in the address is ignored: style_layers has 'relu3_4'")


def test_what_others_put_into_an_address_is_left_alone() -> None:
    assert share.from_query("__theme=dark&utm_source=x&strength=3&size=64&__class__=1") == ({"size": 64}, [])


def test_address_that_is_too_long_is_ignored_whole() -> None:
    padding = "x" * share.LONGEST_QUERY
    for query in (f"size=64&quality={padding}", {"size": "64", "quality": padding}, f"size=64&{padding}"):
        changes, notices = share.from_query(query)
        assert changes == {}
        assert len(notices) == 1
        assert "over 8192 characters" in notices[0]


values = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [*map(str, OTHER.values()), "nan", "-0", "1e400", ":", "a:1,", "relu1_1:1", "0", "None", "[]", "{}"]
    ),
)


@examples(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), values, max_size=8) | st.text(max_size=200))
def test_no_address_raises_and_what_is_left_is_legal(query: str | dict[str, str]) -> None:
    changes, notices = share.from_query(query)
    Settings(**changes)
    if isinstance(query, dict):
        assert len(changes) + len(notices) == len(query.keys() & FIELDS.keys())
    assert all(notice.endswith(".") and len(notice) < 500 for notice in notices)
