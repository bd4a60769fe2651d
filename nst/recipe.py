"""Writes a run's settings into its PNG and reads them back, so that the picture can be painted again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from numbers import Integral, Real
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError

from nst.events import Result
from nst.images import pictures
from nst.images.decode import bands
from nst.settings import Settings

KEYWORD = "nst"  # keyword of the PNG text that holds the recipe
FORMAT = 1  # increased when an older program would misread a recipe
LONGEST_TEXT = 32_768  # characters; a recipe that names every layer has a quarter of that
NOT_OF_THE_PICTURE = ("device", "max_seconds")  # settings of a run that say nothing about the picture it paints
LONGEST_NOTICE = 480  # characters of an error; one that lists every layer of a network needs most of them


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


def _each(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A check for mappings: names are short, and `holds` is true of each value."""

    def all_hold(value: Any) -> bool:
        named = isinstance(value, Mapping) and all(re.fullmatch(r"[\w. -]{1,40}", name) for name in value)
        return named and all(map(holds, value.values()))

    return all_hold


# Field of `Recipe` -> a check of its value, and what the error says that it must be.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "settings": (lambda value: isinstance(value, Settings), "settings"),
    "inputs": (_each(_is_hash), "SHA-256 by name"),
    "versions": (_each(_is_line), "a line of text by name"),
    "compute": (_is_line, "a line of text"),
    "stopped": (_is_line, "a line of text"),
    "steps": (_is_whole, "a whole number"),
    "costs": (_each(_is_finite), "finite numbers by name"),
    "height": (_is_whole, "a whole number"),
    "width": (_is_whole, "a whole number"),
}


@dataclass(frozen=True)
class Recipe:
    """The settings and inputs of a run, its environment and its outcome. Illegal values raise `ValueError`."""

    settings: Settings  # what decides the picture; the rest is left out, also of older recipes, by `_of_the_picture`
    inputs: Mapping[str, str]  # name -> SHA-256, from `fingerprints`
    versions: Mapping[str, str]  # program -> version, for programs that influence the numbers
    compute: str  # device, number format and the reason for both
    stopped: str  # as in `Result`
    steps: int  # taken over all levels
    costs: Mapping[str, float]  # of the last step; the costs of layers are not multiplied by lambda
    height: int  # of the picture, px
    width: int  # px

    def __post_init__(self) -> None:
        for name, (holds, words) in _RULES.items():
            value = getattr(self, name)
            if not holds(value):
                raise ValueError(f"{name}={value!r:.60} must be {words}; choose the PNG as this program saved it")
        object.__setattr__(self, "settings", _of_the_picture(self.settings))

    @classmethod
    def of(cls, result: Result, inputs: Mapping[str, str]) -> Recipe:
        """The recipe of a finished run; `inputs` are the `fingerprints` of its pictures."""
        costs: dict[str, float] = {}
        for last in result.history[-1:]:  # none when the first step diverged
            named = ("total", "content", "style", "total_variation")
            costs = {name: getattr(last, name) for name in named} | last.style_layers
        finite = {name: float(cost) for name, cost in costs.items() if _is_finite(cost)}
        packages = {name: version(name) for name in ("torchvision", "pillow")}  # torchvision is slow to import
        versions = {"python": platform.python_version(), "torch": str(torch.__version__), **packages}
        width, height = result.image.size
        steps = len(result.history)
        return cls(result.settings, inputs, versions, str(result.compute), result.stopped, steps, finite, height, width)


def _of_the_picture(settings: Settings) -> Settings:
    """The settings without those of the machine, and without a blend of equal weights, which fits other styles too."""
    changes: dict[str, Any] = {name: getattr(Settings(), name) for name in NOT_OF_THE_PICTURE}
    if len(set(settings.style_blend or ())) == 1:
        changes["style_blend"] = None
    return dataclasses.replace(settings, **changes)


def fingerprint(picture: pictures.Source, name: str = "picture") -> str:
    """SHA-256 of the size and the upright sRGB pixels, 64 hexadecimal digits. A lossless copy has the same one.

    Colours under full transparency do not count: no run uses them, and other programs may change them.
    """
    seen = pictures.load(picture, name)
    digest = hashlib.sha256(f"{seen.mode} {seen.width} {seen.height} ".encode())
    for box in bands(seen.size):
        band = seen.crop(box)
        if seen.mode == "RGBA":
            band.paste((0, 0, 0, 0), mask=band.getchannel("A").point([255] + [0] * 255))
        digest.update(band.tobytes())
    return digest.hexdigest()


def fingerprints(
    photo: pictures.Source,
    styles: Sequence[pictures.Source],
    masks: Sequence[pictures.Source] = (),
    start: pictures.Source | None = None,
    style_masks: Sequence[pictures.Source] = (),
) -> dict[str, str]:
    """A run's input pictures (PIL or paths) -> their fingerprints by name: photo, style 1 ..., mask 1 ..., start,
    style mask 1 ...

    A recipe keeps nothing else of an upload: no file name, no path, no metadata.
    """
    named = {"photo": photo}
    named |= {f"style {number}": style for number, style in enumerate(styles, start=1)}
    named |= {f"mask {number}": pictures.to_mask(mask) for number, mask in enumerate(masks, start=1)}
    named |= {} if start is None else {"start": start}
    named |= {f"style mask {number}": mask for number, mask in enumerate(style_masks, start=1)}
    return {name: fingerprint(picture, name) for name, picture in named.items()}


