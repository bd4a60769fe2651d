"""Neural style transfer (Gatys, Ecker & Bethge 2015) as one straight line: pictures -> levels -> targets -> steps."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from nst import images
from nst.compute import Compute, choose
from nst.decode import on_white
from nst.events import Costs, Degraded, Event, Finished, Result, Started, Step
from nst.features import FeatureExtractor, smallest_side
from nst.objective import Inputs, Objective, Targets
from nst.optimise import DivergedError, minimise
from nst.painting import Painting, result_size
from nst.schedule import Level, plan
from nst.settings import LIMITS, QUALITIES, Settings

PREVIEW_EVERY_S = 0.25
PLATEAU_STEPS = 10


def stylise(
    content: images.Source,
    styles: images.Source | Sequence[images.Source],
    settings: Settings | None = None,
    *,
    masks: images.Source | Sequence[images.Source] = (),
    start: images.Source | None = None,
) -> Result:
    """Repaint `content` in the style of `styles` (PIL images or paths) and give back the picture and its loss curve.

    `masks` (white is painted) say where: one for all styles, or one for each; elsewhere the photo stays as it is.
    `start` is a picture to begin with instead of `settings.init`. Raises `ValueError` for input that cannot be used
    and `nst.weights.WeightsError` if the network is not there.
    """
    *_, last = stylise_events(content, styles, settings, masks=masks, start=start)
    return last.result


def stylise_events(
    content: images.Source,
    styles: images.Source | Sequence[images.Source],
    settings: Settings | None = None,
    *,
    masks: images.Source | Sequence[images.Source] = (),
    start: images.Source | None = None,
) -> Iterator[Event]:
    """The same run as a stream: one `Started`, a `Step` per step, perhaps `Degraded`, and `Finished` at the end.

    Pictures and settings are checked before this returns. Closing the iterator stops the run within one step.
    """
    return _run(_Job.of(content, _listed(styles), settings or Settings(), _listed(masks), start))


def _listed(sources: images.Source | Sequence[images.Source]) -> list[images.Source]:
    one = isinstance(sources, (str, Image.Image)) or not isinstance(sources, Sequence)
    return [sources] if one else list(sources)


@dataclass(frozen=True)
class _Job:
    """A run whose pictures and settings fit together."""

    photo: Image.Image
    drawn: Sequence[Image.Image]  # masks, mode L
    inputs: Inputs
    start: Tensor | None  # sRGB (1, 3, H, W)
    settings: Settings
    compute: Compute
    levels: Sequence[Level]

    @classmethod
    def of(
        cls,
        content: images.Source,
        styles: Sequence[images.Source],
        settings: Settings,
        masks: Sequence[images.Source],
        start: images.Source | None,
    ) -> _Job:
        _check_counts(len(styles), len(masks), settings)
        photo = images.load(content, "photo")
        _check_original_size(photo, settings)
        paintings = [images.load(source, "style picture") for source in styles]
        drawn = [_mask(source, number, len(masks)) for number, source in enumerate(masks, start=1)]
        first = None if start is None else images.to_tensor(images.split(images.load(start, "start picture"))[0])
        compute = choose(settings.device, settings.precision)
        least_px = max(LIMITS.smallest_side, smallest_side(settings.layers, settings.backbone))
        inputs = Inputs.of(photo, paintings, settings, compute.device, drawn, least_px)
        levels = plan(*inputs.size, QUALITIES[settings.quality], settings.steps, settings.pyramid)
        return cls(photo, drawn, inputs, first, settings, compute, levels)


def _check_counts(styles: int, masks: int, settings: Settings) -> None:
    if not 1 <= styles <= LIMITS.styles:
        raise ValueError(f"{styles} style pictures given; give 1 to {LIMITS.styles}")
    if settings.style_blend is not None and len(settings.style_blend) != styles:
        raise ValueError(f"style_blend has {len(settings.style_blend)} weights for {styles} styles; give one each")
    if masks not in (0, 1, styles):
        raise ValueError(f"{masks} masks given for {styles} styles; give one for all of them, or one for each")


def _check_original_size(photo: Image.Image, settings: Settings) -> None:
    megapixels = photo.width * photo.height / 1e6
    if settings.original_size and megapixels > LIMITS.original_megapixels:
        raise ValueError(
            f"original_size asks for {megapixels:.0f} megapixels; the limit is {LIMITS.original_megapixels:g}, "
            "choose a size instead or make the photo smaller"
        )


def _mask(source: images.Source, number: int, count: int) -> Image.Image:
    name = "mask" if count == 1 else f"mask {number}"
    mask = images.to_mask(source, name)
    if mask.getextrema()[1] == 0:
        raise ValueError(f"the {name} is empty; paint where the style goes, or leave the mask out")
    return mask


def _run(job: _Job) -> Iterator[Event]:
    settings, compute = job.settings, job.compute
    clock = _Clock(job.levels)
    planned = sum(level.steps for level in job.levels)
    image = _start(job)
    yield Started(settings, compute, tuple(job.levels), planned, _first_preview(job))
    extractor = FeatureExtractor(
        settings.layers, settings.backbone, settings.pooling, compute.device, compute.dtype, replicate_edges=True
    )
    history: list[Costs] = []
    for level in job.levels:
        image = images.resize(image, (level.height, level.width))
        objective = Objective(extractor, Targets.of(job.inputs, extractor, settings, level), settings)
        image, stopped = yield from _paint(objective, image, level, clock, history)
        if stopped in ("budget", "diverged"):
            break
    painting = Painting.of(image, job.photo, job.drawn, settings)
    yield Finished(Result(painting.picture(), painting, tuple(history), settings, compute, clock.elapsed_s(), stopped))


def _paint(
    objective: Objective, image: Tensor, level: Level, clock: _Clock, history: list[Costs]
) -> Generator[Event, None, tuple[Tensor, str]]:
    """The steps of one level, whose costs join the history. Returns the last picture and why the level ended."""
    settings = objective.settings
    average = _Average(settings.averaging)
    before = len(history)
    notes: set[str] = set()
    try:
        for taken, evaluation in enumerate(minimise(objective, image, level.steps, settings.optimiser), start=1):
            image, terms = average.add(evaluation.image), evaluation.terms
            ended = _ended(taken, level, history[before:], settings, clock)
            if ended and settings.averaging:
                terms = objective(image)[0].tolist()  # the cost of what is shown
            history.append(clock.tick(dict(zip(objective.names, terms, strict=True)), level))
            yield clock.step(history[-1], image, objective, last_of_level=bool(ended))
            if evaluation.note and evaluation.note not in notes:
                notes.add(evaluation.note)
                yield Degraded(f"Goes on more slowly: {evaluation.note}.")
            if ended:
                break
    except DivergedError as reason:
        yield Degraded(f"Stopped early with the last good picture: {reason}.")
        return image, "diverged"
    clock.skip(level, level.steps - taken)
    return image, ended


def _ended(taken: int, level: Level, history: Sequence[Costs], settings: Settings, clock: _Clock) -> str:
    """Why the level ends with the step just taken, as `Result.stopped` says it; empty when it goes on."""
    if taken == level.steps:
        return "completed"
    if settings.max_seconds is not None and clock.elapsed_s() >= settings.max_seconds:
        return "budget"
    if settings.plateau and taken > PLATEAU_STEPS + 1:
        earlier, now = history[-1 - PLATEAU_STEPS].total, history[-1].total
        if earlier - now < settings.plateau * earlier:
            return "plateau"
    return ""


def _start(job: _Job) -> Tensor:
    """The picture that the first level starts from, sRGB (1, 3, H, W) in [0, 1]."""
    level, inputs, init = job.levels[0], job.inputs, job.settings.init
    size = level.height, level.width
    if job.start is not None:
        return images.cover(job.start.to(inputs.photo.device), size)
    if init == "noise":
        generator = torch.Generator().manual_seed(job.settings.seed)  # on the CPU: the same noise for every device
        return (0.5 + 0.1 * torch.randn(1, 3, *size, generator=generator)).clamp(0, 1).to(inputs.photo.device)
    if init == "style":
        return images.cover(inputs.paintings[0], size)
    return images.resize(inputs.photo, size)


def _first_preview(job: _Job) -> Image.Image:
    """The photo at the size of the result, transparent parts white."""
    photo = images.scaled(job.photo, result_size(job.photo, job.settings))
    return on_white(photo)


class _Average:
    """Iterate averaging (Polyak & Juditsky 1992), exponential, without the bias of its start (Kingma & Ba 2015)."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.sum: Tensor | None = None
        self.weight = 0.0

    def add(self, image: Tensor) -> Tensor:
        """The average of the pictures so far, the latest counting most; the latest itself when `decay` is 0."""
        if self.decay == 0:
            return image
        share = 1 - self.decay
        self.sum = share * image if self.sum is None else self.decay * self.sum + share * image
        self.weight = self.decay * self.weight + share
        return self.sum / self.weight


