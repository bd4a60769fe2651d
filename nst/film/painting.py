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
from nst.film.flow import Motion, motion
from nst.images import pictures
from nst.job import Job
from nst.objective.targets import StyleCache, Temporal
from nst.settings import LIMITS, Settings
from nst.transfer import run

# Quality -> steps of a frame that starts from the one before. Style costs of eight steps are within 15 % of those of a
# single picture (python -m nst.bench film).
FRAME_STEPS: dict[str, int] = {"sketch": 4, "draft": 6, "balanced": 8, "fine": 12}
LOOK_BACK = (1, 2, 4, 8, 16)  # frames before that one is compared with; a nearer one counts first


@dataclass(frozen=True)
class Painted:
    """A painted frame."""

    frame: Image.Image  # PIL RGB, as the clip has it
    paint: Image.Image  # PIL RGB, as the steps left it: the next frame starts from it
    picture: Image.Image  # PIL RGB, in its final colours and with its mask
    costs: Costs | None = None  # of the last step; None for a frame that was painted earlier
    seconds: float = 0.0


@dataclass(frozen=True)
class Expected:
    """What a frame should look like by what was painted before."""

    picture: Tensor  # sRGB (1, 3, H, W)
    trust: Tensor  # (1, 1, H, W) in [0, 1]

    def start(self, frame: Tensor) -> Tensor:
        """What the steps start from: the frame itself where nothing is expected, such as where something appears."""
        return torch.where(self.trust > 0, self.picture, frame)


def paint_shot(
    frames: Iterable[Image.Image],
    styles: Sequence[pictures.Source],
    settings: Settings,
    gamma: float,
    *,
    before: Sequence[Painted] = (),
    masks: Sequence[pictures.Source] = (),
    memo: StyleCache | None = None,
) -> Iterator[Step | Degraded | Painted]:
    """A `Painted` for each frame (PIL RGB of the size of the result), with the steps of a shot's first frame before it.

    `before` are the last frames of the shot that are painted already, oldest first; none: a shot begins. `gamma` is the
    weight of J_temporal. Closing the iterator stops the work within one step.
    """
    memo = memo or StyleCache()
    styles = [pictures.load(style, "style picture") for style in styles]
    known = list(before)[-max(LOOK_BACK) :]
    for frame in frames:
        job = _job(frame, known, styles, settings, gamma, masks)
        for event in run(job, memo):
            if isinstance(event, Finished):
                known.append(_painted(frame, event))
            elif isinstance(event, Degraded) or (isinstance(event, Step) and not known):
                yield event
        yield known[-1]
        del known[: -max(LOOK_BACK)]


def _job(
    frame: Image.Image,
    known: Sequence[Painted],
    styles: Sequence[Image.Image],
    settings: Settings,
    gamma: float,
    masks: Sequence[pictures.Source],
) -> Job:
    """The run of one frame."""
    if not known:
        return Job.of(frame, styles, settings, masks, None)
    steps = settings.steps or FRAME_STEPS[settings.quality]
    expected = expected_from(known, frame)
    start = pictures.to_picture(expected.start(pictures.to_tensor(frame)))
    job = Job.of(frame, styles, dataclasses.replace(settings, pyramid=False, steps=steps), masks, start)
    size, device = job.inputs.size, job.inputs.photo.device
    trust = F.interpolate(expected.trust, size, mode="nearest").to(device)
    return dataclasses.replace(job, temporal=Temporal(pictures.resize(expected.picture, size).to(device), trust, gamma))


def expected_from(known: Sequence[Painted], frame: Image.Image) -> Expected:
    """What is expected of a frame by the painted ones before it, at least one, oldest first.

    Each position is taken from the nearest frame from which the flow can be trusted. So a thing that was hidden for a
    few frames looks as before (Ruder et al. 2016, section 4.2: long-term consistency).
    """
    found: Expected | None = None
    for back in LOOK_BACK:
        if back > len(known) or (found and found.trust.min() > 0):
            break
        earlier = known[-back]
        moves: Motion = motion(earlier.frame, frame)
        moved = moves.moved(pictures.to_tensor(earlier.paint))
        if found is None:
            found = Expected(moved, moves.trust)
        else:
            new = (found.trust == 0) & (moves.trust > 0)
            found = Expected(torch.where(new, moved, found.picture), torch.maximum(found.trust, moves.trust))
    return found


def _painted(frame: Image.Image, finished: Finished) -> Painted:
    result = finished.result
    paint = pictures.to_picture(result.painting.painted)
    return Painted(frame, paint, result.image.convert("RGB"), result.history[-1], result.seconds)


def film_size(clip: Image.Image, settings: Settings, even: bool) -> tuple[int, int]:
    """(height, width) of a film whose longer side is `settings.size`; `even` numbers where a video wants them."""
    size = pictures.result_size(clip, settings.size)
    least = LIMITS.smallest_side
    return tuple(max(least, side - side % 2) for side in size) if even else size
