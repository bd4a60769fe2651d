"""Frames that follow each other: the temporal cost, and what it does to results."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from nst import Settings, costs
from nst.events import Costs, curve_csv
from nst.features.extractor import FeatureExtractor
from nst.film.painting import Painted, paint_shot
from nst.objective.objective import Objective
from nst.objective.targets import Targets, Temporal
from nst.objective.tiled import TiledObjective
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from tests.film.clips import difference, pan
from tests.objective.test_objective import objective_of, rectangle, tensor, terms_of

SETTINGS = Settings(size=64, quality="sketch", device="cpu", precision="float32")
# Where it does not matter how well the style is met: a fifth of the time.
SHALLOW = dataclasses.replace(
    SETTINGS, content_layers={"relu2_2": 1.0}, style_layers={"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}
)


def film(frames, style, settings=SETTINGS, gamma=200.0, before=None, **given) -> list[Painted]:
    events = paint_shot(frames, [style], settings, gamma, before=before, **given)
    return [event for event in events if isinstance(event, Painted)]


def in_clip(objective: Objective, temporal: Temporal) -> Objective:
    targets = objective.targets.in_clip(temporal, objective.extractor, objective.settings)
    return dataclasses.replace(objective, targets=targets)


def test_temporal_cost_is_the_mean_over_trusted_positions() -> None:
    generator = np.random.default_rng(0)
    image, expected = generator.random((2, 3, 5, 7))
    trust = (generator.random((5, 7)) > 0.5).astype(float)
    found = costs.temporal_cost(*(torch.tensor(a)[None] for a in (image, expected)), torch.tensor(trust)[None, None])
    assert found.item() == pytest.approx(np.square(image - expected)[:, trust == 1].mean())
    assert costs.temporal_cost(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)).item() == 0


def test_the_temporal_term_adds_its_part_and_no_other(photo, style) -> None:
    inputs, image = Inputs(tensor(photo), (tensor(style),)), tensor(photo).flip(-1)
    alone = objective_of(inputs)
    temporal = Temporal(tensor(style), rectangle(0, 48, 0, 20), None, 300.0)
    moving = in_clip(alone, temporal)
    terms, with_temporal = terms_of(alone, image), terms_of(moving, image)
    part = float(costs.temporal_cost(image, temporal.expected, temporal.trust))
    assert with_temporal.pop("temporal") == pytest.approx(part, rel=1e-5)
    assert with_temporal.pop("total") == pytest.approx(terms.pop("total") + 300 * part, rel=1e-5)
    assert with_temporal == pytest.approx(terms, rel=1e-6)


def test_its_gradient_is_that_of_finite_differences(photo, style) -> None:
    inputs, image = Inputs(tensor(photo), (tensor(style),)), 0.8 * tensor(photo).flip(-1) + 0.1
    alone = objective_of(inputs, torch.float64)
    moving = in_clip(alone, Temporal(tensor(style), rectangle(0, 48, 0, 20), None, 300.0))
    difference = moving(image)[1] - alone(image)[1]
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    step = 1e-3
    ends = [(terms_of(moving, image + s * direction)["temporal"]) for s in (step, -step)]
    slope = 300 * (ends[0] - ends[1]) / (2 * step)
    assert float((difference * direction).sum()) == pytest.approx(slope, rel=1e-3)


def test_a_frame_in_tiles_has_the_terms_and_gradient_of_the_whole(photo, style) -> None:
    inputs, image = Inputs(tensor(photo), (tensor(style),)), tensor(photo).flip(-1)
    settings = Settings(size=64)
    extractor = FeatureExtractor(settings.layers, dtype=torch.float64, replicate_edges=True)
    targets = Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 1))
    temporal = Temporal(tensor(style), rectangle(0, 48, 0, 20), rectangle(0, 30, 20, 64), 300.0)
    targets = targets.in_clip(temporal, extractor, settings)
    whole, tiled = Objective(extractor, targets, settings), TiledObjective(extractor, targets, settings, 2.0**20)
    (terms, gradient), (found, found_gradient) = whole(image), tiled(image)
    assert torch.allclose(found, terms, rtol=1e-5)
    assert float((found_gradient - gradient).norm() / gradient.norm()) < 1e-4


def test_what_is_new_has_its_own_style_cost(photo, style) -> None:
    """The style cost is the mean of both parts by their area; it is that of the whole where both are alike."""
    inputs, image = Inputs(tensor(photo), (tensor(style),)), tensor(photo).flip(-1)
    alone, new = objective_of(inputs), rectangle(0, 48, 0, 32)
    moving = in_clip(alone, Temporal(image, 1 - new, new, 0.0))
    first, second = moving.targets.regions
    assert first.share == pytest.approx(0.5)
    assert second.share == pytest.approx(0.5)
    parts = [in_clip(alone, Temporal(image, 1 - new, part, 0.0)).targets.regions[0] for part in (new, 1 - new)]
    sums = []
    for part in parts:
        only = dataclasses.replace(
            alone, targets=dataclasses.replace(alone.targets, regions=(dataclasses.replace(part, share=1.0),))
        )
        sums.append(terms_of(only, image)["style"])
    assert terms_of(moving, image)["style"] == pytest.approx(sum(sums) / 2, rel=1e-5)


def test_a_still_camera_gives_a_still_film(photo, style) -> None:
    """Frames that differ by noise: alone their results differ several times as much as in a film."""
    generator = np.random.default_rng(0)
    values = np.asarray(photo.convert("RGB").resize((64, 48)), np.float32)
    frames = [
        Image.fromarray((values + generator.normal(0, 1.5, values.shape)).clip(0, 255).astype(np.uint8))
        for _ in range(3)
    ]
    moving = film(frames, style, SHALLOW)
    alone = [film([frame], style, SHALLOW)[0] for frame in frames]
    changes = [[difference(a.picture, b.picture) for a, b in pairwise(of)] for of in (moving, alone)]
    assert max(changes[0]) < 0.5 * min(changes[1])


def test_more_gamma_holds_the_paint_more_firmly(photo, style) -> None:
    frames = [photo.convert("RGB").resize((64, 48))] * 2
    changes = []
    for gamma in (0.0, 200.0, 20_000.0):
        first, second = film(frames, style, SHALLOW, gamma)
        changes.append(difference(first.picture, second.picture))
    assert changes[0] > changes[1] > changes[2]


def test_new_parts_are_painted(photo, style) -> None:
    """A pan shows an eighth of the frame for the first time. Its paint has the style, as the photo there has not."""
    frames, at_the_right = pan(photo, 2, 8), (48, 0, 64, 48)
    _, moving = film(frames, style)
    shown = [tensor(picture.crop(at_the_right), (48, 16)) for picture in (moving.picture, frames[1])]
    plain = objective_of(Inputs(shown[1], (tensor(style),)))
    painted, unpainted = (terms_of(plain, one)["style"] for one in shown)
    assert painted < 0.5 * unpainted


def test_a_film_goes_on_from_what_was_kept(photo, style) -> None:
    """The paint as a file: what is new and not yet painted included."""
    frames = pan(photo, 4, 1)
    whole = film(frames, style, SHALLOW)
    assert whole[1].new is not None
    before = Painted.restored(frames[1], whole[1].picture, whole[1].kept_paint())
    assert np.array_equal(np.asarray(before.new) > 0, np.asarray(whole[1].new) > 0)
    rest = film(frames[2:], style, SHALLOW, before=before)
    assert [one.picture.tobytes() for one in rest] == [one.picture.tobytes() for one in whole[2:]]


def test_colours_and_masks_are_those_of_pictures(photo, style) -> None:
    """The photo's colours are put on finished frames only: the paint that moves keeps the style's."""
    frames = pan(photo, 2, 3)
    mask = Image.new("L", (64, 48))
    mask.paste(255, (0, 0, 32, 48))
    first, second = film(frames, style, dataclasses.replace(SHALLOW, colour="luminance"), masks=[mask])
    for painted, frame in ((first, frames[0]), (second, frames[1])):
        right = (36, 0, 64, 48)
        assert difference(painted.picture.crop(right), frame.crop(right)) < 1
        assert difference(painted.picture.crop((0, 0, 28, 48)), frame.crop((0, 0, 28, 48))) > 3
        assert difference(painted.paint, painted.picture) > 3


def test_the_curve_has_a_column_for_the_temporal_cost_only_in_films() -> None:
    one = Costs(1, 1, (4, 4), 0.1, 1.0, 0.5, 0.05, {"relu1_1": 0.1}, 0.0)
    assert "temporal" not in curve_csv([one]).splitlines()[0]
    assert (
        curve_csv([dataclasses.replace(one, temporal=0.25)])
        .splitlines()[0]
        .endswith("total_variation,temporal,relu1_1")
    )
