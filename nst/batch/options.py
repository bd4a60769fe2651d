"""The options of a run, which are the fields of `Settings`: one table for a picture, a batch and a row of a CSV."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, NoReturn

from nst import recipe
from nst.settings import CHOICES, Settings

# Fields whose options are written by hand below, because they are not one number or word.
_SPECIAL = {"content_layers", "style_layers", "style_blend"}
_TYPES = {"float": float, "int": int}  # of a field by the first word of its annotation


class Parser(argparse.ArgumentParser):
    """Raises `ValueError` for arguments that cannot be used; whoever asked says where they stood."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Everything that decides one picture besides its photo and its styles."""
    defaults = Settings()
    for item in dataclasses.fields(Settings):
        if item.name in _SPECIAL:
            continue
        default = getattr(defaults, item.name)
        words = item.metadata["help"] + (f" Default: {default}." if default is not None else "")
        flag = "--" + item.name.replace("_", "-")
        if isinstance(default, bool):
            flag = flag.replace("--", "--no-") if default else flag
            parser.add_argument(flag, dest=item.name, action="store_const", const=not default, help=_switch_words(item))
            continue
        choices = CHOICES.get(item.name)
        kind = (
            {"choices": list(choices)} if choices else {"type": _TYPES.get(item.type.split()[0], str), "metavar": "X"}
        )
        parser.add_argument(flag, help=words, **kind)
    _add_special(parser)


def _add_special(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lambda", dest="lambdas", action="append", default=[], metavar="LAYER=X", type=_layer_weight,
        help="Weight of one style layer, such as relu1_1=0.3; may be repeated, the other layers keep theirs.",
    )  # fmt: skip
    parser.add_argument(
        "--content-layer", action="append", default=[], metavar="LAYER[=X]", type=_layer_weight,
        help="Content layer and its weight instead of relu4_2; may be repeated.",
    )  # fmt: skip
    parser.add_argument(
        "--blend", nargs="+", type=float, metavar="X", help="How much each style counts, in their order."
    )
    parser.add_argument(
        "--mask", dest="masks", action="append", default=[], metavar="PICTURE",
        help="Where the style goes: white is painted. Once for all styles, or once for each, in their order.",
    )  # fmt: skip
    parser.add_argument("--start", metavar="PICTURE", help="Start from this picture, to continue an earlier run.")
    parser.add_argument(
        "--recipe", metavar="PICTURE.png",
        help="Begin with the settings in a PNG that the page saved; other options change them.",
    )  # fmt: skip
    parser.add_argument("--bits", type=int, choices=(8, 16), help="Bits per colour of a PNG. Default: 8.")


def _switch_words(item: dataclasses.Field) -> str:
    return ("Turn off: " if item.default else "") + item.metadata["help"]


def _layer_weight(text: str) -> tuple[str, float]:
    layer, _, weight = text.partition("=")
    try:
        return layer, float(weight or 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LAYER=NUMBER, such as relu1_1=0.3") from None


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings asked for; whatever was not named is as in the recipe, or else the default."""
    base = recipe.read(Path(options.recipe)).settings if options.recipe else Settings()
    named = {name: value for name, value in vars(options).items() if value is not None}
    fields = {item.name for item in dataclasses.fields(Settings)} - _SPECIAL
    given: dict[str, Any] = {name: value for name, value in named.items() if name in fields}
    if options.lambdas:
        given["style_layers"] = {**base.style_layers, **dict(options.lambdas)}
    if options.content_layer:
        given["content_layers"] = dict(options.content_layer)
    if options.blend:
        given["style_blend"] = tuple(options.blend)
    return dataclasses.replace(base, **given)


def overlaid(options: argparse.Namespace, row: argparse.Namespace) -> argparse.Namespace:
    """What a row of a CSV file asks for, and where it says nothing what the command does."""
    return argparse.Namespace(**{**vars(options), **{k: v for k, v in vars(row).items() if v not in (None, [])}})
