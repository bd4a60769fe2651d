"""Whole runs: properties of the picture after many steps, and that any input and setting gives a picture."""

import itertools

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

import nst
from nst import Settings, schedule, settings
from nst.images import pictures
from tests.runs import all_numbers, balanced_costs, quick, same_picture, with_alpha


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("init", list(settings.CHOICES["init"]))
def test_both_optimisers_lower_the_cost_from_every_start(optimiser: str, init: str, photo, style) -> None:
    history = nst.stylise(photo, style, quick(size=32, optimiser=optimiser, init=init, steps=16)).history
    assert history[-1].total < (0.9 if init == "style" else 0.6) * history[0].total  # the style itself is a good start
    assert history[-1].total < history[len(history) // 2].total


def test_default_run_takes_nine_tenths_of_the_style_cost_and_keeps_the_content(photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=48))
    start = photo.resize(result.image.size, Image.Resampling.LANCZOS)
    _, style_cost_of_start = balanced_costs(start, photo, style)
    content_cost, style_cost = balanced_costs(result.image, photo, style)
    assert style_cost < 0.1 * style_cost_of_start
    assert content_cost < 1
    assert result.history[-1].content == pytest.approx(content_cost, rel=0.1)
    assert result.history[-1].style == pytest.approx(style_cost, rel=0.25)
    assert result.stopped == "completed"


