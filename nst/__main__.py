"""The command line: `python -m nst PHOTO STYLE -o OUT.png`. Its options are the fields of `Settings`."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from nst import Degraded, Finished, Result, Settings, Started, Step, encode, stylise_events
from nst.settings import CHOICES
from nst.weights import WeightsError

# Fields whose options are written by hand below, because they are not one number or word.
_SPECIAL = {"content_layers", "style_layers", "style_blend"}
_TYPES = {"float": float, "int": int}  # of a field by the first word of its annotation


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line on stderr and exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Paint one picture; 0 when it was written, 2 for input that cannot be used, 130 when interrupted."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    try:
        _check_output(options.output, options.bits)
        if options.costs:
            _check_folder("costs", options.costs)
        settings = _settings(options)
        result = _paint(options, settings)
        encode.save(result.painting.pixels(), options.output, options.bits)
        if options.costs:
            _write_costs(options.costs, result)
    except (ValueError, WeightsError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{options.output} cannot be written ({error.strerror or error}); choose another place")
    except KeyboardInterrupt:
        print("interrupted, nothing was written", file=sys.stderr)
        return 130
    costs = result.history[-1] if result.history else None
    figures = f", J = {costs.total:.3g} (content {costs.content:.3g}, style {costs.style:.3g})" if costs else ""
    print(f"{options.output}: {result.image.width} x {result.image.height} px in {result.seconds:.1f} s{figures}")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m nst", description="Repaint a photo in the style of another picture.")
    parser.add_argument("photo", help="the picture whose content is kept")
    parser.add_argument("styles", nargs="+", metavar="style", help="one to four pictures whose style is painted")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, such as out.png")
    parser.add_argument("--costs", type=Path, metavar="FILE.csv", help="Write the loss curve, one row per step.")
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
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="Bits per colour of a PNG. Default: 8.")
    return parser


def _switch_words(item: dataclasses.Field) -> str:
    return ("Turn off: " if item.default else "") + item.metadata["help"]


def _layer_weight(text: str) -> tuple[str, float]:
    layer, _, weight = text.partition("=")
    try:
        return layer, float(weight or 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LAYER=NUMBER, such as relu1_1=0.3") from None


def _settings(options: argparse.Namespace) -> Settings:
    """The settings asked for; whatever was not named keeps its default."""
    named = {name: value for name, value in vars(options).items() if value is not None}
    fields = {item.name for item in dataclasses.fields(Settings)} - _SPECIAL
    given: dict[str, Any] = {name: value for name, value in named.items() if name in fields}
    if options.lambdas:
        given["style_layers"] = {**Settings().style_layers, **dict(options.lambdas)}
    if options.content_layer:
        given["content_layers"] = dict(options.content_layer)
    if options.blend:
        given["style_blend"] = tuple(options.blend)
    return Settings(**given)


def _check_output(path: Path, bits: int) -> None:
    """Refuse before the run what could not be written after it."""
    encode.format_of(path, bits)
    _check_folder("output", path)


def _check_folder(name: str, path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{name} {str(path)!r} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"{name} folder {str(path.parent)!r} does not exist; make it first")


def _write_costs(path: Path, result: Result) -> None:
    """The loss curve as CSV, unweighted costs, one column per style layer."""
    if not result.history:
        return
    rows = [{**dataclasses.asdict(costs), "size": max(costs.size), **costs.style_layers} for costs in result.history]
    columns = [name for name in rows[0] if name != "style_layers"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _paint(options: argparse.Namespace, settings: Settings) -> Result:
    events = stylise_events(options.photo, options.styles, settings, masks=options.masks, start=options.start)
    with tqdm(unit="step", leave=False) as bar:
        for event in events:
            match event:
                case Started(steps=steps, compute=compute):
                    bar.total = steps
                    bar.write(str(compute), file=sys.stderr)
                case Step(costs=costs):
                    bar.set_postfix(px=max(costs.size), J=f"{costs.total:.3g}", refresh=False)
                    bar.update()
                case Degraded(reason=reason):
                    bar.write(reason, file=sys.stderr)
                case Finished(result=result):
                    return result
    raise AssertionError("a run ends with Finished")


if __name__ == "__main__":
    sys.exit(main())
