"""Neural style transfer by optimisation (Gatys et al. 2015): the public names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nst import openmp  # noqa: F401, first: it must come before torch
from nst.events import Costs, Degraded, Event, Finished, Result, Started, Step
from nst.settings import Settings

if TYPE_CHECKING:
    from nst.transfer import stylise, stylise_events

__all__ = [
    "Costs",
    "Degraded",
    "Event",
    "Finished",
    "Result",
    "Settings",
    "Started",
    "Step",
    "stylise",
    "stylise_events",
]


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use: `nst.serve` loads what must come before torch."""
    if name == "costs":
        return import_module("nst.costs")
    if name in ("stylise", "stylise_events"):
        from nst import transfer

        return getattr(transfer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
