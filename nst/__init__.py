"""Neural style transfer by optimisation (Gatys et al. 2015): the public names."""

from nst.events import Costs, Degraded, Event, Finished, Result, Started, Step
from nst.settings import Settings
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
