"""The options of a run, which are the fields of `Settings`: the same for a picture, a batch and a row of a CSV file."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from nst import recipe
from nst.setting_kinds import Blend, Layers, Switch
from nst.settings import CHOICES, KINDS, Settings, read_value, write_value

NO_LAYERS = "none"  # value of --lambda and --content-layer that removes all layers


class Parser(argparse.ArgumentParser):
    """Raises `ValueError` for illegal arguments instead of exiting, so that the caller can add where they come from."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of one picture, without its photo and its styles."""
    for item in dataclasses.fields(Settings):
        if isinstance(KINDS[item.name], (Layers, Blend)):
            continue  # `_add_several` gives them shorter names and one value at a time
        words = item.metadata["help"]
        if item.default is not None:
            words += f" Default: {write_value(item.name, item.default)}."
        flag = "--" + item.name.replace("_", "-")
        if isinstance(KINDS[item.name], Switch):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=words)
            continue
        shown = "{" + ",".join(CHOICES[item.name]) + "}" if item.name in CHOICES else "X"
        parser.add_argument(flag, type=_reader(item.name), metavar=shown, help=words)
    _add_several(parser)


def _add_several(parser: argparse.ArgumentParser) -> None:
    """Add the options that take several values, and those that are no fields of `Settings`."""
    parser.add_argument(
        "--lambda", dest="lambdas", action="append", default=[], metavar="LAYER=X", type=_layer_reader("style_layers"),
        help="Weight of one style layer, such as relu1_1=0.3; may be repeated. The other layers keep their weights; "
        f"--lambda {NO_LAYERS} before it removes them.",
    )  # fmt: skip
    parser.add_argument(
        "--content-layer", action="append", default=[], metavar="LAYER[=X]", type=_layer_reader("content_layers"),
        help=f"Content layer and its weight instead of relu4_2; may be repeated, or {NO_LAYERS}.",
    )  # fmt: skip
    parser.add_argument("--blend", nargs="+", metavar="X", help="How much each style counts, in their order.")
    parser.add_argument(
        "--mask", dest="masks", action="append", default=[], metavar="PICTURE",
        help="Where the style goes: white is painted. Once for all styles, or once for each, in their order.",
    )  # fmt: skip
    parser.add_argument(
        "--style-mask", dest="style_masks", action="append", default=[], metavar="PICTURE",
        help="What of a style picture counts in the deep style layers: white does, black does not, and where it is "
        "transparent --style-parts decides. At most once for each style, in their order.",
    )  # fmt: skip
    parser.add_argument("--start", metavar="PICTURE", help="Start from this picture, to continue an earlier run.")
    parser.add_argument(
        "--recipe", metavar="PICTURE.png",
        help="Begin with the settings in a PNG that this program or the page saved; other options change them.",
    )  # fmt: skip
    parser.add_argument("--bits", type=int, choices=(8, 16), help="Bits per colour of a PNG. Default: 8.")


def _reader(name: str) -> Callable[[str], Any]:
    """A function that reads a field's option for argparse, which shows only the text of `ArgumentTypeError`."""

    def read(text: str) -> Any:
        try:
            return read_value(name, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _layer_reader(name: str) -> Callable[[str], dict[str, float]]:
    """Reads `relu1_1=0.3`; `relu1_1` alone has weight 1, and `none` is no layer."""
    read = _reader(name)
    return lambda text: {} if text == NO_LAYERS else read(text if {"=", ":"} & set(text) else f"{text}=1")


def settings_of(options: argparse.Namespace, base: Settings | None = None) -> Settings:
    """The settings of the options. Other fields have the values of `base`, of the recipe, or else their defaults."""
    if base is None:
        base = recipe.read(Path(options.recipe)).settings if options.recipe else Settings()
    named = {name: value for name, value in vars(options).items() if value is not None}
    given: dict[str, Any] = {name: value for name, value in named.items() if name in KINDS}
    if options.lambdas:
        given["style_layers"] = _weights(options.lambdas, base.style_layers)
    if options.content_layer:
        given["content_layers"] = _weights(options.content_layer, {})
    if options.blend:
        given["style_blend"] = read_value("style_blend", ",".join(options.blend))
    return dataclasses.replace(base, **given)


def _weights(parts: Iterable[Mapping[str, float]], base: Mapping[str, float]) -> Mapping[str, float]:
    """The weights of `base` changed by those of each part, in their order; an empty part removes all before it."""
    for part in parts:
        base = {**base, **part} if part else {}
    return base


def overlaid(options: argparse.Namespace, row: argparse.Namespace) -> argparse.Namespace:
    """The options of a row of a CSV file; options that the row leaves out are the command's."""
    return argparse.Namespace(**{**vars(options), **{k: v for k, v in vars(row).items() if v not in (None, [])}})
