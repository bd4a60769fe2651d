"""The status line: what a run is doing, in words that need no lecture."""

from __future__ import annotations

from collections.abc import Sequence

from nst import Costs, Result, Settings, Started, Step

LOOK_BACK_STEPS = 10
BARELY = 0.01  # share of J; a smaller gain over `LOOK_BACK_STEPS` is barely visible


def progress(started: Started, step: Step, history: Sequence[Costs]) -> str:
    """The status line while a run is on."""
    costs = step.costs
    place = f"Level {costs.level} of {len(started.levels)}, {max(costs.size)} px, step {costs.step} of {started.steps}"
    how = ", ".join(filter(None, (matched(costs, started.settings), trend(history))))
    return f"{place}, {duration(step.eta_seconds)} left. {how[:1].upper()}{how[1:]}.  \n{started.compute}"


def summary(result: Result) -> str:
    """The status line after a run."""
    size = f"{result.image.width} x {result.image.height} px"
    ended = {"budget": " Your time was up.", "plateau": " It hardly changed any more."}.get(result.stopped, "")
    how = f" {matched(result.history[-1], result.settings).capitalize()}." if result.history else ""
    return (
        f"Finished: {size} in {result.seconds:.1f} s and {len(result.history)} steps.{ended}{how}  \n{result.compute}"
    )


def duration(seconds: float) -> str:
    """Seconds rounded as a forecast may be: 4 s, 35 s, 3 min."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    return f"{5 * round(seconds / 5)} s" if seconds < 90 else f"{round(seconds / 60)} min"


def matched(costs: Costs, settings: Settings) -> str:
    """How much of the style is reached, or of the content where beta is 0. Empty when costs are no shares."""
    if not settings.balance:
        return ""
    layers, cost, name = (
        (settings.style_layers, costs.style, "style")
        if settings.beta
        else (settings.content_layers, costs.content, "content")
    )
    share = 1 - cost / sum(layers.values())
    return f"{name} {max(0.0, share):.0%} matched".replace("%", " %")


def trend(history: Sequence[Costs]) -> str:
    """Whether waiting pays, from the last steps of the level; empty while there are too few."""
    if len(history) <= LOOK_BACK_STEPS or history[-1].level != history[-1 - LOOK_BACK_STEPS].level:
        return ""
    earlier, now = history[-1 - LOOK_BACK_STEPS].total, history[-1].total
    return "barely changing: you can stop" if earlier - now < BARELY * earlier else "still improving"
