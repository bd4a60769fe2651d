"""Neural style transfer (Gatys, Ecker & Bethge 2015) as one straight line: pictures -> levels -> targets -> steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from nst import costs, images
from nst.compute import Compute, choose
from nst.events import Costs, Degraded, Event, Finished, Result, Started, Step
from nst.features import FeatureExtractor, smallest_side
from nst.optimise import DivergedError, Evaluation, minimise
from nst.schedule import Level, plan
from nst.settings import LIMITS, QUALITIES, Settings, layer_names

PREVIEW_EVERY_S = 0.25


def stylise(
    content: images.Source, styles: images.Source | Sequence[images.Source], settings: Settings | None = None
) -> Result:
    """Repaint `content` in the style of `styles` (PIL images or paths) and give back the picture and its loss curve.

    Raises `ValueError` for input that cannot be used and `nst.weights.WeightsError` if the network is not there.
    """
    *_, last = stylise_events(content, styles, settings)
    return last.result


def stylise_events(
    content: images.Source, styles: images.Source | Sequence[images.Source], settings: Settings | None = None
) -> Iterator[Event]:
    """The same run as a stream: one `Started`, a `Step` per step, perhaps `Degraded`, and `Finished` at the end.

    Pictures and settings are checked before this returns. Closing the iterator stops the run within one step.
    """
    settings = settings or Settings()
    sources = [styles] if isinstance(styles, (str, Image.Image)) or not isinstance(styles, Sequence) else list(styles)
    if not 1 <= len(sources) <= LIMITS.styles:
        raise ValueError(f"{len(sources)} style pictures given; give 1 to {LIMITS.styles}")
    if settings.style_blend is not None and len(settings.style_blend) != len(sources):
        raise ValueError(
            f"style_blend has {len(settings.style_blend)} weights for {len(sources)} styles; give one each"
        )
    photo = images.load(content, "photo")
    paintings = [images.load(source, "style picture") for source in sources]
    compute = choose(settings.device, settings.precision)
    inputs = Inputs.of(photo, paintings, settings.size, compute.device)
    _check_depth(inputs.size, settings)
    levels = plan(*inputs.size, QUALITIES[settings.quality], settings.steps, settings.pyramid)
    return _run(inputs, settings, compute, levels)


@dataclass(frozen=True)
class Inputs:
    """The pictures at the size of the last level, sRGB (1, 3, H, W) in [0, 1]."""

    photo: Tensor
    paintings: tuple[Tensor, ...]

    @classmethod
    def of(cls, photo: Image.Image, paintings: Sequence[Image.Image], longer_px: int, device: torch.device) -> Inputs:
        """Scale the photo to the result's size and each style picture to the same longer side."""
        sizes = [
            images.result_size(photo, longer_px),
            *(images.style_size(painting, longer_px) for painting in paintings),
        ]
        pictures = (images.scaled(picture, size) for picture, size in zip((photo, *paintings), sizes, strict=True))
        first, *others = (images.to_tensor(picture).to(device) for picture in pictures)
        return cls(first, tuple(others))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result, px."""
        return tuple(self.photo.shape[-2:])


def _check_depth(size: tuple[int, int], settings: Settings) -> None:
    """`ValueError` if the deepest layer asked for would have an empty grid."""
    layers = (*settings.content_layers, *settings.style_layers)
    least = smallest_side(layers, settings.backbone)
    if min(size) < least:
        deepest = max(layers, key=layer_names(settings.backbone).index)
        raise ValueError(
            f"size={settings.size} px leaves {min(size)} px for the shorter side, but {deepest} needs {least} px; "
            "choose a larger size or shallower layers"
        )


def _run(inputs: Inputs, settings: Settings, compute: Compute, levels: Sequence[Level]) -> Iterator[Event]:
    clock = _Clock(levels)
    planned = sum(level.steps for level in levels)
    yield Started(settings, compute, tuple(levels), planned, images.to_picture(inputs.photo))
    layers = (*settings.content_layers, *settings.style_layers)
    extractor = FeatureExtractor(
        layers, settings.backbone, settings.pooling, compute.device, compute.dtype, replicate_edges=True
    )
    history: list[Costs] = []
    stopped = "completed"
    image = _start(inputs, settings, levels[0])
    for level in levels:
        image = images.resize(image, (level.height, level.width))
        objective = Objective(extractor, Targets.of(inputs, extractor, settings, level), settings)
        taken = 0
        try:
            for evaluation in minimise(objective, image, level.steps, settings.optimiser):
                image = evaluation.image
                taken += 1
                history.append(clock.tick(evaluation.detail, level))
                yield clock.step(history[-1], image, last_of_level=taken == level.steps)
                if settings.max_seconds is not None and clock.elapsed_s() >= settings.max_seconds:
                    stopped = "budget"
                    break
        except DivergedError as reason:
            stopped = "diverged"
            yield Degraded(f"Stopped early with the last good picture: {reason}.")
        if stopped != "completed":
            break
    picture = images.to_picture(images.resize(image, inputs.size))
    if len(history) == planned:
        stopped = "completed"  # the budget ran out on the very last step
    yield Finished(Result(picture, tuple(history), settings, compute, clock.elapsed_s(), stopped))


def _start(inputs: Inputs, settings: Settings, level: Level) -> Tensor:
    """The picture that the first level starts from, sRGB (1, 3, H, W) in [0, 1]."""
    size = level.height, level.width
    if settings.init == "noise":
        generator = torch.Generator().manual_seed(settings.seed)  # on the CPU: the same noise for every device
        return (0.5 + 0.1 * torch.randn(1, 3, *size, generator=generator)).clamp(0, 1).to(inputs.photo.device)
    if settings.init == "style":
        return images.cover(inputs.paintings[0], size)
    return images.resize(inputs.photo, size)


@dataclass(frozen=True)
class Targets:
    """What a level's picture is compared with, and the energies that its costs are divided by."""

    content: Mapping[str, Tensor]  # activations (1, C, H, W)
    style: Mapping[str, Tensor]  # mean style matrices (1, C, C)
    content_energy: Mapping[str, float]
    style_energy: Mapping[str, float]

    @classmethod
    @torch.inference_mode(False)
    @torch.no_grad()
    def of(cls, inputs: Inputs, extractor: FeatureExtractor, settings: Settings, level: Level) -> Targets:
        activations = extractor(images.resize(inputs.photo, (level.height, level.width)))
        content = {layer: activations[layer] for layer in settings.content_layers}
        style = _blended_style(inputs, extractor, settings, level)
        return cls(
            content,
            style,
            {layer: _energy(costs.content_cost, a, settings.balance) for layer, a in content.items()},
            {layer: _energy(costs.style_matrix_cost, matrix, settings.balance) for layer, matrix in style.items()},
        )


