"""Targets of a level: what content costs are divided by, and what is kept of styles for other runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nst
from nst import Settings, costs
from nst.cache import digest
from nst.features.extractor import FeatureExtractor
from nst.images import masks, pictures
from nst.objective import targets
from nst.objective.objective import Objective
from nst.objective.statistics import STATISTICS
from nst.objective.targets import StyleCache, StyleMeasures, Targets, content_divisor
from nst.objective.tiled import TiledObjective
from nst.scaled_pictures import Inputs
from nst.schedule import Level

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GREY = Image.new("RGB", (96, 64), (128,) * 3)
QUICK = Settings(size=48, steps=1, pyramid=False, device="cpu", precision="float32")


def energies(photo: Image.Image, styles: list[Image.Image], size: int = 64, **given: object) -> dict[str, float]:
    """What each content layer's cost is divided by, and the photo's own energy there."""
    chosen = Settings(size=size, **given)
    inputs = Inputs.of(photo, styles, chosen, torch.device("cpu"))
    extractor = FeatureExtractor(chosen.layers, device=torch.device("cpu"), replicate_edges=True)
    with torch.no_grad():
        own = extractor(inputs.photo)
    targets = Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1))
    return {
        layer: (targets.content_energy[layer], costs.content_cost(own[layer], torch.zeros_like(own[layer])).item())
        for layer in chosen.content_layers
    }


@given(st.floats(0, 1e9), st.just(0.0) | st.floats(1e-6, 1e9))
def test_what_is_divided_by_is_the_energy_or_between_the_least_and_twice_that(energy: float, least: float) -> None:
    divisor = content_divisor(energy, least)
    if energy >= least:
        assert divisor == energy
    else:
        assert least <= divisor <= 2 * least * (1 + 1e-12)


def test_divisor_has_no_jump_and_grows_as_content_fades() -> None:
    assert content_divisor(1 - 1e-9, 1) == pytest.approx(1)
    faded = [content_divisor(energy, 1.0) for energy in (0.9, 0.7, 0.5, 0.1, 0.0)]
    assert faded == sorted(faded)
    assert faded[-1] == 2


@pytest.mark.parametrize("photo", sorted(path.stem for path in (EXAMPLES / "photos").glob("*.jpg")))
def test_real_photos_are_divided_by_their_own_energy_exactly(photo: str) -> None:
    """Beside the styles with the most energy, at every layer that may hold content."""
    layers = dict.fromkeys(["relu2_2", "relu3_2", "relu4_2", "conv4_2", "relu5_1"], 1.0)
    for style in ("watercolour", "marbling"):
        opened = (
            pictures.load(EXAMPLES / "photos" / f"{photo}.jpg"),
            pictures.load(EXAMPLES / "styles" / f"{style}.jpg"),
        )
        for divisor, own in energies(opened[0], [opened[1]], 96, content_layers=layers).values():
            assert divisor == own


def test_flat_photo_is_divided_by_an_eighth_of_the_styles_energy(style) -> None:
    other = Image.effect_noise((96, 96), 60).convert("RGB")
    (first, own), (second, _), (both, _) = (
        energies(GREY, styles, **blend)["relu4_2"]
        for styles, blend in (([style], {}), ([other], {}), ([style, other], {"style_blend": (3, 1)}))
    )
    assert own < first / 2
    assert both == pytest.approx((3 * first + second) / 4)
    assert energies(style, [style])["relu4_2"][0] / 8 == pytest.approx(first, rel=0.1)  # sizes differ a little
    assert energies(GREY, [style], balance=False)["relu4_2"][0] == 1


def test_content_energies_of_a_style_are_kept_by_layer(photo, style) -> None:
    memo, layers = StyleCache(), {"relu3_2": 1.0}
    nst.stylise(GREY, style, QUICK, memo=memo)
    chosen = Settings(**{**vars(QUICK), "content_layers": layers})
    kept, fresh = (nst.stylise(GREY, style, chosen, memo=one) for one in (memo, None))
    assert kept.image.tobytes() == fresh.image.tobytes()


def extractor_of(chosen: Settings) -> FeatureExtractor:
    return FeatureExtractor(chosen.layers, pooling=chosen.pooling, device=torch.device("cpu"), replicate_edges=True)


def test_energies_measured_in_tiles_are_those_of_the_whole(photo, style) -> None:
    chosen = Settings(size=96, precision="float32", content_layers={"relu2_2": 1.0})  # which lies in several tiles
    inputs, level = Inputs.of(photo, [style], chosen, torch.device("cpu")), Level(1, 72, 96, 1)
    whole, tiled = (Targets.of(inputs, extractor_of(chosen), chosen, level, budget) for budget in (None, 2**22))
    assert tiled.content_energy == pytest.approx(whole.content_energy, rel=1e-4)
    assert tiled.regions[0].energies == pytest.approx(whole.regions[0].energies, rel=1e-4)


def test_gradient_in_tiles_is_that_of_the_whole(photo, style) -> None:
    """With average pooling, where no rounding decides which of two activations is the largest."""
    chosen = Settings(size=64, precision="float32", pooling="average")
    inputs, extractor = Inputs.of(photo, [style], chosen, torch.device("cpu")), extractor_of(chosen)
    goal = Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1))
    image = inputs.photo.flip(-2)
    whole = Objective(extractor, goal, chosen)(image)[1]
    found = TiledObjective(extractor, goal, chosen, tile_bytes=2.0**21)(image)[1]
    assert (found - whole).norm() < 1e-4 * whole.norm()


def test_a_style_is_kept_with_its_transparency(photo, style) -> None:
    """The same colours under another alpha are another style."""
    chosen, memo = Settings(size=64, precision="float32"), StyleCache()
    cut = style.convert("RGBA")
    cut.putalpha(Image.new("L", style.size, 255))
    half = cut.copy()
    half.putalpha(Image.linear_gradient("L").resize(style.size).point(lambda value: max(value, 1)))
    found = []
    for painting in (cut, half):
        inputs = Inputs.of(photo, [painting], chosen, torch.device("cpu"))
        found.append(Targets.of(inputs, extractor_of(chosen), chosen, Level(1, *inputs.size, 1), None, memo))
    opaque, faded = (one.regions[0].targets["relu1_1"] for one in found)
    assert not torch.allclose(opaque, faded, rtol=1e-3)


def test_digest_tells_shape_and_values() -> None:
    values = torch.arange(6.0)
    different = [values, values.view(2, 3), values.flip(0), values + 1e-6, None]
    assert len(set(map(digest, different))) == len(different)
    assert digest(values) == digest(values.clone())


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Arguments of each measurement of a style picture."""
    calls, usual = [], targets._Measurer._measure_style

    def measure(*asked: object) -> StyleMeasures:
        calls.append(asked)
        return usual(*asked)

    monkeypatch.setattr(targets._Measurer, "_measure_style", measure)
    return calls


