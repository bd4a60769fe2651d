"""What stands in a style picture once is left out of the deep style matrices, what recurs counts; ones where unsure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import nst
from nst import Settings
from nst.cache import BoundedCache
from nst.features.extractor import FeatureExtractor
from nst.images import masks, pictures
from nst.objective import recurrence
from nst.objective.recurrence import APART, FAR, LEAST_SHARE, PLACES, darkened, guide_of, likeness, recurring
from nst.objective.targets import Targets
from nst.scaled_pictures import Inputs
from nst.schedule import Level

SETTINGS = Settings(size=64, style_parts="recurring", device="cpu", precision="float32")
DEEP, SHALLOW = ("relu4_1", "relu5_1"), ("relu1_1", "relu2_1", "relu3_1")


def wall(faces: list[tuple[int, int]]) -> Image.Image:
    """A speckled wall of 256 x 256 px with faces at these places."""
    grain = np.random.default_rng(0).normal(150, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(grain).resize((256, 256), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for x, y in faces:
        draw.ellipse((x - 30, y - 38, x + 30, y + 38), fill=(240, 200, 160), outline="black", width=4)
        for side in (-12, 12):
            draw.ellipse((x + side - 7, y - 14, x + side + 7, y - 4), fill="white", outline="black", width=2)
        draw.arc((x - 14, y, x + 14, y + 22), 20, 160, fill=(160, 30, 30), width=5)
    return picture


def guide(picture: Image.Image, alpha: torch.Tensor | None = None, **given: object) -> torch.Tensor:
    chosen = Settings(**{**vars(SETTINGS), **given})
    return recurring(pictures.to_tensor(picture), alpha, chosen, torch.float32)[0, 0]


def seen(a: torch.Tensor) -> torch.Tensor:
    return torch.ones(1, 1, *a.shape[-2:], dtype=torch.bool)


def likeness_by_loops(a: np.ndarray) -> np.ndarray:
    """The definition, one pair of positions after another: (C, h, w) -> (h, w)."""
    _, height, width = a.shape
    centred = a - a.mean((1, 2), keepdims=True)
    longer, found = max(height, width), np.full((height, width), np.nan)
    for y, x in np.ndindex(height, width):
        cosines = {}
        for v, u in np.ndindex(height, width):
            one, other = centred[:, y, x], centred[:, v, u]
            if np.hypot(y - v, x - u) >= FAR * longer:
                cosines[v, u] = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        places: list[tuple[int, int]] = []
        for place in sorted(cosines, key=cosines.get, reverse=True):
            if all(np.hypot(place[0] - v, place[1] - u) >= APART * longer for v, u in places):
                places.append(place)
        found[y, x] = cosines[places[PLACES - 1]]
    return found


def test_likeness_is_its_definition() -> None:
    a = torch.randn(1, 6, 7, 11, generator=torch.Generator().manual_seed(0)).relu()  # no distance equals a limit
    assert np.allclose(likeness(a, seen(a)).numpy(), likeness_by_loops(a[0].double().numpy()), atol=1e-5)


def test_hidden_positions_do_not_count() -> None:
    a = torch.randn(1, 6, 8, 16, generator=torch.Generator().manual_seed(0))
    visible = seen(a)
    visible[..., 10:] = False
    other = a.clone()
    other[..., 10:] = 5
    first, second = likeness(a, visible), likeness(other, visible)
    assert torch.equal(first[:, :10], second[:, :10])
    assert first[:, 10:].isnan().all()
    assert not first[:, :10].isnan().all()


@pytest.mark.parametrize("faces", [[(128, 128)], [(64, 128), (192, 128)]], ids=["once", "twice"])
def test_what_stands_there_once_or_twice_is_left_out(faces: list[tuple[int, int]]) -> None:
    found = guide(wall(faces))
    for x, y in faces:
        assert found[y // 16 - 1 : y // 16 + 1, x // 16 - 1 : x // 16 + 1].max() < 0.2
    assert found[0].mean() > 0.9  # the wall


def test_what_recurs_is_not_left_out() -> None:
    assert guide(wall([(x, y) for x in (44, 128, 212) for y in (50, 128, 206)])).mean() > 0.85
    assert guide(wall([])).mean() > 0.85


def test_guide_is_the_same_at_any_size_and_shape_of_the_picture_is_kept() -> None:
    picture = wall([(128, 128)]).crop((0, 40, 256, 232))
    small, large = guide(picture), guide(picture.resize((640, 480), Image.Resampling.LANCZOS))
    assert small.shape == large.shape == (12, 16)
    assert (small - large).abs().mean() < 0.05


@pytest.mark.parametrize("size", [(2048, 2048), (40, 2000), (2000, 40), (2048, 130), (16, 20)], ids=str)
def test_positions_that_are_compared_in_pairs_are_few(size: tuple[int, int]) -> None:
    """Whatever the size of the style picture, also of a strip as narrow as is legal."""
    found = recurring(torch.rand(1, 3, *size), None, SETTINGS, torch.float32)
    assert 1 <= found.numel() <= (recurrence.LONGER_PX // 16) ** 2


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40), st.floats(0, 1))
def test_guide_is_never_empty(values: list[float], unknown: float) -> None:
    found = torch.tensor(values).view(1, -1)
    found[:, : int(unknown * len(values))] = torch.nan
    t = guide_of(found)
    assert t.shape == (1, 1, 1, len(values))
    assert 0 <= t.min() <= t.max() <= 1
    assert (t[0, 0][found.isnan()] == 1).all()
    known = t[0, 0][~found.isnan()]
    assert not len(known) or known.mean() >= LEAST_SHARE - 1e-6


@pytest.mark.parametrize("everywhere", [0.9, 0.25, 0.0, -0.5, torch.nan])
def test_guide_is_one_where_all_recurs_alike_or_nothing_does(everywhere: float) -> None:
    assert (guide_of(torch.full((5, 6), everywhere)) == 1).all()


def test_guide_changes_smoothly_where_less_and_less_recurs() -> None:
    """No step between a picture of which a third recurs and one of a single thing."""
    found = torch.full((10, 10), 0.01)
    found[:3] = 0.6
    means = []
    for faded in torch.linspace(1, 0, 200):
        found[:3] = 0.6 * faded
        means.append(guide_of(found).mean().item())
    assert means[0] == pytest.approx(0.3)
    assert means[-1] == 1
    assert max(abs(a - b) for a, b in pairwise(means)) < 0.15


def inputs_and_targets(
    photo: Image.Image,
    styles: list[Image.Image],
    chosen: Settings,
    tile_bytes: float | None = None,
    drawn: Sequence[Image.Image] = (),
    style_masks: Sequence[Image.Image] = (),
):
    inputs = Inputs.of(photo, styles, chosen, torch.device("cpu"), drawn, style_masks=style_masks)
    extractor = FeatureExtractor(chosen.layers, replicate_edges=True)
    return inputs, extractor, Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1), tile_bytes)


def test_deep_style_matrices_are_weighted_by_the_guide(photo) -> None:
    """NumPy's sum of T^2 a a^T over positions, divided by the sum of T^2; shallow ones are those of the whole."""
    inputs, extractor, targets = inputs_and_targets(photo, [wall([(128, 128)])], SETTINGS)
    painting = inputs.paintings[0]
    t = masks.resize(recurring(painting, None, SETTINGS, torch.float32), tuple(painting.shape[-2:]))
    with torch.no_grad():
        activations = extractor(painting)
    for layer in (*DEEP, *SHALLOW):
        a = activations[layer][0].double().numpy()
        weights = masks.guide(t, a.shape[1:], extractor.strides[layer])[0, 0].double().numpy() ** 2
        weights = weights if layer in DEEP else np.ones_like(weights)
        wanted = np.einsum("khw,lhw,hw->kl", a, a, weights) / weights.sum()
        found = targets.regions[0].targets[layer][0].numpy()
        assert np.allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_targets_in_tiles_are_those_of_the_whole(statistic: str, photo) -> None:
    chosen = Settings(**{**vars(SETTINGS), "size": 96, "statistic": statistic})
    cut = wall([(128, 128)]).convert("RGBA")
    cut.putalpha(Image.linear_gradient("L").point(lambda value: max(value, 1)))
    whole, tiled = (inputs_and_targets(photo, [cut], chosen, budget)[2].regions[0] for budget in (None, 2**22))
    assert tiled.energies == pytest.approx(whole.energies, rel=1e-4)


