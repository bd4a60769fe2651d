"""A run's pictures and settings: decoded, checked against each other and scaled before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from nst.device import Compute, choose_device
from nst.features.extractor import smallest_side
from nst.images import colour, pictures
from nst.images.decode import on_white
from nst.images.masks import both
from nst.objective.targets import Temporal
from nst.optimise.lbfgs import BoxLBFGS
from nst.optimise.loop import Make
from nst.scaled_pictures import Inputs
from nst.schedule import Level, plan
from nst.settings import LIMITS, QUALITIES, Settings

FROM_PHOTO = ("content", "coloured")  # values of `init`
# Most steps on the coarsest level and on each between when a run starts from the photo: more of them take longer and
# hardly lower J, which falls on the last level.
MOST_FROM_PHOTO = QUALITIES["draft"][:2]
# A level of fewer steps has none for finding out how long they should be. So its first step is as long as the style's
# finest detail is strong, and the `gain` of the later ones is smaller. The gain lowers J by 5 % (geometric mean of five
# pairs), the length lowers it on six of seven pairs, by up to a half.
FEW_STEPS = 8
FEW_STEPS_GAIN = 1.4
FEW_STEPS_RMS = (0.01, 0.1)  # shortest and longest first step, as below
# The first steps from a photo lower the style cost tenfold and raise the content cost from 0. So a level of few steps
# holds the content more firmly, but for the coarsest, which makes the large motifs.
FEW_STEPS_CONTENT_GAIN = 2.5
GENTLE_RMS = 0.0025  # RMS of the first step from a finished picture, in units of the pixel range


@dataclass(frozen=True)
class Job:
    """The input of a run, checked: its pictures and settings fit together."""

    photo: Image.Image
    drawn: Sequence[Image.Image]  # masks, mode L: 255 is painted
    inputs: Inputs
    start: Tensor | None  # sRGB (1, 3, H, W) in [0, 1], of any size
    settings: Settings
    compute: Compute
    levels: Sequence[Level]
    notices: Sequence[str] = ()  # sentences about files of which only a part is used
    temporal: Temporal | None = None  # in a frame of a clip

    @classmethod
    def of(
        cls,
        content: pictures.Source,
        styles: Sequence[pictures.Source],
        settings: Settings,
        masks: Sequence[pictures.Source],
        start: pictures.Source | None,
        style_masks: Sequence[pictures.Source] = (),
    ) -> Job:
        """Decode, check and scale. `ValueError` says which picture or setting cannot be used, and what to do."""
        _check_counts(len(styles), len(masks), len(style_masks), settings)
        notices = [pictures.animation_notice(content, "photo")]
        notices += [pictures.animation_notice(source, "style picture") for source in styles]
        photo = pictures.load(content, "photo")
        _check_original_size(photo, settings)
        paintings = [pictures.load(source, "style picture") for source in styles]
        drawn = [_mask(source, number, len(masks)) for number, source in enumerate(masks, start=1)]
        named = [(_mask_name(number, len(style_masks)), one) for number, one in enumerate(style_masks, start=1)]
        corrections = [pictures.load(source, f"style {name}") for name, source in named]
        compute = choose_device(settings.device, settings.precision)
        least_px = max(LIMITS.smallest_side, smallest_side(settings.layers, settings.backbone))
        inputs = Inputs.of(photo, paintings, settings, compute.device, drawn, least_px, corrections)
        _check_shown(inputs)
        first = None if start is None else _reduced(pictures.load(start, "start picture"), 2 * max(inputs.size))
        levels = levels_at(*inputs.size, settings)
        seen = tuple(dict.fromkeys(notice for notice in notices if notice))
        return cls(photo, drawn, inputs, first, settings, compute, levels, seen)

    def preview(self) -> Image.Image:
        """The photo as PIL RGB at the size asked for, transparent parts white."""
        return on_white(pictures.scaled(self.photo, pictures.result_size(self.photo, self.settings.size)))

    def begin(self) -> Tensor:
        """The picture that the first level starts from, sRGB (1, 3, H, W) in [0, 1]."""
        level, inputs, init = self.levels[0], self.inputs, self.settings.init
        size = level.height, level.width
        if self.start is not None:
            return pictures.cover(self.start.to(inputs.photo.device), size)
        if init == "noise":
            generator = torch.Generator().manual_seed(self.settings.seed)  # on the CPU: the same for every device
            return (0.5 + 0.1 * torch.randn(1, 3, *size, generator=generator)).clamp(0, 1).to(inputs.photo.device)
        if init == "coloured":
            return pictures.resize(inputs.coloured(self.settings.style_blend or (1.0,) * len(inputs.paintings)), size)
        if init == "style":
            return pictures.cover(inputs.paintings[0], size)
        return pictures.resize(inputs.photo, size)

    def at_size(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Scale a level's picture to the size of the next level: (1, 3, h, w) -> (1, 3, *size)."""
        if self.temporal:  # the last frame's paint has detail to add
            return pictures.enlarge(image, size, self.start.to(image))
        if self.start is None and self.settings.init in FROM_PHOTO:
            # Without the photo's detail, a level spends a fifth of its steps on recovering it (measured at equal cost).
            # The detail's colours would be fringes at edges.
            return pictures.enlarge(image, size, colour.luminance(self.inputs.photo))
        return pictures.resize(image, size)

    def optimiser(self, level: Level) -> str | Make:
        """The optimiser of a level, as an argument of `nst.optimise.loop.minimise`.

        A start picture of the level's own size may be a finished one: a long first step would undo ten of its steps.
        """
        if self.settings.optimiser != "lbfgs":
            return self.settings.optimiser
        few = level.steps < FEW_STEPS
        tuned = {"gain": FEW_STEPS_GAIN, "first_rms": self._style_detail(level)} if few else {}
        finished = self.temporal is None or self.temporal.new is None or level.number > 1
        if self.start is not None and self.start.shape[-2:] == (level.height, level.width) and finished:
            tuned["first_rms"] = GENTLE_RMS
        return partial(BoxLBFGS, **tuned)

    def content_gain(self, level: Level) -> float:
        """Factor of the content cost in the gradient of a level. What is reported is J as it is set."""
        few = level.number > 1 and level.steps < FEW_STEPS
        return FEW_STEPS_CONTENT_GAIN if few and self.start is None else 1.0

    def _style_detail(self, level: Level) -> float:
        """RMS of the style pictures' finest detail at a level, within `FEW_STEPS_RMS`."""
        scale = max(level.height, level.width) / max(self.inputs.size)
        sizes = (pictures.shrunk_size(painting, scale, LIMITS.smallest_side) for painting in self.inputs.paintings)
        shrunk = [pictures.resize(*pair) for pair in zip(self.inputs.paintings, sizes, strict=True)]
        shortest, longest = FEW_STEPS_RMS
        return min(longest, max(shortest, *map(_detail_rms, shrunk)))


