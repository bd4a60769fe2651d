"""Inputs that a run refuses before its first step, and the picture that it starts from."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

import nst
from nst import Settings, job, settings
from nst.images import pictures
from nst.scaled_pictures import COLOURED
from tests.runs import part, quick, with_alpha


def test_four_styles_are_accepted_and_five_or_none_are_not(photo, style, other_style) -> None:
    four = [style, other_style, style, other_style]
    assert nst.stylise(photo, four, quick(steps=1, style_blend=(1, 2, 3, 4))).stopped == "completed"
    for styles in ([], [style] * 5):
        with pytest.raises(ValueError, match=rf"{len(styles)} style.*1 to 4"):
            nst.stylise_events(photo, styles, quick())


@pytest.mark.parametrize("blend", [(1.0,), (1, 1, 1)], ids=str)
def test_wrong_number_of_blend_weights_is_refused(blend: tuple, photo, style, other_style) -> None:
    with pytest.raises(ValueError, match=rf"style_blend has {len(blend)} weights for 2 styles"):
        nst.stylise_events(photo, [style, other_style], quick(style_blend=blend))


def test_bad_picture_is_refused_at_once_and_named(photo, style) -> None:
    with pytest.raises(ValueError, match="the photo"):
        nst.stylise_events("missing.jpg", style)
    with pytest.raises(ValueError, match="the style picture"):
        nst.stylise_events(photo, [style, Image.new("RGB", (3, 3))])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_wrong_number_of_masks_is_refused(count: int, photo, style) -> None:
    styles = style if count == 2 else [style, style] if count == 3 else [style] * 4
    with pytest.raises(ValueError, match=rf"{count} masks given for {count - 1} styles; give one"):
        nst.stylise_events(photo, styles, quick(), masks=[part(photo, 0, 0, 1, 1)] * count)


@pytest.mark.parametrize("empty", [Image.new("L", (160, 120)), Image.new("RGBA", (90, 200), (255, 255, 255, 0))])
def test_empty_mask_is_refused_by_its_number(empty: Image.Image, photo, style) -> None:
    full = part(photo, 0, 0, 1, 1)
    with pytest.raises(ValueError, match="the mask 2 is empty; paint"):
        nst.stylise_events(photo, [style] * 3, quick(), masks=[full, empty, full])
    with pytest.raises(ValueError, match="the mask is empty; paint"):
        nst.stylise_events(photo, style, quick(), masks=empty)


def test_mask_that_vanishes_is_refused_by_its_number(photo, style) -> None:
    """The mask is empty after scaling to the result's size, or because the photo is transparent there."""
    speck = Image.new("L", (1600, 1200))
    speck.putpixel((800, 600), 255)
    with pytest.raises(ValueError, match="the mask leaves nothing to paint; cover more"):
        nst.stylise_events(photo, style, quick(), masks=speck)
    clear = with_alpha(photo, part(photo, 0, 0, 0.4, 1))
    drawn = [part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 1, 1)]
    with pytest.raises(ValueError, match="the mask 2 leaves nothing to paint; cover more"):
        nst.stylise_events(clear, [style, style], quick(style_blend=(0, 1)), masks=drawn)


def test_style_of_which_nothing_is_left_is_refused(photo, style) -> None:
    faint = Image.new("L", (1600, 1200))
    faint.putpixel((800, 600), 255)
    with pytest.raises(ValueError, match="too little shows of the style picture"):
        nst.stylise_events(photo, with_alpha(style.resize((1600, 1200)), faint), quick())


def test_a_coloured_start_has_the_colours_of_the_styles_where_they_go(photo, style, other_style) -> None:
    def start(*styles: Image.Image, masks: Sequence[Image.Image] = (), **given: object) -> torch.Tensor:
        return job.Job.of(photo, styles, quick(init="coloured", **given), masks, None).begin()

    def mean(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((0, 2, 3))

    plain = pictures.to_tensor(photo.resize((64, 48), Image.Resampling.LANCZOS))
    painted = pictures.to_tensor(style)
    assert torch.allclose(mean(start(style)), mean(plain).lerp(mean(painted), COLOURED), atol=0.02)
    blended = start(style, other_style, style_blend=(1, 3))
    assert torch.allclose(blended, (start(style) + 3 * start(other_style)) / 4, atol=1e-5)
    left, right = part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 1, 1)
    apart = start(style, other_style, masks=[left, right], mask_edge=0.0)
    assert torch.allclose(apart[..., :30], start(style)[..., :30], atol=1e-5)
    assert torch.allclose(apart[..., 34:], start(other_style)[..., 34:], atol=1e-5)
    alone = start(style, other_style, masks=[part(photo, 0, 0, 0.25, 1), part(photo, 0.75, 0, 1, 1)], mask_edge=0.0)
    assert torch.allclose(alone[..., 20:44], plain[..., 20:44], atol=0.01)


