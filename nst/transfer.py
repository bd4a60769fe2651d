"""Neural style transfer (Gatys, Ecker & Bethge 2015) as one straight line: pictures -> levels -> targets -> steps."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from nst import malloc, memory
from nst.events import Costs, Degraded, Event, Finished, Result, Started, Step
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.images.painting import Painting, from_preview
from nst.job import Job
from nst.objective.objective import Objective, Targets
from nst.objective.targets import StyleCache
from nst.objective.tiled import TiledObjective
from nst.objective.tiles import MIB
from nst.optimise.lbfgs import free_pixels
from nst.optimise.loop import DivergedError, minimise
from nst.schedule import Level
from nst.settings import Settings

PREVIEW_EVERY_S = 0.25
PLATEAU_STEPS = 10
# What `Result.stopped` says of a level in which no step has changed the picture -> why none has.
STILL = {
    "plateau": "its gradient is 0, as where the cost is lowest",
    "diverged": "its gradient is too small or too large to compute with; bring alpha, beta and lambdas near 1",
}


def stylise(
    content: pictures.Source,
    styles: pictures.Source | Sequence[pictures.Source],
    settings: Settings | None = None,
    *,
    masks: pictures.Source | Sequence[pictures.Source] = (),
    start: pictures.Source | None = None,
    memo: StyleCache | None = None,
    style_masks: pictures.Source | Sequence[pictures.Source] = (),
) -> Result:
    """Repaint `content` in the style of `styles` and return the picture and its loss curve.

    Pictures are PIL images, paths or a file's bytes (`nst.images.pictures.Source`). `masks` (white is painted) say
    where: one for all styles, or one for each; elsewhere the photo stays as it is. `start` is a picture to begin with
    instead of `settings.init`. Several runs that are given the same `memo` measure a style once. `style_masks`, at most
    one for each style in their order, say what of it counts in the deep style layers: white does, black does not, and
    where they are transparent `settings.style_parts` decides. Raises `ValueError` for input that cannot be used, and
    `nst.features.weights.WeightsError` if the network's weights are missing.
    """
    *_, last = stylise_events(content, styles, settings, masks=masks, start=start, memo=memo, style_masks=style_masks)
    return last.result


def stylise_events(
    content: pictures.Source,
    styles: pictures.Source | Sequence[pictures.Source],
    settings: Settings | None = None,
    *,
    masks: pictures.Source | Sequence[pictures.Source] = (),
    start: pictures.Source | None = None,
    memo: StyleCache | None = None,
    style_masks: pictures.Source | Sequence[pictures.Source] = (),
) -> Iterator[Event]:
    """The same run as a stream: one `Started`, a `Step` per step, perhaps `Degraded`, and `Finished` at the end.

    Pictures and settings are checked before this returns. Closing the iterator stops the run within one step and frees
    its memory.
    """
    with memory.one_error():
        given = _listed(styles), settings or Settings(), _listed(masks), start, _listed(style_masks)
        job = Job.of(content, *given)
    return run(job, memo)


def result_so_far(
    started: Started, history: Sequence[Costs], preview: Image.Image, masks: Sequence[Image.Image]
) -> Result:
    """The result of a run that was stopped from outside, from its newest preview (PIL RGB) and the steps it had taken.

    The picture has the size asked for, but neither the photo's transparency nor, for `original_size`, its own size.
    """
    settings, seconds = started.settings, history[-1].seconds
    painting = from_preview(preview, started.preview, masks, settings)
    return Result(painting.picture(), painting, tuple(history), settings, started.compute, seconds, "stopped")


def _listed(sources: pictures.Source | Sequence[pictures.Source]) -> list[pictures.Source]:
    one = isinstance(sources, (str, bytes, Image.Image)) or not isinstance(sources, Sequence)
    return [sources] if one else list(sources)


def run(job: Job, memo: StyleCache | None = None) -> Iterator[Event]:
    """The events of a checked run. However it ends, its memory then goes back to the system."""
    try:
        with memory.one_error():
            yield from _events(job, memo)
    finally:
        malloc.trim()
        torch.cuda.empty_cache()  # the memory of each level's recorded step, which nothing else can use


def _events(job: Job, memo: StyleCache | None) -> Iterator[Event]:
    settings, compute = job.settings, job.compute
    planned = sum(level.steps for level in job.levels)
    image = job.begin()
    yield Started(settings, compute, tuple(job.levels), planned, job.preview())
    yield from map(Degraded, job.notices)
    state = _Run(job, memo, _extractor(job, compute.dtype), _Clock(job.levels), image)
    for level in job.levels:
        stopped = yield from state.level(level)
        if stopped in ("budget", "diverged"):
            break
    painting = Painting.of(state.image, job.photo, job.drawn, settings, job.inputs.grey_styles(settings))
    seconds = state.clock.elapsed_s()
    yield Finished(Result(painting.picture(), painting, tuple(state.history), settings, compute, seconds, stopped))


def _extractor(job: Job, dtype: torch.dtype) -> FeatureExtractor:
    settings = job.settings
    return FeatureExtractor(
        settings.layers, settings.backbone, settings.pooling, job.compute.device, dtype, replicate_edges=True
    )


@dataclass
class _Run:
    """The state of a run: what its steps change, and what changes when a level cannot go on as it began."""

    job: Job
    memo: StyleCache | None
    extractor: FeatureExtractor
    clock: _Clock
    image: Tensor  # the last good picture (1, 3, H, W); until the first step of a level, the earlier level's
    history: list[Costs] = field(default_factory=list)

    def level(self, level: Level) -> Generator[Event, None, str]:
        """Run one level -> why it ended, in the words of `Result.stopped`.

        When memory runs out it goes on in tiles, and then in smaller ones; when costs are not finite, in float32.
        """
        job, taken = self.job, len(self.history)
        size, styles = (level.height, level.width), len(job.inputs.paintings)
        planned = memory.plan_memory(job.settings, size, job.compute.device, self.extractor.dtype, styles)
        tile_bytes = planned.tile_bytes
        while True:
            left = dataclasses.replace(level, steps=level.steps - (len(self.history) - taken))
            try:
                with memory.one_error():
                    return (yield from self._steps(left, tile_bytes))
            except memory.OutOfMemoryError:
                diverged = None
            except DivergedError as error:
                diverged = str(error)
            # Not within the clauses above: an exception keeps the tensors of its step alive.
            if diverged is None:
                tile_bytes = memory.smaller(tile_bytes)
                yield Degraded(f"Goes on in tiles of {tile_bytes / MIB:.0f} MiB: the device is out of memory.")
                torch.cuda.empty_cache()
            elif self.extractor.dtype != torch.float32:
                self.extractor = _extractor(self.job, torch.float32)
                yield Degraded("Goes on in float32 from the last good picture: the costs are not finite in bfloat16.")
            else:
                yield Degraded(f"Stopped early with the last good picture: {diverged}.")
                return "diverged"

    def _steps(self, level: Level, tile_bytes: float | None) -> Generator[Event, None, str]:
        """Take the steps of a level, which change `image` and `history` -> why the level ended."""
        job, settings, clock, first = self.job, self.job.settings, self.clock, len(self.history)
        objective, average, notes = self._objective(level, tile_bytes), _Average(settings.averaging), set()
        begin = objective.begun(job.at_size(self.image, (level.height, level.width)))
        evaluations = minimise(objective, begin, level.steps, job.optimiser(level), objective.costs)
        del begin  # the minimisation has a copy; this one may be large
        for taken, evaluation in enumerate(evaluations, start=1):
            self.image, terms = average.add(evaluation.image), evaluation.terms
            ended = _ended(taken, level, self.history[first:], settings, clock)
            if ended in ("completed", "plateau") and not evaluation.moved:
                ended = _why_still(objective, evaluation.image)
            if ended and settings.averaging:
                terms = objective.costs(self.image).tolist()  # the cost of what is shown
            self.history.append(clock.tick(dict(zip(objective.names, terms, strict=True)), level))
            if ended:
                clock.skip(level, level.steps - taken)
            yield clock.step(self.history[-1], self.image, objective, last_of_level=bool(ended))
            if evaluation.note and evaluation.note not in notes:
                notes.add(evaluation.note)
                yield Degraded(f"Goes on {evaluation.note}.")
            if ended:
                break
        if ended in STILL and not evaluation.moved:
            yield Degraded(f"No step changed the picture: {STILL[ended]}.")
        return ended

    def _objective(self, level: Level, tile_bytes: float | None) -> Objective:
        """J for a level. The network sees the picture whole where `tile_bytes` is None, else in such tiles."""
        settings = self.job.settings
        targets = Targets.of(self.job.inputs, self.extractor, settings, level, tile_bytes, self.memo)
        if temporal := self.job.temporal:
            targets = targets.in_clip(temporal.at_size((level.height, level.width)), self.extractor, settings)
        gain = self.job.content_gain(level)
        if tile_bytes is None:
            return Objective(self.extractor, targets, settings, content_gain=gain)
        return TiledObjective(self.extractor, targets, settings, tile_bytes, content_gain=gain)


def _why_still(objective: Objective, image: Tensor) -> str:
    """A key of `STILL` for a picture (1, 3, H, W) that no step has changed. Waits for the device."""
    _, gradient = objective(image)
    return "diverged" if (gradient * free_pixels(image, gradient)).any() else "plateau"


def _preview(objective: Objective, image: Tensor) -> Image.Image | None:
    """None where memory is too scarce: a run does not fail for a picture that is only looked at."""
    try:
        with memory.one_error():
            return objective.preview(image)
    except memory.OutOfMemoryError:
        return None


def _ended(taken: int, level: Level, history: Sequence[Costs], settings: Settings, clock: _Clock) -> str:
    """Why the level ends with the step just taken, in the words of `Result.stopped`; empty when it goes on."""
    if taken == level.steps:
        return "completed"
    if settings.max_seconds is not None and clock.elapsed_s() >= settings.max_seconds:
        return "budget"
    if settings.plateau and taken > PLATEAU_STEPS + 1:
        earlier, now = history[-1 - PLATEAU_STEPS].total, history[-1].total
        if earlier - now < settings.plateau * earlier:
            return "plateau"
    return ""


class _Average:
    """Exponential iterate averaging (Polyak & Juditsky 1992), corrected for its start at zero (Kingma & Ba 2015)."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.sum: Tensor | None = None
        self.weight = 0.0

    def add(self, image: Tensor) -> Tensor:
        """The average of the pictures so far, (1, 3, H, W); the latest counts most, and alone when `decay` is 0."""
        if self.decay == 0:
            return image
        share = 1 - self.decay
        self.sum = share * image if self.sum is None else self.decay * self.sum + share * image
        self.weight = self.decay * self.weight + share
        return self.sum / self.weight


