"""Clips painted as films and frame by frame: how much they flicker, what they cost, and a sheet to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from statistics import mean

import torch
from PIL import Image

from nst.bench.engine import EXAMPLES, Row
from nst.bench.scenes import Scene, scenes
from nst.bench.sheet import in_rows
from nst.features.extractor import FeatureExtractor
from nst.film.film import GAMMA
from nst.film.painting import Painted, paint_shot
from nst.images import pictures
from nst.job import Job
from nst.objective.objective import Objective
from nst.objective.targets import StyleCache, Targets
from nst.settings import Settings
from nst.transfer import stylise

FRAMES = 11
ALONE = (4, 5, 9, 10)  # frames that are also painted as single pictures: two pairs of neighbours
STYLES = ("impasto", "mosaic")  # in turns
FILE = EXAMPLES / "figures" / "film.jpg"
SHOWN = (0, 5, 10)  # frames
SHOWN_PX = 240  # longer side of a frame on the sheet
CROP_PX = 64  # side of a crop, in pixels of the film
# Clip -> x and y in frame 5 of the place that the crops follow, px.
FOLLOWED = {"pan": (190, 110), "zoom": (150, 110), "walk": (130, 185), "pillar": (125, 200), "still": (130, 60)}


def film(quick: bool) -> Iterator[Row]:
    """For each clip, painted alone and as a film: mean difference of consecutive results after the true
    motion (of 255), style cost by the ordinary objective, and seconds per frame. Writes the sheet, unless `quick`.
    """
    memo, shown = StyleCache(), []
    for (name, scene), style_name in zip(scenes().items(), cycle(STYLES)):
        frames = [scene.frame(t) for t in range(FRAMES)]
        style = pictures.load(EXAMPLES / "styles" / f"{style_name}.jpg")
        settings = Settings(size=96 if quick else max(frames[0].size))
        moving, film_s = _as_film(frames, style, settings, memo)
        alone, alone_s = _one_by_one(frames, style, settings, memo)
        shown += [[_small(results[t]) for t in SHOWN] for results in (frames, {0: moving[0]} | alone, moving)]
        shown.append([moving[t].crop(box) for t, box in enumerate(followed(scene, *FOLLOWED[name]))])
        errors = _error(scene, alone), _error(scene, dict(enumerate(moving)))
        costs = [mean(_style_cost(frames[t], results[t], style, settings, memo) for t in ALONE)
                 for results in (alone, moving)]  # fmt: skip
        yield {
            "clip": f"{name:6}", "style": style_name,
            "error alone": errors[0], "error film": errors[1], "error ratio": errors[1] / errors[0],
            "J_style alone": costs[0], "J_style film": costs[1], "J_style ratio": costs[1] / costs[0],
            "s alone": alone_s, "s film": film_s, "s ratio": film_s / alone_s,
        }  # fmt: skip
    if not quick:
        in_rows(shown).save(FILE, quality=85)


def _one_by_one(
    frames: Sequence[Image.Image], style: Image.Image, settings: Settings, memo: StyleCache
) -> tuple[dict[int, Image.Image], float]:
    """Some frames as pictures of their own, and their mean seconds."""
    results = {t: stylise(frames[t], style, settings, memo=memo) for t in ALONE}
    return {t: result.image for t, result in results.items()}, mean(result.seconds for result in results.values())


def _as_film(
    frames: Sequence[Image.Image], style: Image.Image, settings: Settings, memo: StyleCache
) -> tuple[list[Image.Image], float]:
    """The frames as a film, and the mean seconds of all but the first, the optical flow included."""
    results, ended_s = [], []
    small = [pictures.scaled(frame, pictures.result_size(frame, settings.size)) for frame in frames]
    for event in paint_shot(small, [style], settings, GAMMA, memo=memo):
        if isinstance(event, Painted):
            results.append(event.picture)
            ended_s.append(time.monotonic())
    return results, (ended_s[-1] - ended_s[0]) / (len(frames) - 1)


def _error(scene: Scene, results: Mapping[int, Image.Image]) -> float:
    """The mean over all pairs of neighbours among the results, by frame."""
    size = scene.frame(0).size[::-1]
    shown = {t: pictures.scaled(result, size) for t, result in results.items()}
    return mean(scene.error(t, shown[t - 1], shown[t]) for t in shown if t - 1 in shown)


def _style_cost(
    frame: Image.Image, result: Image.Image, style: Image.Image, settings: Settings, memo: StyleCache
) -> float:
    """J_style of a result by the objective of a single picture."""
    job = Job.of(frame, [style], settings, (), None)
    compute = job.compute
    extractor = FeatureExtractor(settings.layers, device=compute.device, dtype=compute.dtype, replicate_edges=True)
    targets = Targets.of(job.inputs, extractor, settings, job.levels[-1], memo=memo)
    objective = Objective(extractor, targets, settings)
    return float(objective.costs(pictures.to_tensor(result))[objective.names.index("style")])


def followed(scene: Scene, x: float, y: float) -> list[tuple[int, int, int, int]]:
    """A square around a place of a thing in each frame, by that in frame 5: left, top, right, bottom, px."""
    at = torch.tensor([[x]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64)
    layer = scene.layers[int(scene.top(5, *at))]
    boxes = []
    for t in range(FRAMES):
        left, top = (round(float(place)) - CROP_PX // 2 for place in layer.back(t, *layer.at(5, *at)))
        boxes.append((left, top, left + CROP_PX, top + CROP_PX))
    return boxes


def _small(picture: Image.Image) -> Image.Image:
    return pictures.scaled(picture, pictures.result_size(picture, SHOWN_PX))