@pytest.mark.parametrize(
    "given", [{}, {"init": "coloured"}, {"init": "noise"}, {"init": "style"}, {"start": None}], ids=str
)
def test_only_a_run_that_starts_from_the_photo_gets_its_detail_at_finer_levels(given: dict, photo, style) -> None:
    start = photo if "start" in given else None
    wanted = Settings(size=64, device="cpu", **{name: value for name, value in given.items() if name != "start"})
    planned = job.Job.of(photo, [style], wanted, (), start)
    larger = planned.at_size(torch.full((1, 3, 24, 32), 0.5), planned.inputs.size)
    assert larger.shape == planned.inputs.photo.shape
    assert bool(larger.std() > 0.005) == (given in ({}, {"init": "coloured"}))


def test_the_detail_of_a_finer_level_has_no_colours(photo, style) -> None:
    """They would be fringes at edges. A frame of a clip gets back all that its start has."""
    made = job.Job.of(photo, [style], quick(pyramid=True), (), None)
    small = torch.full((1, 3, 24, 32), 0.5)
    detail = made.at_size(small, (48, 64)) - 0.5
    assert detail.std() > 0.01
    assert torch.allclose(detail, detail[:, :1], atol=1e-6)
    start = photo.resize((64, 48))
    in_clip = dataclasses.replace(job.Job.of(photo, [style], quick(), (), start), temporal=object())
    colours = in_clip.at_size(pictures.resize(in_clip.start, (24, 32)), (48, 64))
    assert torch.allclose(colours, in_clip.start, atol=1e-5)


def test_bad_start_and_mask_are_refused_at_once_and_named(photo, style) -> None:
    with pytest.raises(ValueError, match=r"the start picture 'missing\.png'"):
        nst.stylise_events(photo, style, quick(), start="missing.png")
    with pytest.raises(ValueError, match=r"the mask 'missing\.png'"):
        nst.stylise_events(photo, style, quick(), masks="missing.png")
    with pytest.raises(ValueError, match="the mask 2 is 3 x 3 px"):
        nst.stylise_events(photo, [style] * 2, quick(), masks=[photo, Image.new("L", (3, 3))])
    with pytest.raises(ValueError, match="the style mask 2 is 3 x 3 px"):
        nst.stylise_events(photo, [style] * 2, quick(), style_masks=[photo, Image.new("L", (3, 3))])
    with pytest.raises(ValueError, match=r"the style mask 'missing\.png'"):
        nst.stylise_events(photo, style, quick(), style_masks="missing.png")
    with pytest.raises(ValueError, match="2 style masks given for 1 styles; give at most one for each"):
        nst.stylise_events(photo, style, quick(), style_masks=[photo, photo])


def test_original_size_over_the_limit_is_refused(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = dataclasses.replace(settings.LIMITS, original_megapixels=1.5)
    monkeypatch.setattr(job, "LIMITS", limits)
    with pytest.raises(ValueError, match=r"original_size asks for 1\.6 megapixels; the limit is 1\.5, choose a size"):
        nst.stylise_events(photo.resize((1550, 1000)), style, quick(original_size=True))
    nst.stylise_events(photo.resize((1550, 1000)), style, quick()).close()
    nst.stylise_events(photo.resize((1500, 1000)), style, quick(original_size=True)).close()


@pytest.mark.parametrize(("detail", "expected"), [(0.0, 0.01), (0.05, 0.05), (0.3, 0.1)])
def test_a_short_level_begins_with_a_step_as_long_as_the_style_s_detail_is_strong(detail, expected, photo) -> None:
    """A chessboard of 0.5 +- `detail` is grey at half its size: it loses exactly that RMS."""
    y, x = np.mgrid[0:64, 0:64]
    board = np.round(255 * (0.5 + detail * (-1.0) ** (x + y))).astype(np.uint8)
    style = Image.fromarray(np.stack([board] * 3, axis=-1))
    run = job.Job.of(photo, [style], Settings(size=64, steps=3, pyramid=False), [], None)
    method = run.optimiser(run.levels[0])(torch.zeros(1, 3, 48, 64), 3)
    assert float(method.first_rms) == pytest.approx(expected, rel=0.1)
    assert float(method.cap_rms) >= float(method.first_rms)
    longer = dataclasses.replace(run.levels[0], steps=job.FEW_STEPS)
    assert run.optimiser(longer)(torch.zeros(1, 3, 48, 64), job.FEW_STEPS).first_rms == pytest.approx(0.02)


def test_few_steps_from_a_photo_hold_the_content_more_firmly_after_its_coarsest_level(photo, style) -> None:
    def gains(start: Image.Image | None = None, **given: object) -> list[float]:
        chosen = Settings(**{"size": 384, "quality": "sketch", "device": "cpu", **given})
        planned = job.Job.of(photo, [style], chosen, [], start)
        return [planned.content_gain(level) for level in planned.levels]

    assert gains() == [1.0, job.FEW_STEPS_CONTENT_GAIN, job.FEW_STEPS_CONTENT_GAIN]
    assert gains(quality="draft") == gains(start=photo) == gains(pyramid=False) * 3 == [1.0, 1.0, 1.0]
    assert gains(steps=job.FEW_STEPS) == [1.0, job.FEW_STEPS_CONTENT_GAIN, 1.0]