def text(recipe: Recipe) -> dict[str, str]:
    """PNG texts by keyword, for `encode`: the recipe as compact JSON with its checksum, and a description in words."""
    words = f"Neural style transfer (Gatys et al. 2015). The text {KEYWORD!r} holds the complete settings."
    return {"Software": "nst", "Description": words, KEYWORD: _sealed({"format": FORMAT, **_plain(recipe)})}


def film_text(settings: Settings, inputs: Mapping[str, str], film: Mapping[str, Any]) -> str:
    """The recipe of a film, for its file's comment: settings, fingerprints of the inputs, the film's own facts."""
    return _sealed({"format": FORMAT, "settings": _of_the_picture(settings), "inputs": inputs, "film": film})


def read_film(text: str) -> tuple[Settings, Mapping[str, Any]]:
    """Settings and facts from `film_text`. `ValueError` if there is no intact recipe."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the recipe has {len(text)} characters, over the limit of {LONGEST_TEXT}; it is not ours")
    try:
        body = _unsealed(text)
        return Settings(**_known(Settings, body.get("settings"))), dict(body.get("film") or {})
    except RecursionError:
        raise _edited() from None


def read(source: str | os.PathLike[str] | bytes | Image.Image) -> Recipe:
    """The recipe in a PNG: a path, a file's bytes or an opened picture. `ValueError` if there is no intact recipe.

    The checksum detects damage and careless edits. It is not a signature: anyone can compute it for a forged recipe.
    """
    if isinstance(source, Image.Image):
        found = _text_in(source)
    else:
        with _open(source) as picture:
            found = _text_in(picture)
    try:
        return _recipe(_unsealed(found))
    except RecursionError:
        raise _edited() from None


def _plain(value: Any) -> Any:
    """Convert what JSON cannot write: our dataclasses, other mappings, and NumPy numbers, which `Settings` accepts."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name not in NOT_OF_THE_PICTURE]
        return {name: getattr(value, name) for name in names}
    return dict(value) if isinstance(value, Mapping) else int(value) if isinstance(value, Integral) else float(value)


def _sealed(body: Mapping[str, Any]) -> str:
    """Compact JSON that ends with its SHA-256. Names stay unsorted: the order of layers affects rounding."""
    write = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode
    return write({**body, "sha256": hashlib.sha256(write(body).encode()).hexdigest()})


def _unsealed(found: str) -> dict[str, Any]:
    """The fields of an intact recipe. It is intact if writing it again gives the same text, without NaN or repeats."""
    try:
        body = json.loads(found)
        made_by = body.get("format") if isinstance(body, dict) else None
        intact = made_by == FORMAT and _sealed({name: body[name] for name in body if name != "sha256"}) == found
    except ValueError:
        raise _edited() from None
    if made_by not in (None, FORMAT):  # another format may compute its checksum in another way
        raise ValueError(f"the recipe has format {made_by!r:.20}, not {FORMAT}; use the program that wrote it")
    if not intact:
        raise _edited()
    return {name: body[name] for name in body if name not in ("format", "sha256")}


def _edited() -> ValueError:
    return ValueError("the recipe is damaged or was edited; choose the PNG as this program saved it")


def _recipe(body: dict[str, Any]) -> Recipe:
    """Build the recipe. The dataclasses check their fields, and their errors name the field."""
    try:
        given = _known(Recipe, body)
        return Recipe(**{**given, "settings": Settings(**_known(Settings, given["settings"]))})
    except ValueError as error:
        raise ValueError(f"the recipe cannot be used: {error!s:.{LONGEST_NOTICE}}") from None


def _known(kind: type, given: Any) -> dict[str, Any]:
    """Check keyword arguments for a dataclass. Fields of `Settings` may be missing: an older program had fewer."""
    if not isinstance(given, dict):
        raise ValueError(f"settings={given!r:.60} must be values by name; choose the PNG as this program saved it")
    names = [field.name for field in dataclasses.fields(kind)]
    for name in (*given, *(names if kind is Recipe else ())):
        if name not in names or name not in given:
            raise ValueError(
                f"{name!r:.60} is {'not known' if name in given else 'missing'}; use the program that wrote it"
            )
    return given


def _text_in(picture: Image.Image) -> str:
    """The text under our keyword, of limited length. Pillow limits the size of decompressed texts."""
    if picture.format not in ("PNG", None):  # a copy of a picture has the format None
        raise ValueError(f"this picture is a {picture.format}; only a PNG that this program saved holds a recipe")
    if KEYWORD not in picture.info:
        try:
            picture.load()  # texts may also follow the pixels, where some programs put them
        except MemoryError:
            raise
        except Exception:  # Pillow's decoder raises many kinds of exception for damaged files
            raise ValueError("this PNG cannot be read (damaged); choose it as this program saved it") from None
    found = picture.info.get(KEYWORD)
    if not isinstance(found, str):
        raise ValueError("this PNG holds no recipe; choose one as this program saved it")
    if len(found) > LONGEST_TEXT:
        raise ValueError(f"the recipe has {len(found)} characters, over the limit of {LONGEST_TEXT}; it is not ours")
    return found


def _open(source: str | os.PathLike[str] | bytes) -> Image.Image:
    """The opened PNG. Every error is a `ValueError` whose sentence names no path."""
    try:
        return pictures.opened(source, "PNG", ("PNG",), texts=(KEYWORD.encode(),))
    except ValueError as error:
        why = "this is no PNG that can be read" if isinstance(error.__cause__, UnidentifiedImageError) else error
        raise ValueError(f"{why}; only a PNG that this program saved has a recipe") from None
