"""Whole runs with masks and transparency: the photo stays outside, the styles go where their masks are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import nst
from nst import settings
from nst.bench.engine import EXAMPLES
from nst.bench.ghosts import best_match
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.images.decode import on_white
from tests.runs import part, quick, same_picture, with_alpha


@pytest.fixture
def short_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft takes 3 + 2 steps at 90 and 180 px."""
    monkeypatch.setitem(settings.QUALITIES, "draft", (3, 2, 2))


RUNS = {  # each way to paint or to finish is in one of them
    "scaled": {},
    "scaled, soft edge, variation": {"mask_edge": 0.1, "total_variation": 10.0, "colour": "luminance"},
    "original size, noise": {"original_size": True, "init": "noise", "statistic": "wasserstein", "colour": "histogram"},
    "original size, two levels": {
        **{"original_size": True, "size": 180, "pyramid": True, "quality": "draft", "steps": None},
        **{"optimiser": "adam", "averaging": 0.5, "mask_edge": 0.1},
    },
}


@pytest.mark.parametrize("kind", RUNS)
def test_outside_the_mask_the_photo_is_untouched_to_the_pixel(kind, photo, style, short_levels) -> None:
    """The soft edge reaches 3/40 of the longer side beyond the mask."""
    result = nst.stylise(photo, style, quick(**{"steps": 3, **RUNS[kind]}), masks=part(photo, 0.5, 0, 1, 1))
    found = np.asarray(result.image)
    expected = np.asarray(photo.resize(result.image.size, Image.Resampling.LANCZOS, reducing_gap=3.0))
    width = found.shape[1]
    outside = np.arange(width) < (0.5 - (3 / 40 if "mask_edge" in RUNS[kind] else 0)) * width - 1
    assert np.array_equal(found[:, outside], expected[:, outside])
    assert np.abs(found.astype(int) - expected)[:, width // 2 :].mean() > 4
    if "mask_edge" in RUNS[kind]:
        assert (found != expected)[:, width * 9 // 20 : width // 2].any()
    if "original_size" in RUNS[kind]:
        assert np.array_equal(expected, np.asarray(photo))


@pytest.mark.parametrize("transparent", [False, True], ids=["opaque", "transparent"])
def test_last_preview_is_the_result_on_white(transparent: bool, photo, style) -> None:
    source = with_alpha(photo, Image.linear_gradient("L")) if transparent else photo
    events = list(nst.stylise_events(source, style, quick(averaging=0.5), masks=part(photo, 0, 0, 0.5, 1)))
    shown, finished = np.asarray(events[-2].preview, int), np.asarray(on_white(events[-1].result.image), int)
    assert np.abs(shown - finished).max() <= 1  # one of them composes rounded numbers
    first = np.asarray(on_white(pictures.scaled(pictures.load(source), (48, 64))), int)
    assert np.abs(np.asarray(events[0].preview, int) - first).max() == 0


def test_mask_and_transparency_meet(photo, style) -> None:
    clear = with_alpha(photo, Image.linear_gradient("L"))
    chosen = quick(original_size=True, colour="symmetric")
    image = nst.stylise(clear, style, chosen, masks=part(photo, 0, 0, 0.5, 1)).image
    found, expected = np.asarray(image), np.asarray(pictures.load(clear))
    assert np.array_equal(found[:, 80:], expected[:, 80:])
    assert np.array_equal(found[..., 3], expected[..., 3])
    assert (found[:, :80, :3] != expected[:, :80, :3]).any()


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_each_style_goes_where_its_mask_is(statistic: str, photo, style, other_style) -> None:
    left, right = part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 1, 1)
    chosen = quick(steps=15, statistic=statistic, alpha=0.1)
    result = nst.stylise(photo, [style, other_style], chosen, masks=[left, right])
    halves = [result.image.crop(box) for box in ((0, 0, 32, 48), (32, 0, 64, 48))]
    for half, own, other in zip(halves, (style, other_style), (other_style, style), strict=True):
        mean, own_mean, other_mean = (np.asarray(picture).mean((0, 1)) for picture in (half, own, other))
        assert np.abs(mean - own_mean).sum() < 0.5 * np.abs(mean - other_mean).sum()


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_regions_may_come_in_any_order(statistic: str, photo, style, other_style) -> None:
    """In a few steps, because many would amplify the rounding of sums in another order."""
    left, right = part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 1, 1)
    chosen = quick(steps=3, statistic=statistic, precision="float32")
    result = nst.stylise(photo, [style, other_style], chosen, masks=[left, right])
    swapped = nst.stylise(photo, [other_style, style], chosen, masks=[right, left])
    assert (result.painting.painted - swapped.painting.painted).abs().mean() < 1e-4
    assert [c.total for c in result.history] == pytest.approx([c.total for c in swapped.history], rel=1e-3)