def test_a_style_is_measured_once_per_size_and_the_picture_stays_the_same(photo, style, measured: list) -> None:
    memo, other = StyleCache(), photo.rotate(180)
    expected = [nst.stylise(content, style, QUICK).image.tobytes() for content in (photo, other)]
    assert [nst.stylise(content, style, QUICK, memo=memo).image.tobytes() for content in (photo, other)] == expected
    assert len(measured) == 3, "two without a cache, one for both photos with it"


@pytest.mark.parametrize("statistic", list(STATISTICS))
def test_a_kept_style_counts_with_the_memory_of_its_statistics(style, statistic: str) -> None:
    memo, chosen = StyleCache(), Settings(size=48, statistic=statistic)
    with torch.no_grad():
        measurer = targets._Measurer(extractor_of(chosen), chosen, None, memo)
        measurer.style(pictures.to_tensor(style.resize((48, 36))), None, None, 1.0)
    matrices = sum(channels**2 for channels in (64, 128, 256, 512, 512))
    means = sum((64, 128, 256, 512, 512)) if statistic == "wasserstein" else 0
    assert memo.size == 4 * (matrices + means)


@pytest.mark.parametrize(
    "change",
    [
        {"statistic": "wasserstein"},
        {"style_parts": "recurring"},
        {"pooling": "average"},
        {"style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}},
        {"content_layers": {"relu3_2": 1.0}},
        {"balance": False},
        {"dtype": torch.bfloat16},
        {"scale": 0.5},
        {"tile_bytes": 2.0**20},
        {"by_hand": torch.zeros(1, 2, 8, 8)},
    ],
    ids=str,
)
def test_whatever_matters_for_a_style_is_measured_anew(change: dict, style, measured: list) -> None:
    memo, painting = StyleCache(), pictures.to_tensor(style.resize((48, 36)))
    for other in ({}, {}, change):
        usual = {"scale": 1.0, "dtype": torch.float32, "tile_bytes": None, "by_hand": None}
        scale, dtype, tile_bytes, by_hand = ({**usual, **other}[name] for name in usual)
        chosen = Settings(size=48, **{name: value for name, value in other.items() if name not in usual})
        extractor = FeatureExtractor(chosen.layers, pooling=chosen.pooling, dtype=dtype)
        with torch.no_grad():
            targets._Measurer(extractor, chosen, tile_bytes, memo).style(painting, None, by_hand, scale)
    assert len(measured) == 2


def test_the_gradient_has_the_total_variation_and_none_outside_the_mask(photo, style) -> None:
    """By autograd on the formula alone; whole and in tiles."""
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (0, 0, photo.width // 2, photo.height))
    device, gradients = torch.device("cpu"), {}
    kinds = (Objective, partial(TiledObjective, tile_bytes=2**22))
    for weight in (0.0, 50.0):
        chosen = Settings(size=64, precision="float32", total_variation=weight)
        inputs, extractor = Inputs.of(photo, [style], chosen, device, [mask]), extractor_of(chosen)
        goal = Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1))
        image = inputs.photo.flip(-2)
        for kind in kinds:
            gradients[kind, weight] = kind(extractor, goal, chosen)(image)[1]
            assert gradients[kind, weight][..., 34:].abs().max() == 0
    pixels = image.clone().requires_grad_()
    (50 * costs.total_variation(masks.compose(pixels, goal.photo, goal.mask))).backward()
    for kind in kinds:
        added = gradients[kind, 50.0] - gradients[kind, 0.0]
        assert torch.allclose(added, pixels.grad, atol=1e-4 * pixels.grad.abs().max().item())
