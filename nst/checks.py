"""Values that are refused with the remedy: `ValueError`s that name the setting, its value and what to choose."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any


def choice(name: str, value: Any, words: Mapping[str, str]) -> None:
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name}={value!r} is not known; choose from {', '.join(words)}")


def number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or value != value:  # NaN
        raise ValueError(f"{name}={value!r} must be a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise ValueError(f"{name}={value!s:.40} is outside {low:g} to {high:g}; choose a number inside")


def integer(name: str, value: Any, low: int, high: int, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name}={value!r} must be a whole number from {low} to {high}{unit}")
    if value > high:
        raise ValueError(f"{name}={value}{unit} is over the limit of {high}{unit}; choose a smaller {name}")
    if value < low:
        raise ValueError(f"{name}={value}{unit} is under the limit of {low}{unit}; choose a larger {name}")
