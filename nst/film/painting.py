"""Paints the frames of a shot one after the other, so that the paint moves with what is filmed.

Each frame starts from the last result, moved along the optical flow, and J_temporal keeps it near that where the flow
can be trusted (Ruder, Dosovitskiy & Brox 2016). The first frame of a shot is painted as a single picture is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.events import Costs, Degraded, Finished, Step
from nst.film.flow import inside, motion, sampled
from nst.images import pictures
from nst.job import Job
from nst.objective.targets import StyleCache, Temporal
from nst.schedule import plan
from nst.settings import LIMITS, Settings
from nst.transfer import run

# Quality -> steps of a frame that starts from the one before, per level as in `nst.settings.QUALITIES`. A frame with
# nothing new takes those of the last level alone, and one more.
FRAME_STEPS: dict[str, tuple[int, int, int]] = {
    "sketch": (4, 2, 3),
    "draft": (6, 4, 5),
    "balanced": (8, 5, 7),
    "fine": (16, 10, 11),
}
NEW_SHARE = 0.04  # share of a frame that is new, from which on it is painted from its coarsest level
THINNEST_PX = 3  # of what is new
NEW_EDGE_PX = 4  # how far what is new is painted over what is not


@dataclass(frozen=True)
class Painted:
    """A painted frame."""

    frame: Image.Image  # PIL RGB, as the clip has it
    paint: Image.Image  # PIL RGB, as the steps left it: the next frame starts from it
    picture: Image.Image  # PIL RGB, in its final colours and with its mask
    new: Image.Image | None = None  # mode L, 255 where nothing was painted before: too little to paint it by itself
    costs: Costs | None = None  # of the last step; None for a frame that was painted earlier
    seconds: float = 0.0

    def kept_paint(self) -> Image.Image | None:
        """What the next frame needs besides the picture: the paint, half transparent where `new`. None: nothing."""
        if self.new:
            paint = self.paint.convert("RGBA")
            paint.putalpha(self.new.point(lambda value: 128 if value else 255))
            return paint
        return None if self.paint.tobytes() == self.picture.tobytes() else self.paint

    @classmethod
    def restored(cls, frame: Image.Image, picture: Image.Image, paint: Image.Image | None) -> Painted:
        """From the clip's frame, the picture, and `kept_paint`."""
        if paint is None:
            return cls(frame, picture, picture)
        colours, alpha = pictures.split(paint)
        return cls(frame, colours, picture, alpha and alpha.point(lambda value: 0 if value == 255 else 255))


@dataclass(frozen=True)
class Expected:
    """What a frame should look like by what was painted before."""

    picture: Tensor  # sRGB (1, 3, H, W)
    trust: Tensor  # (1, 1, H, W), 0 or 1
    new: Tensor  # (1, 1, H, W), 0 or 1: where nothing is painted yet


def paint_shot(
    frames: Iterable[Image.Image],
    styles: Sequence[pictures.Source],
    settings: Settings,
    gamma: float,
    *,
    before: Painted | None = None,
    masks: Sequence[pictures.Source] = (),
    style_masks: Sequence[pictures.Source] = (),
    memo: StyleCache | None = None,
) -> Iterator[Step | Degraded | Painted]:
    """A `Painted` for each frame (PIL RGB of the size of the result), with the steps of a shot's first frame before it.

    `before` is the last frame of the shot that is painted already; None: a shot begins. `gamma` is the weight of
    J_temporal. Closing the iterator stops the work within one step.
    """
    memo = memo or StyleCache()
    styles = [pictures.load(style, "style picture") for style in styles]
    for frame in frames:
        job, new = _job(frame, before, styles, settings, gamma, (masks, style_masks))
        for event in run(job, memo):
            if isinstance(event, Finished):
                before = _painted(frame, new, event)
            elif isinstance(event, Degraded) or (isinstance(event, Step) and before is None):
                yield event
        yield before


def _job(
    frame: Image.Image,
    before: Painted | None,
    styles: Sequence[Image.Image],
    settings: Settings,
    gamma: float,
    places: tuple[Sequence[pictures.Source], Sequence[pictures.Source]],
) -> tuple[Job, Image.Image | None]:
    """The run of one frame, and where it leaves something new that is too small to be painted by itself.

    `places` are the masks and the style masks.
    """
    masks, style_masks = places
    if before is None:
        return Job.of(frame, styles, settings, masks, None, style_masks), None
    expected = expected_from(before, frame)
    start, trust, new = expected.picture, expected.trust, None
    if float(expected.new.mean()) >= NEW_SHARE:
        new = F.max_pool2d(expected.new, 2 * NEW_EDGE_PX + 1, 1, NEW_EDGE_PX)
        start, trust = torch.where(new > 0, pictures.to_tensor(frame), start), trust * (1 - new)
    job = Job.of(frame, styles, settings, masks, pictures.to_picture(start), style_masks)
    counts = FRAME_STEPS[settings.quality]
    levels = plan(
        *job.inputs.size,
        counts,
        settings.steps or counts[-1] + (new is None),
        pyramid=settings.pyramid and new is not None,
    )
    device = job.inputs.photo.device
    parts = (None if part is None else part.to(device) for part in (expected.picture, trust, new))
    temporal = Temporal(*parts, gamma).at_size(job.inputs.size)
    left = None if new is not None or not expected.new.any() else _mask(expected.new)
    return dataclasses.replace(job, levels=levels, temporal=temporal), left


def _mask(positions: Tensor) -> Image.Image:
    """(1, 1, H, W) of 0 and 1 -> PIL, mode L."""
    return Image.fromarray(positions[0, 0].mul(255).byte().numpy())


def expected_from(before: Painted, frame: Image.Image) -> Expected:
    """What is expected of a frame by the painted one before it."""
    moves = motion(before.frame, frame)
    new = torch.maximum(_opened(1 - moves.seen), 1 - inside(moves.flow))  # a strip at the edge may be one pixel wide
    if before.new:
        new = torch.maximum(new, sampled(pictures.to_tensor(before.new), moves.flow, "nearest"))
    return Expected(moves.moved(pictures.to_tensor(before.paint)), moves.trust, new)


def _opened(positions: Tensor) -> Tensor:
    """Without what is thinner than `THINNEST_PX`, which wrong flow in noise is: (1, 1, H, W) of 0 and 1 -> same."""
    shrunk = 1 - F.max_pool2d(1 - positions, THINNEST_PX, 1, THINNEST_PX // 2)
    return F.max_pool2d(shrunk, THINNEST_PX, 1, THINNEST_PX // 2)


def _painted(frame: Image.Image, new: Image.Image | None, finished: Finished) -> Painted:
    result = finished.result
    paint = pictures.to_picture(result.painting.painted)
    return Painted(frame, paint, result.image.convert("RGB"), new, result.history[-1], result.seconds)


def film_size(clip: Image.Image, settings: Settings, even: bool) -> tuple[int, int]:
    """(height, width) of a film whose longer side is `settings.size`; `even` numbers where a video wants them."""
    size = pictures.result_size(clip, settings.size)
    least = LIMITS.smallest_side
    return tuple(max(least, side - side % 2) for side in size) if even else size
