"""A grey style makes a grey picture, exactly, unless the photo's colours are asked for; nothing else changes."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import nst
from nst import Settings, Step
from nst.features.extractor import FeatureExtractor
from nst.images import colour, masks, pictures
from nst.objective.objective import Objective, Targets
from nst.objective.tiled import TiledObjective
from nst.objective.tiles import MIB
from nst.scaled_pictures import Inputs
from nst.schedule import Level

QUICK = {"size": 48, "quality": "draft", "steps": 3, "device": "cpu", "precision": "float32"}


def chroma(picture: Image.Image) -> np.ndarray:
    """Largest less smallest of R, G and B: (H, W), levels."""
    values = np.asarray(picture.convert("RGB")).astype(int)
    return values.max(-1) - values.min(-1)


@pytest.fixture
def grey_style(style: Image.Image) -> Image.Image:
    """Grey within one level, as decoders leave it."""
    grey = np.asarray(style.convert("L").convert("RGB")).astype(int)
    return Image.fromarray((grey + np.arange(grey.size).reshape(grey.shape) % 2).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("grey_photo", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"optimiser": "adam", "init": "noise"},
        {"init": "coloured", "averaging": 0.5, "statistic": "wasserstein"},
        {"init": "style", "tile_px": 32, "total_variation": 1.0, "original_size": True},
        {"colour": "histogram", "colour_amount": 0.0},
    ],
    ids=str,
)
def test_grey_style_makes_a_grey_picture(given: dict, grey_photo: bool, photo, grey_style) -> None:
    shown = photo.convert("L").convert("RGB") if grey_photo else photo
    events = list(nst.stylise_events(shown, grey_style, Settings(**QUICK | given)))
    assert chroma(events[-1].result.image).max() == 0
    previews = [event.preview for event in events if isinstance(event, Step) and event.preview]
    assert all(chroma(preview).max() == 0 for preview in previews)
    assert np.ptp(np.asarray(events[-1].result.image)) > 50


def test_grey_style_leaves_the_photo_s_colours_where_they_are_asked_for(photo, grey_style) -> None:
    for when in ("after", "before"):
        given = Settings(**QUICK, colour="luminance", colour_when=when)
        assert chroma(nst.stylise(photo, grey_style, given).image).mean() > 10


def test_run_with_the_photo_s_colours_is_the_grey_run_recoloured(photo, grey_style) -> None:
    asked = nst.stylise(photo, grey_style, Settings(**QUICK, colour="histogram"))
    later = nst.stylise(photo, grey_style, Settings(**QUICK)).painting.recoloured("histogram", 1.0)
    assert np.array_equal(asked.painting.pixels(), later.pixels())


def test_blend_with_a_coloured_style_has_its_colours(photo, style, grey_style) -> None:
    assert chroma(nst.stylise(photo, [grey_style, style], Settings(**QUICK)).image).mean() > 10
    uncounted = Settings(**QUICK, style_blend=(1, 0))
    assert chroma(nst.stylise(photo, [grey_style, style], uncounted).image).max() == 0


def test_region_of_a_grey_style_is_grey_and_the_others_are_not(photo, style, grey_style) -> None:
    left = Image.new("L", photo.size, 0)
    left.paste(255, (0, 0, photo.width // 3, photo.height))
    right = Image.new("L", photo.size, 0)
    right.paste(255, (2 * photo.width // 3, 0, photo.width, photo.height))
    painted = nst.stylise(photo, [grey_style, style], Settings(**QUICK), masks=[left, right]).image
    found, kept = chroma(painted), pictures.scaled(photo, painted.size[::-1])
    assert found[:, :15].max() == 0
    assert found[:, 33:].mean() > 10
    assert np.array_equal(np.asarray(painted)[:, 17:31], np.asarray(kept)[:, 17:31])  # the photo's very pixels
    alone = nst.stylise(photo, grey_style, Settings(**QUICK), masks=[left]).image
    assert chroma(alone)[:, :15].max() == 0
    assert np.array_equal(np.asarray(alone)[:, 17:], np.asarray(kept)[:, 17:])


@pytest.mark.parametrize("tiled", [False, True])
def test_gradient_is_the_slope_of_the_grey_picture_s_cost(tiled: bool, photo, style, grey_style) -> None:
    """And the same for R, G and B where the picture is grey, so that steps keep it grey."""
    chosen = Settings(size=64, device="cpu")
    upper = Image.new("L", photo.size, 0)
    upper.paste(255, (0, 0, photo.width, photo.height // 2))
    drawn = [upper, upper.point(lambda value: 255 - value)]
    inputs = Inputs.of(photo, [grey_style, style], chosen, torch.device("cpu"), drawn)
    extractor = FeatureExtractor(chosen.layers, device=torch.device("cpu"), replicate_edges=True)
    targets = Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1))
    kind = partial(TiledObjective, tile_bytes=MIB) if tiled else Objective
    objective, free = (kind(extractor, t, chosen) for t in (targets, dataclasses.replace(targets, grey=None)))
    terms, gradient = objective(inputs.photo)
    terms_of_grey, slope = free(objective.painted(inputs.photo))
    assert torch.allclose(terms, terms_of_grey, rtol=1e-5)
    assert torch.allclose(gradient, colour.greyed(slope, targets.grey), rtol=1e-4, atol=1e-6 * slope.abs().max().item())
    assert torch.equal(gradient[:, :1, :20].expand(-1, 3, -1, -1), gradient[:, :, :20])
    assert not torch.equal(gradient[:, :1, 30:].expand(-1, 3, -1, -1), gradient[:, :, 30:])


def test_grey_is_grey_in_every_pixel(photo) -> None:
    grey = photo.convert("L").convert("RGB")
    assert pictures.is_grey(grey)
    grey.putpixel((3, 5), (100, 101, 100))
    assert pictures.is_grey(grey)
    grey.putpixel((3, 5), (100, 101, 99))
    assert not pictures.is_grey(grey)
    assert not pictures.is_grey(photo)


def test_share_of_chosen_masks() -> None:
    first, second = torch.tensor([1.0, 0.5, 0.0, 0.0]), torch.tensor([0.0, 0.5, 1.0, 0.0])
    both = [mask.view(1, 1, 1, 4) for mask in (first, second)]
    assert masks.share_of([True, False], both).flatten().tolist() == [1, 0.5, 0, 0]
    assert masks.share_of([False, False], both) is None
    assert masks.share_of([True, False], []) is None
    assert masks.share_of([True, True], both[:1]).item() == 1
    assert masks.share_of([], []) is None