def test_each_quality_reaches_a_lower_cost_than_the_one_before_it(photo, style, monkeypatch) -> None:
    """With a quarter of its steps each."""
    reached = []
    for name, steps in settings.QUALITIES.copy().items():
        monkeypatch.setitem(settings.QUALITIES, name, tuple(max(1, count // 4) for count in steps))
        run = nst.stylise(photo, style, Settings(size=48, quality=name))
        reached.append(run.history[-1].total)
    assert all(later < earlier for earlier, later in itertools.pairwise(reached))


def test_photo_as_its_own_style_stays_as_it_is(photo) -> None:
    result = nst.stylise(photo, photo, quick(precision="float32"))
    start = np.asarray(photo.resize(result.image.size, Image.Resampling.LANCZOS), int)
    assert np.isfinite(all_numbers(result)).all()
    assert np.abs(np.asarray(result.image, int) - start).mean() < 3


@pytest.mark.parametrize(
    "weights",
    [
        {"alpha": 0, "content_layers": {}},
        {"beta": 0, "style_layers": {}},
        {"alpha": 0, "beta": 0, "total_variation": 1.0},
    ],
    ids=["style only", "content only", "variation only"],
)
def test_a_term_can_be_left_out(weights: dict, photo, style) -> None:
    result = nst.stylise(photo, style, quick(init="noise", steps=8, **weights))
    assert result.history[-1].total < result.history[0].total


def test_total_variation_smooths_the_picture(photo, style) -> None:
    rough, smooth = (nst.stylise(photo, style, quick(steps=6, total_variation=w)).history[-1] for w in (0.0, 300.0))
    assert smooth.total_variation < 0.7 * rough.total_variation


def test_average_pooling_gives_another_picture(photo, style) -> None:
    assert not same_picture(
        *(nst.stylise(photo, style, quick(size=32, steps=1, pooling=pooling)) for pooling in ("max", "average"))
    )


@pytest.mark.parametrize(("width", "height"), [(20, 400), (16, 16)])
def test_thin_and_tiny_photos_are_painted_larger_and_shrunk_again(photo, style, width: int, height: int) -> None:
    thin = photo.resize((width, height))
    result = nst.stylise(thin, style, quick(steps=1))
    assert max(result.image.size) == 64
    assert result.image.size == pictures.result_size(thin, 64)[::-1]
    assert min(result.history[-1].size) >= 16


def test_bfloat16_run_ends_near_the_float32_run(photo, style) -> None:
    exact, narrow = (nst.stylise(photo, style, quick(size=48, steps=5, precision=p)) for p in ("float32", "bfloat16"))
    (_, exact_style), (_, narrow_style) = (balanced_costs(r.image, photo, style) for r in (exact, narrow))
    assert narrow.compute.dtype == torch.bfloat16
    assert narrow_style == pytest.approx(exact_style, rel=0.2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_wasserstein_runs_fall_and_stay_finite(precision: str, photo, style) -> None:
    result = nst.stylise(photo, style, quick(statistic="wasserstein", size=48, steps=5, precision=precision))
    assert np.isfinite(all_numbers(result)).all()
    assert result.history[-1].style < 0.6 * result.history[0].style
    assert min(min(c.style_layers.values()) for c in result.history) >= 0


def test_a_finished_picture_can_be_continued(photo, style) -> None:
    first = nst.stylise(photo, style, quick(size=48, steps=12))
    more = nst.stylise(photo, style, quick(size=48, steps=5), start=first.image)
    assert first.history[-1].total < 0.5 * first.history[0].total
    assert max(costs.total for costs in more.history) < 1.2 * first.history[-1].total
    assert more.history[-1].total < first.history[-1].total


def test_an_opaque_photo_stays_opaque_whatever_it_starts_from(photo, style) -> None:
    start = with_alpha(photo, Image.linear_gradient("L"))
    assert nst.stylise(photo, style, quick(steps=1), start=start).image.mode == "RGB"


LONG = {"size": 32, "steps": 24, "precision": "float32"}


@pytest.fixture(scope="module")
def totals(photo: Image.Image, style: Image.Image) -> list[float]:
    """J of a run that no plateau ends."""
    return [c.total for c in nst.stylise(photo, style, quick(**LONG)).history]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_plateau_ends_the_run_when_the_cost_hardly_falls(share: float, totals: list[float], photo, style) -> None:
    _, *steps, finished = nst.stylise_events(photo, style, quick(plateau=share, **LONG))
    expected = plateau_of(totals, share)
    assert expected < LONG["steps"]
    assert [step.costs.total for step in steps] == totals[:expected]
    assert finished.result.stopped == "plateau"
    assert steps[-1].fraction == 1
    assert steps[-1].eta_seconds == 0
    assert steps[-1].preview is not None


def test_a_larger_share_ends_the_run_earlier_and_a_tiny_one_not_while_the_cost_falls(totals, photo, style) -> None:
    assert plateau_of(totals, 0.5) > plateau_of(totals, 1.0)
    assert plateau_of(totals[:14], 0.01) == 14
    found = nst.stylise(photo, style, quick(**{**LONG, "steps": 14}, plateau=0.01))
    assert found.stopped == "completed"
    assert [c.total for c in found.history] == totals[:14]


def plateau_of(totals: list[float], share: float) -> int:
    """The step after which a level ends: once the ten steps before it lowered J by less than the share."""
    for taken in range(12, len(totals)):
        if totals[taken - 12] - totals[taken - 2] < share * totals[taken - 12]:
            return taken
    return len(totals)


def test_plateau_of_a_coarse_level_goes_on_with_the_next(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "COARSEST_LONGER_PX", 32)
    monkeypatch.setattr(schedule, "COARSEST_SHORTER_PX", 16)
    monkeypatch.setitem(settings.QUALITIES, "draft", (20, 3, 3))
    chosen = quick(size=64, steps=None, pyramid=True, quality="draft", plateau=1.0)
    started, *steps, finished = nst.stylise_events(photo, style, chosen)
    assert [level.steps for level in started.levels] == [20, 3]
    assert [step.costs.level for step in steps] == [1] * 12 + [2] * 3
    assert finished.result.stopped == "completed"
    coarse, fine = (level.work for level in started.levels)
    fractions = [step.fraction for step in steps]
    assert fractions[11] == pytest.approx(coarse / (coarse + fine))
    assert all(a < b for a, b in itertools.pairwise(fractions))
    assert fractions[-1] == 1


def test_colours_after_the_run_change_the_same_painting(photo, style) -> None:
    plain = nst.stylise(photo, style, quick())
    coloured = nst.stylise(photo, style, quick(colour="symmetric", colour_amount=0.5))
    assert [c.total for c in coloured.history] == [c.total for c in plain.history]
    assert not same_picture(coloured, plain)
    assert plain.painting.recoloured("symmetric", 0.5).picture().tobytes() == coloured.image.tobytes()
    assert coloured.painting.recoloured("style", 1.0).picture().tobytes() == plain.image.tobytes()


def test_colours_before_the_run_change_the_run(photo, style) -> None:
    chosen = {"colour": "symmetric", "colour_when": "before"}
    plain, before = (nst.stylise(photo, style, quick(size=48, steps=10, **given)) for given in ({}, chosen))
    own, found, given = (np.asarray(p, float).mean((0, 1)) for p in (photo.resize((48, 36)), before.image, plain.image))
    assert np.abs(found - own).sum() < 0.5 * np.abs(given - own).sum()


def any_picture(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    """Noise of any mode, or one colour; what is transparent lies in the left quarter."""
    random = np.random.default_rng(seed)
    if mode in ("black", "white", "red"):
        return Image.new("RGB", size, mode)
    if mode == "nearly transparent":
        return Image.new("RGBA", size, (0, 0, 0, 1))
    noise = Image.fromarray(random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    clear = Image.new("L", size, 255)
    clear.paste(Image.effect_noise((max(1, size[0] // 4), size[1]), 200).point(lambda v: v if v > 100 else 0), (0, 0))
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, size[::-1], dtype=np.uint16))
    if mode == "F":
        return Image.fromarray(random.random(size[::-1], dtype=np.float32))
    if mode == "P":
        palette = noise.quantize(8)
        palette.paste(3, (0, 0, size[0] // 4, size[1]))
        palette.putpixel((size[0] - 1, size[1] - 1), 4)  # something shows
        palette.info["transparency"] = 3
        return palette
    if mode in ("LA", "RGBA", "RGBa"):
        noise.putalpha(clear)
    return noise.convert(mode)


def any_mask(kind: str, size: tuple[int, int]) -> Image.Image:
    width, height = size
    values = np.zeros((height, width), np.uint8)
    if kind == "pixel":
        values[height // 2, width - 2] = 255
    elif kind == "corner":
        values[-1, -1] = 255
    elif kind == "stripes":
        values[:, ::3] = 255
    elif kind == "ramp":
        values[:] = np.linspace(0, 255, width)
    elif kind == "faint":
        values[:] = 1
    else:
        values[:] = 255
    return Image.fromarray(values)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I;16", "F"]
MODES += ["black", "white", "red", "nearly transparent"]
SIDES = st.integers(16, 90)
SHAPES = st.tuples(SIDES, SIDES) | st.sampled_from([(16, 160), (320, 32), (16, 400)])
MASKS = st.sampled_from(["pixel", "corner", "stripes", "ramp", "faint", "full"])


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(
    modes=st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)),
    shapes=st.tuples(SHAPES, SHAPES),
    drawn=st.lists(MASKS, max_size=2),
    chosen=st.fixed_dictionaries(
        {
            "size": st.integers(32, 48),
            "mask_edge": st.sampled_from([0.0, 0.1, 1.0]),
            "colour": st.sampled_from(list(settings.CHOICES["colour"])),
            "colour_when": st.sampled_from(["before", "after"]),
            "statistic": st.sampled_from(["gram", "wasserstein"]),
            "style_scale": st.floats(0.25, 4),
            "init": st.sampled_from(list(settings.CHOICES["init"])),
            "averaging": st.sampled_from([0.0, 0.9]),
            "original_size": st.booleans(),
            "optimiser": st.sampled_from(["lbfgs", "adam"]),
        }
    ),
)
def test_any_pictures_masks_and_settings_give_a_finite_picture_of_the_right_size(modes, shapes, drawn, chosen) -> None:
    photo, style = (
        any_picture(mode, shape, seed) for seed, (mode, shape) in enumerate(zip(modes, shapes, strict=True))
    )
    masks = [any_mask(kind, shapes[0]) for kind in drawn]
    result = nst.stylise(photo, [style] * max(1, len(masks)), quick(steps=1, **chosen), masks=masks)
    size = shapes[0] if chosen["original_size"] else pictures.result_size(photo, chosen["size"])[::-1]
    assert result.image.size == size
    assert (result.image.mode == "RGBA") == (modes[0] in ("LA", "P", "RGBA", "RGBa", "nearly transparent"))
    assert result.stopped == "completed"
    assert np.isfinite(all_numbers(result)).all()
    pixels = result.painting.pixels()
    assert np.isfinite(pixels).all()
    assert 0 <= pixels.min() <= pixels.max() <= 1
    if masks:
        original = pictures.to_pixels(result.painting.photo)
        untouched = (result.painting.mask == 0)[0, 0].numpy()
        assert np.array_equal(pixels[untouched, :3], original[untouched])


@pytest.mark.parametrize("contrast", [0, 0.05])
def test_photo_that_shows_next_to_nothing_is_painted(contrast: float, photo, style) -> None:
    faint = Image.blend(Image.new("RGB", photo.size, (128,) * 3), photo, contrast)
    history = nst.stylise(faint, style, quick(size=48, steps=15, precision="float32")).history
    assert history[-1].style < 0.35  # 0.9 when divided by its own energy
