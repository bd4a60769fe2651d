"""The status line: what a run is doing, in words that need no lecture."""

from __future__ import annotations

from collections.abc import Sequence

from nst import Costs, Result, Settings, Started, Step

LOOK_BACK_STEPS = 10
BARELY = 0.01  # share of J; a smaller gain over `LOOK_BACK_STEPS` is barely visible
SETTLED = 0.05  # share of the work after which the time left is told: the first steps are slower than the others


def progress(started: Started, step: Step, history: Sequence[Costs]) -> str:
    """The status line while a run is on."""
    costs, levels = step.costs, len(started.levels)
    stage = f"Stage {costs.level} of {levels}: " if levels > 1 else ""
    left = f", {_left(costs.seconds, step.eta_seconds, started.settings)}" if step.fraction >= SETTLED else ""
    how = ", ".join(filter(None, (_so_far(history, started.settings), trend(history))))
    return f"{stage}{max(costs.size)} px, step {costs.step} of {started.steps}{left}.  \n{how[:1].upper()}{how[1:]}"


def _left(taken_s: float, eta_s: float, settings: Settings) -> str:
    """The time left of a run, or until its limit of time where that comes first."""
    most_s = settings.max_seconds
    if most_s is None or taken_s + eta_s <= most_s:
        return f"{duration(eta_s)} left"
    return f"{duration(eta_s)} left, but it is stopped in {duration(max(0, most_s - taken_s))}, its limit of time"


def summary(result: Result) -> str:
    """The status line after a run."""
    size = f"{result.image.width} x {result.image.height} px"
    ended = {"budget": " Your time was up.", "plateau": " It hardly changed any more."}.get(result.stopped, "")
    how = f" {matched(result.history[-1], result.settings).capitalize()}." if result.history else ""
    guided = " What stands in the style picture once was left out." if result.settings.style_parts != "all" else ""
    return f"Finished: {size} in {result.seconds:.1f} s and {len(result.history)} steps.{ended}{how}{guided}"


def duration(seconds: float) -> str:
    """Seconds rounded as a forecast may be: 4 s, 35 s, 3 min."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    return f"{5 * round(seconds / 5)} s" if seconds < 90 else f"{round(seconds / 60)} min"


def matched(costs: Costs, settings: Settings) -> str:
    """How much of the style is reached, or of the content where beta is 0. Empty when costs are no shares."""
    if not settings.balance:
        return ""
    name, share = _share(costs, settings)
    return f"{name} {share:.0%} matched".replace("%", " %")


def _so_far(history: Sequence[Costs], settings: Settings) -> str:
    """What is matched; after a step to a larger picture, until as much is matched as before it, the reason why not.

    A larger picture has detail that is not painted yet. Its lower share is no loss, and is not shown as one.
    """
    level = history[-1].level
    smaller = [_share(costs, settings) for costs in history if costs.level < level]
    if smaller and _share(history[-1], settings) < max(smaller):
        return "larger picture, finer detail now"
    return matched(history[-1], settings)


def _share(costs: Costs, settings: Settings) -> tuple[str, float]:
    """What counts, style or content, and the share of it that is matched: 0 to 1."""
    layers, cost, name = (
        (settings.style_layers, costs.style, "style")
        if settings.beta
        else (settings.content_layers, costs.content, "content")
    )
    return name, max(0.0, 1 - cost / sum(layers.values()))


def trend(history: Sequence[Costs]) -> str:
    """Whether waiting pays, from the last steps of the level; empty while there are too few."""
    if len(history) <= LOOK_BACK_STEPS or history[-1].level != history[-1 - LOOK_BACK_STEPS].level:
        return ""
    earlier, now = history[-1 - LOOK_BACK_STEPS].total, history[-1].total
    return "barely changing: you can stop" if earlier - now < BARELY * earlier else "still improving"
