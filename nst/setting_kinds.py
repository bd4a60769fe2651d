"""Kinds of settings: how a value is checked, read from text and written as text.

Every kind has `legal`, words for the values that it takes; `parse`, which turns text into a value and leaves other
values alone; `check`, which returns a legal value and raises `ValueError` with value, limit and remedy for others; and
`write`, which gives the text that `parse` reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True)
class Number:
    """A field that holds a number."""

    low: float
    high: float

    @property
    def legal(self) -> str:
        return f"a number from {self.low:.10g} to {self.high:.10g}"

    def parse(self, given: Any) -> Any:
        return float(given) if isinstance(given, str) else given

    def check(self, name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, Real) or value != value:  # NaN
            raise ValueError(f"{name}={value!r:.60} must be {self.legal}")
        if not self.low <= value <= self.high:
            raise ValueError(
                f"{name}={value!s:.40} is outside {self.low:.10g} to {self.high:.10g}; choose a number inside"
            )
        return value

    def write(self, value: Any) -> str:
        """The shortest decimals that give the same number back."""
        return str(value) if isinstance(value, Integral) else repr(float(value)).removesuffix(".0")


@dataclass(frozen=True)
class Whole:
    """A field that holds a whole number."""

    low: int
    high: int
    unit: str = ""

    @property
    def legal(self) -> str:
        return f"a whole number from {self.low} to {self.high}{self.unit}"

    def parse(self, given: Any) -> Any:
        """Also 384.0, which sliders and programs send for 384. A fraction stays a fraction, which `check` refuses."""
        is_whole = isinstance(given, str) or (isinstance(given, float) and given.is_integer())
        return int(given) if is_whole else given

    def check(self, name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name}={value!r:.60} must be {self.legal}")
        if value > self.high:
            raise ValueError(
                f"{name}={value}{self.unit} is over the limit of {self.high}{self.unit}; choose a smaller {name}"
            )
        if value < self.low:
            raise ValueError(
                f"{name}={value}{self.unit} is under the limit of {self.low}{self.unit}; choose a larger {name}"
            )
        return value

    def write(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True)
class Switch:
    """A field that is on or off."""

    legal = "yes or no"

    def parse(self, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given.lower() not in ("yes", "true", "no", "false"):
            raise ValueError
        return given.lower() in ("yes", "true")

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ValueError(f"{name}={value!r:.60} must be True or False")
        return value

    def write(self, value: Any) -> str:
        return str(value).lower()


@dataclass(frozen=True)
class Word:
    """A field that holds one of a few words, or any text that matches a pattern."""

    legal: str  # after "choose"
    pattern: str

    @classmethod
    def of(cls, choices: Mapping[str, str]) -> Word:
        return cls(f"from {', '.join(choices)}", "|".join(map(re.escape, choices)))

    def parse(self, given: Any) -> Any:
        return given

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise ValueError(f"{name}={value!r:.60} is not known; choose {self.legal}")
        return value

    def write(self, value: Any) -> str:
        return value


@dataclass(frozen=True)
class Layers:
    """A field that holds weights by layer; as text `relu1_1:0.3,relu4_2:1`. The names are checked by `Settings`."""

    weight: Number
    legal = "layers and their weights, such as relu1_1:0.3,relu4_2:1"

    def parse(self, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        pairs = (part.replace("=", ":").split(":") for part in given.split(",") if part)
        return {layer.strip(): float(weight) for layer, weight in pairs}

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"{name}={value!r:.60} must map layer names to weights, for example {{'relu4_1': 0.2}}")
        return {layer: self.weight.check(f"{name}[{layer!r}]", weight) for layer, weight in value.items()}

    def write(self, value: Any) -> str:
        return ",".join(f"{layer}:{self.weight.write(weight)}" for layer, weight in value.items())


@dataclass(frozen=True)
class Blend:
    """A field that holds a weight for each style picture; as text `0.7,0.3`."""

    weight: Number
    most: int  # style pictures

    @property
    def legal(self) -> str:
        return f"1 to {self.most} numbers, one per style, such as 0.7,0.3"

    def parse(self, given: Any) -> Any:
        return tuple(map(float, given.split(","))) if isinstance(given, str) else given

    def check(self, name: str, value: Any) -> Any:
        try:
            blend = tuple(value)
        except TypeError:
            raise ValueError(f"{name}={value!r:.60} must be one weight per style, such as (0.7, 0.3)") from None
        if not 1 <= len(blend) <= self.most:
            raise ValueError(f"{name} has {len(blend)} weights; give 1 to {self.most}, one per style")
        for index, weight in enumerate(blend):
            self.weight.check(f"{name}[{index}]", weight)
        if sum(blend) == 0:
            raise ValueError(f"{name}={blend} has only zeros; raise the weight of at least one style")
        return blend

    def write(self, value: Any) -> str:
        return ",".join(map(self.weight.write, value))


Kind = Number | Whole | Switch | Word | Layers | Blend