@pytest.fixture
def alone(photo, monkeypatch: pytest.MonkeyPatch) -> Callable[[Image.Image], dict[str, torch.Tensor]]:
    """The targets of one style without others, with a guide that no other style has left in the cache."""

    def targets(style: Image.Image) -> dict[str, torch.Tensor]:
        monkeypatch.setattr(recurrence, "kept_guides", BoundedCache(1))
        return inputs_and_targets(photo, [style], SETTINGS)[2].regions[0].targets

    return targets


@pytest.mark.parametrize("blend", [(1.0, 3.0), (2.0, 0.0)], ids=str)
def test_blended_styles_have_a_guide_each(blend: tuple[float, float], photo, style, alone) -> None:
    two = [wall([(128, 128)]), style]
    chosen = Settings(**{**vars(SETTINGS), "style_blend": blend})
    blended = inputs_and_targets(photo, two, chosen)[2].regions[0].targets
    each = [alone(one) for one in two]
    for layer in DEEP:
        wanted = sum(w * one[layer] for w, one in zip(blend, each, strict=True)) / sum(blend)
        assert torch.allclose(blended[layer], wanted, rtol=1e-4, atol=1e-6)


def test_each_region_has_its_style_with_its_guide(photo, style, alone) -> None:
    two = [wall([(128, 128)]), style]
    left = Image.new("L", photo.size)
    left.paste(255, (0, 0, photo.width // 2, photo.height))
    drawn = [left, left.point(lambda value: 255 - value)]
    regions = inputs_and_targets(photo, two, SETTINGS, drawn=drawn)[2].regions
    for region, one in zip(regions, two, strict=True):
        targets = alone(one)
        assert all(torch.allclose(region.targets[layer], targets[layer], rtol=1e-4) for layer in DEEP)


def test_one_measurement_serves_all_levels(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, plain = [], recurrence.likeness
    monkeypatch.setattr(recurrence, "likeness", lambda *given: calls.append(1) or plain(*given))
    monkeypatch.setattr(recurrence, "kept_guides", BoundedCache(2))
    inputs, extractor, _ = inputs_and_targets(photo, [style], SETTINGS)
    Targets.of(inputs, extractor, SETTINGS, Level(1, 24, 32, 1))
    Targets.of(inputs, extractor, SETTINGS, Level(1, 24, 32, 1), 2**22)
    assert len(calls) == 1
    inputs_and_targets(photo, [style], Settings(**{**vars(SETTINGS), "pooling": "average"}))
    assert len(calls) == 2


def test_a_picture_in_which_all_recurs_has_the_plain_style_matrices(photo, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit; with a face on the wall they are others."""

    def deepest(parts: str) -> torch.Tensor:
        chosen = Settings(**{**vars(SETTINGS), "style_parts": parts})
        return inputs_and_targets(photo, [wall([(128, 128)])], chosen)[2].regions[0].targets["relu5_1"]

    plain, guided = deepest("all"), deepest("recurring")
    assert (guided - plain).norm() > 0.1 * plain.norm()
    monkeypatch.setattr(recurrence, "kept_guides", BoundedCache(2))
    monkeypatch.setattr(recurrence, "likeness", lambda a, visible: torch.ones(a.shape[-2:]))
    assert torch.equal(deepest("recurring"), plain)


def test_a_run_paints_with_the_guide_and_reports_its_costs(photo) -> None:
    picture = wall([(128, 128)])
    chosen = Settings(**{**vars(SETTINGS), "steps": 1, "pyramid": False})
    guided, plain = (
        nst.stylise(photo, picture, one) for one in (chosen, Settings(**{**vars(chosen), "style_parts": "all"}))
    )
    layers = [one.history[0].style_layers for one in (guided, plain)]
    assert layers[0]["relu5_1"] != layers[1]["relu5_1"]
    assert layers[0]["relu1_1"] == pytest.approx(layers[1]["relu1_1"], rel=0.15)  # after the same long first step


def test_shallow_layers_alone_need_no_guide(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "recurring", None)  # fails if it is called
    shallow = {"style_layers": {"relu3_1": 1.0}, "content_layers": {"relu3_2": 1.0}, "steps": 1, "pyramid": False}
    assert nst.stylise(photo, style, Settings(**{**vars(SETTINGS), **shallow})).stopped == "completed"


def test_what_is_left_out_is_dark() -> None:
    picture = wall([(128, 128)])
    before, after = (np.asarray(one, float) for one in (picture, darkened(picture, SETTINGS)))
    assert after.shape == (512, 512, 3)
    assert after[240:272, 240:272].mean() < 0.3 * before[120:136, 120:136].mean()
    assert after[:48].mean() > 0.85 * before[:24].mean()