def _blended_style(
    inputs: Inputs, extractor: FeatureExtractor, settings: Settings, level: Level
) -> Mapping[str, Tensor]:
    """Mean style matrices of all style pictures, averaged per layer with the normalised blend weights."""
    blend = settings.style_blend or (1.0,) * len(inputs.paintings)
    scale = max(level.height, level.width) / max(inputs.size)
    blended: dict[str, Tensor] = {}
    for weight, painting in zip(blend, inputs.paintings, strict=True):
        size = images.shrunk_size(painting, scale, extractor.smallest_side)
        activations = extractor(images.resize(painting, size))
        for layer in settings.style_layers:
            share = weight / sum(blend) * costs.mean_style_matrix(activations[layer])
            blended[layer] = blended[layer] + share if layer in blended else share
    return blended


def _energy(cost, target: Tensor, balance: bool) -> float:
    """The cost of a picture that excites nothing, which makes the balanced cost 1 there. 1.0 when not balancing."""
    energy = float(cost(target, torch.zeros_like(target))) if balance else 1.0
    return energy if energy > 0 else 1.0


@dataclass(frozen=True)
class Objective:
    """J(G) = alpha * J_content(C, G) + beta * J_style(S, G) + total variation, with its gradient."""

    extractor: FeatureExtractor
    targets: Targets
    settings: Settings

    def __call__(self, image: Tensor) -> Evaluation:
        """Evaluate sRGB (1, 3, H, W) in [0, 1]."""
        benchmark = torch.backends.cudnn.flags(enabled=True, benchmark=True) if image.is_cuda else nullcontext()
        with torch.inference_mode(False), torch.enable_grad(), benchmark:
            pixels = image.clone().requires_grad_()  # a clone: the caller may be in inference mode
            total, terms = self.terms(pixels)
            (gradient,) = torch.autograd.grad(total, pixels)
        names, values = zip(*terms.items(), strict=True)
        numbers = torch.stack([total.detach(), *(value.detach() for value in values)]).tolist()
        return Evaluation(
            image,
            numbers[0],
            gradient.contiguous(),
            {"total": numbers[0], **dict(zip(names, numbers[1:], strict=True))},
        )

    def terms(self, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """J and its terms as scalars: `content`, `style`, `total_variation` and each style layer by name."""
        settings, targets = self.settings, self.targets
        activations = self.extractor(image)
        content = sum(
            weight * costs.content_cost(targets.content[layer], activations[layer]) / targets.content_energy[layer]
            for layer, weight in settings.content_layers.items()
        )
        layers = {
            layer: costs.style_matrix_cost(targets.style[layer], costs.mean_style_matrix(activations[layer]))
            / targets.style_energy[layer]
            for layer in settings.style_layers
        }
        style = sum(weight * layers[layer] for layer, weight in settings.style_layers.items())
        variation = costs.total_variation(image)
        total = costs.total_cost(content, style, settings.alpha, settings.beta) + settings.total_variation * variation
        terms = {"content": content, "style": style, "total_variation": variation, **layers}
        return total, {name: torch.as_tensor(term, device=image.device) for name, term in terms.items()}


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

    def step(self, costs_now: Costs, image: Tensor, last_of_level: bool) -> Step:
        """The event for the step just counted, with a preview for the first, for the last of a level and when due."""
        now = self.elapsed_s()
        preview = None
        if self.steps == 1 or last_of_level or now - self.previewed >= PREVIEW_EVERY_S:
            preview, self.previewed = images.to_picture(image), now
        fraction = self.work_done / self.work
        return Step(costs_now, preview, fraction, now * (1 - fraction) / fraction)