class _Clock:
    """Counts steps and seconds, estimates the time that is left, and decides when the next preview is due."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.started = time.monotonic()
        self.previewed = 0.0
        self.work = sum(level.work for level in levels)
        self.steps = 0
        self.work_done = 0

    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def tick(self, terms: Mapping[str, float], level: Level) -> Costs:
        """Count one step -> its terms with step, level, size and seconds."""
        self.steps += 1
        self.work_done += level.work // level.steps
        named = {
            name: terms[name] for name in ("total", "content", "style", "total_variation", "temporal") if name in terms
        }
        layers = {name: value for name, value in terms.items() if name not in named}
        size = level.height, level.width
        return Costs(self.steps, level.number, size, self.elapsed_s(), style_layers=layers, **named)

    def skip(self, level: Level, steps: int) -> None:
        """Count the work of steps that will not be taken."""
        self.work_done += level.work // level.steps * steps

    def step(self, costs_now: Costs, image: Tensor, objective: Objective, last_of_level: bool) -> Step:
        """The event for the step just counted. It has a preview for the first step, a level's last, and when due."""
        now = self.elapsed_s()
        preview = None
        if self.steps == 1 or last_of_level or now - self.previewed >= PREVIEW_EVERY_S:
            preview, self.previewed = _preview(objective, image), now
        fraction = self.work_done / self.work
        return Step(costs_now, preview, fraction, now * (1 - fraction) / fraction)