class _Clock:
    """Counts steps and seconds, estimates what is left, and says when the next preview is due."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.started = time.monotonic()
        self.previewed = 0.0
        self.work = sum(level.work for level in levels)
        self.steps = 0
        self.work_done = 0

    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def tick(self, terms: Mapping[str, float], level: Level) -> Costs:
        """Count one step and give its costs their place in the run."""
        self.steps += 1
        self.work_done += level.work // level.steps
        named = {name: terms[name] for name in ("total", "content", "style", "total_variation")}
        layers = {name: value for name, value in terms.items() if name not in named}
        size = level.height, level.width
        return Costs(self.steps, level.number, size, self.elapsed_s(), style_layers=layers, **named)

    def skip(self, level: Level, steps: int) -> None:
        """Count work that will not be done."""
        self.work_done += level.work // level.steps * steps

    def step(self, costs_now: Costs, image: Tensor, objective: Objective, last_of_level: bool) -> Step:
        """The event for the step just counted, with a preview for the first, for the last of a level and when due."""
        now = self.elapsed_s()
        preview = None
        if self.steps == 1 or last_of_level or now - self.previewed >= PREVIEW_EVERY_S:
            preview, self.previewed = objective.preview(image), now
        fraction = self.work_done / self.work
        return Step(costs_now, preview, fraction, now * (1 - fraction) / fraction)