def test_one_mask_serves_all_styles(photo, style, other_style) -> None:
    mask = part(photo, 0.25, 0.25, 0.75, 0.75)
    chosen = quick(style_blend=(1, 2), precision="float32")
    one = nst.stylise(photo, [style, other_style], chosen, masks=mask)
    same = nst.stylise(photo, [style, other_style], chosen, masks=[mask])
    alone = nst.stylise(photo, other_style, quick(precision="float32"), masks=mask)
    assert same_picture(one, same)
    assert not same_picture(one, alone)


def test_mask_of_another_size_or_kind_is_the_same_mask(photo, style, tmp_path: Path) -> None:
    mask = part(photo, 0, 0, 0.5, 1)
    expected = nst.stylise(photo, style, quick(), masks=mask)
    mask.save(tmp_path / "mask.png")
    layer = Image.new("RGBA", (40, 30))
    layer.paste((10, 200, 30, 255), (0, 0, 20, 30))
    assert same_picture(nst.stylise(photo, style, quick(), masks=tmp_path / "mask.png"), expected)
    assert same_picture(nst.stylise(photo, style, quick(), masks=(mask.convert("RGB"),)), expected)
    coarse = nst.stylise(photo, style, quick(), masks=layer)
    far = np.s_[:, 36:]
    assert np.array_equal(np.asarray(coarse.image)[far], np.asarray(expected.image)[far])
    assert np.abs(np.asarray(coarse.image, int) - np.asarray(expected.image, int)).mean() < 4


def test_mask_in_a_region_without_weight_stays_the_photo_s(photo, style, other_style) -> None:
    drawn = [part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 1, 1)]
    chosen = quick(style_blend=(1, 0), alpha=1.0)
    first = nst.stylise(photo, [style, other_style], chosen, masks=drawn)
    second = nst.stylise(photo, [style, photo.transpose(Image.Transpose.ROTATE_90)], chosen, masks=drawn)
    assert same_picture(first, second)


def test_transparent_photo_gives_its_own_alpha_back(photo, style) -> None:
    alpha = Image.effect_noise(photo.size, 80).resize(photo.size)
    clear = with_alpha(photo, alpha)
    image = nst.stylise(clear, style, quick(steps=1)).image
    assert image.mode == "RGBA"
    expected = alpha.resize((64, 48), Image.Resampling.BILINEAR, reducing_gap=3.0)
    assert image.getchannel("A").tobytes() == expected.tobytes()
    own = nst.stylise(clear, style, quick(steps=1, original_size=True)).image
    assert own.getchannel("A").tobytes() == alpha.tobytes()
    assert nst.stylise(photo, with_alpha(style, alpha), quick(steps=1)).image.mode == "RGB"


def test_hidden_colours_have_no_influence(photo, style, other_style, tmp_path: Path) -> None:
    alpha = part(photo, 0.2, 0.2, 0.7, 0.9)
    results = []
    for number, hidden in enumerate(("red", other_style.resize(photo.size))):
        for name, picture in (("photo", photo), ("style", style)):
            under = hidden if isinstance(hidden, Image.Image) else Image.new("RGB", photo.size, hidden)
            file = with_alpha(Image.composite(picture, under, alpha), alpha)
            file.save(tmp_path / f"{name}{number}.png")
            assert (np.asarray(file)[0, 0, :3] == np.asarray(under)[0, 0]).all()
        files = [tmp_path / f"{name}{number}.png" for name in ("photo", "style")]
        results.append(nst.stylise(*files, quick(steps=2, colour="symmetric", init="style")))
    assert same_picture(*results)
    assert [c.total for c in results[0].history] == [c.total for c in results[1].history]


def test_a_face_that_recurring_kept_goes_when_it_is_painted_out() -> None:
    """The best match in the result of a portrait's face, which stands in the style picture four times."""
    portrait = Image.open(EXAMPLES / "photos" / "astronaut.jpg").resize((170, 170)).crop((17, 0, 145, 128))
    sheet, black = Image.new("RGB", (256, 256)), Image.new("RGBA", (256, 256))
    for x, y in [(0, 0), (128, 0), (0, 128), (128, 128)]:
        sheet.paste(portrait, (x, y))
        ImageDraw.Draw(black).ellipse((x + 38, y - 4, x + 90, y + 64), fill="black")
    extractor = FeatureExtractor(["relu5_1"], replicate_edges=True)

    def match(style_masks: list[Image.Image]) -> float:
        chosen = quick(size=128, steps=16, style_parts="recurring")
        painted = nst.stylise(EXAMPLES / "photos" / "rocket.jpg", sheet, chosen, style_masks=style_masks).image
        both = (pictures.to_tensor(one) for one in (sheet.resize((128, 128)), painted))
        with torch.no_grad():
            a_style, a = (extractor(one)["relu5_1"] for one in both)
        return best_match(a_style, (0.15, 0.0, 0.35, 0.25), a)

    kept, gone = match([]), match([black])
    assert gone < 0.75 * kept, (kept, gone)