def levels_of(photo: Image.Image, settings: Settings) -> tuple[Level, ...]:
    """The levels of a run for a photo of this shape. Its pixels are not read: an opened file is enough."""
    return levels_at(*pictures.painting_size(pictures.result_size(photo, settings.size)), settings)


def levels_at(height: int, width: int, settings: Settings) -> tuple[Level, ...]:
    """The levels of a run with these settings, for a result of height x width px."""
    most = MOST_FROM_PHOTO if settings.init in FROM_PHOTO else None
    return plan(height, width, QUALITIES[settings.quality], settings.steps, settings.pyramid, most)


def _detail_rms(image: Tensor) -> float:
    """RMS of the detail that a picture (1, 3, H, W) loses at half its size."""
    size = tuple(image.shape[-2:])
    half = tuple((side + 1) // 2 for side in size)
    return float((image - pictures.resize(pictures.resize(image, half), size)).square().mean().sqrt())


def _check_counts(styles: int, masks: int, style_masks: int, settings: Settings) -> None:
    if not 1 <= styles <= LIMITS.styles:
        raise ValueError(f"{styles} style pictures given; give 1 to {LIMITS.styles}")
    if settings.style_blend is not None and len(settings.style_blend) != styles:
        raise ValueError(f"style_blend has {len(settings.style_blend)} weights for {styles} styles; give one each")
    if masks not in (0, 1, styles):
        raise ValueError(f"{masks} masks given for {styles} styles; give one for all of them, or one for each")
    if style_masks > styles:
        raise ValueError(f"{style_masks} style masks given for {styles} styles; give at most one for each")


def _check_original_size(photo: Image.Image, settings: Settings) -> None:
    megapixels = photo.width * photo.height / 1e6
    if settings.original_size and megapixels > LIMITS.original_megapixels:
        raise ValueError(
            f"original_size asks for {megapixels:.1f} megapixels; the limit is {LIMITS.original_megapixels:g}, "
            "choose a size instead or make the photo smaller"
        )


def _check_shown(inputs: Inputs) -> None:
    """Refuse masks and style pictures with no pixel left after scaling or under the photo's transparency."""
    for number, mask in enumerate(inputs.masks, start=1):
        if not both(mask, inputs.visible).any():
            name = _mask_name(number, len(inputs.masks))
            raise ValueError(f"the {name} leaves nothing to paint; cover more of what shows of the photo")
    for _, visible in inputs.styles:
        if visible is not None and not visible.any():
            raise ValueError("too little shows of the style picture; choose one with less transparency")


def _mask_name(number: int, count: int) -> str:
    return "mask" if count == 1 else f"mask {number}"


def _mask(source: pictures.Source, number: int, count: int) -> Image.Image:
    name = _mask_name(number, count)
    mask = pictures.to_mask(source, name)
    if mask.getextrema()[1] == 0:
        raise ValueError(f"the {name} is empty; paint where the style goes, or leave the mask out")
    return mask


def _reduced(picture: Image.Image, most_px: int) -> Tensor:
    """A picture whose longer side is `most_px` at most: sRGB (1, 3, H, W) in [0, 1]."""
    size = pictures.result_size(picture, min(max(picture.size), most_px))
    return pictures.to_tensor(pictures.scaled(pictures.split(picture)[0], size))
