import dataclasses
import gc
import itertools
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

import nst
from nst import Degraded, Finished, Result, Settings, Started, Step, costs, job, schedule, settings, transfer
from nst.features.extractor import FeatureExtractor, OnLayer
from nst.images import pictures
from nst.images.decode import on_white
from nst.optimise.loop import Evaluation, minimise
from nst.scaled_pictures import COLOURED

LAMBDAS = Settings().style_layers
STYLE_LAYERS = list(LAMBDAS)


def quick(**given: object) -> Settings:
    """A few steps at 64 px, where the real network takes a twentieth of a second a step."""
    return Settings(**{"size": 64, "steps": 4, "pyramid": False, "device": "cpu", **given})


@pytest.fixture
def short_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft takes 3 + 2 steps at 90 and 180 px."""
    monkeypatch.setitem(settings.QUALITIES, "draft", (3, 2, 2))


@pytest.fixture
def pyramid(photo: Image.Image, style: Image.Image, short_levels: None) -> list[nst.Event]:
    chosen = Settings(size=180, quality="draft", device="cpu", total_variation=3.0, alpha=2.0)
    return list(nst.stylise_events(photo, style, chosen))


@pytest.fixture
def activations(monkeypatch: pytest.MonkeyPatch) -> list[list[weakref.ref]]:
    """Weak references to all activations, a list for each time that the network saw a picture."""
    seen, plain = [], FeatureExtractor.show

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        now: list[weakref.ref] = []
        plain(self, image, lambda layer, activations: (now.append(weakref.ref(activations)), see(layer, activations)))
        seen.append(now)

    monkeypatch.setattr(FeatureExtractor, "show", show)
    return seen


def balanced_costs(picture: Image.Image, photo: Image.Image, style: Image.Image) -> tuple[float, float]:
    """Content and style cost of a picture in float32, each divided by the cost of a picture that excites nothing."""
    extractor = FeatureExtractor(["relu4_2", *STYLE_LAYERS], replicate_edges=True)
    scaled = style.resize(
        [round(side * max(picture.size) / max(style.size)) for side in style.size], Image.Resampling.LANCZOS
    )
    a, a_content, a_style = (
        extractor(pictures.to_tensor(p))
        for p in (picture, photo.resize(picture.size, Image.Resampling.LANCZOS), scaled)
    )
    content = costs.content_cost(a_content["relu4_2"], a["relu4_2"]) / costs.content_cost(
        a_content["relu4_2"], 0 * a["relu4_2"]
    )
    layers = (
        costs.style_layer_cost(a_style[layer], a[layer]) / costs.style_layer_cost(a_style[layer], 0 * a[layer])
        for layer in STYLE_LAYERS
    )
    return content.item(), sum(LAMBDAS[layer] * cost.item() for layer, cost in zip(STYLE_LAYERS, layers, strict=True))


def all_numbers(result: Result) -> list[float]:
    return [
        number
        for c in result.history
        for number in (c.total, c.content, c.style, c.total_variation, c.seconds, *c.style_layers.values())
    ]


def same_picture(a: Result, b: Result) -> bool:
    return a.image.tobytes() == b.image.tobytes()


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("init", list(settings.CHOICES["init"]))
def test_both_optimisers_lower_the_cost_from_every_start(optimiser: str, init: str, photo, style) -> None:
    history = nst.stylise(photo, style, quick(optimiser=optimiser, init=init, steps=25)).history
    assert history[-1].total < (0.9 if init == "style" else 0.6) * history[0].total  # the style itself is a good start
    assert history[-1].total < history[len(history) // 2].total


def test_default_run_takes_nine_tenths_of_the_style_cost_and_keeps_the_content(photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=128))
    start = photo.resize(result.image.size, Image.Resampling.LANCZOS)
    _, style_cost_of_start = balanced_costs(start, photo, style)
    content_cost, style_cost = balanced_costs(result.image, photo, style)
    assert style_cost < 0.1 * style_cost_of_start
    assert content_cost < 1
    assert result.history[-1].content == pytest.approx(content_cost, rel=0.1)
    assert result.history[-1].style == pytest.approx(style_cost, rel=0.25)
    assert result.stopped == "completed"


def test_same_seed_gives_the_same_bytes_and_another_does_not(photo, style) -> None:
    first, again, other = (nst.stylise(photo, style, quick(init="noise", seed=seed)) for seed in (7, 7, 8))
    assert same_picture(first, again)
    assert [c.total for c in first.history] == [c.total for c in again.history]
    assert not same_picture(first, other)


def test_a_run_touches_no_global_randomness(photo, style) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    nst.stylise(photo, style, quick(init="noise", steps=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("steps", [1, 5])
def test_without_pyramid_all_steps_are_at_the_final_size(steps: int, photo, style) -> None:
    history = nst.stylise(photo, style, quick(size=180, steps=steps)).history
    assert [c.step for c in history] == list(range(1, steps + 1))
    assert {(c.level, c.size) for c in history} == {(1, (135, 180))}


def test_steps_are_numbered_over_all_levels(pyramid: list[nst.Event]) -> None:
    history = pyramid[-1].result.history
    assert [c.step for c in history] == [1, 2, 3, 4, 5]
    assert [c.level for c in history] == [1, 1, 1, 2, 2]
    assert [c.size for c in history] == [(68, 90)] * 3 + [(135, 180)] * 2
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(history))


def test_total_is_the_weighted_sum_of_its_terms(pyramid: list[nst.Event]) -> None:
    result = pyramid[-1].result
    for c in result.history:
        assert c.total_variation > 0
        assert list(c.style_layers) == STYLE_LAYERS
        assert c.style == pytest.approx(sum(LAMBDAS[layer] * cost for layer, cost in c.style_layers.items()), rel=1e-5)
        assert c.total == pytest.approx(2.0 * c.content + 10.0 * c.style + 3.0 * c.total_variation, rel=1e-5)


def test_content_is_summed_with_its_layers_weights(photo, style) -> None:
    common = {"steps": 1, "precision": "float32", "init": "style"}
    first, second, both = (
        nst.stylise(photo, style, quick(content_layers=layers, beta=0, alpha=1e-6, **common)).history[0].content
        for layers in ({"relu2_2": 1.0}, {"conv4_2": 1.0}, {"relu2_2": 0.5, "conv4_2": 3.0})
    )
    assert both == pytest.approx(0.5 * first + 3.0 * second, rel=0.05)


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_unbalanced_costs_are_the_plain_formulas_of_the_picture(optimiser: str, photo, style, monkeypatch) -> None:
    photo, style = photo.resize((64, 48)), style.resize((64, 48))  # the sizes of the run: nothing is scaled
    shown, to_picture = [], pictures.to_picture
    monkeypatch.setattr(pictures, "to_picture", lambda image: shown.append(image.detach().clone()) or to_picture(image))
    chosen = quick(balance=False, precision="float32", optimiser=optimiser, alpha=3.0, beta=0.5, steps=3)
    last = nst.stylise(photo, style, chosen).history[-1]
    extractor = FeatureExtractor(["relu4_2", *STYLE_LAYERS], replicate_edges=True)
    a, a_content, a_style = map(extractor, (shown[-1], pictures.to_tensor(photo), pictures.to_tensor(style)))
    assert last.content == pytest.approx(costs.content_cost(a_content["relu4_2"], a["relu4_2"]).item(), rel=1e-3)
    assert last.style == pytest.approx(costs.style_cost(a_style, a, LAMBDAS).item(), rel=1e-3)
    for layer, cost in last.style_layers.items():
        assert cost == pytest.approx(costs.style_layer_cost(a_style[layer], a[layer]).item(), rel=1e-3)
    assert last.total == pytest.approx(costs.total_cost(last.content, last.style, 3.0, 0.5), rel=1e-5)
    assert last.total_variation == pytest.approx(costs.total_variation(shown[-1]).item(), rel=1e-4)


def test_content_cost_starts_at_zero_and_grows(photo, style) -> None:
    history = nst.stylise(photo, style, quick(beta=1e-6, steps=2)).history
    painted = nst.stylise(photo, style, quick(steps=2)).history
    assert history[-1].content < painted[-1].content


def test_result_holds_what_the_contract_promises(photo, style) -> None:
    chosen = quick(size=70, precision="float32")
    result = nst.stylise(photo, style, chosen)
    assert isinstance(result.image, Image.Image)
    assert (result.image.mode, result.image.size) == ("RGB", (70, 52))
    assert result.settings == chosen
    assert isinstance(result.history, tuple)
    assert result.stopped == "completed"
    assert 0 < result.history[-1].seconds <= result.seconds < 60
    assert (result.compute.device, result.compute.dtype) == (torch.device("cpu"), torch.float32)
    assert "as asked" in result.compute.reason


@pytest.mark.parametrize("shape", [(160, 120), (120, 160), (130, 130), (160, 41)], ids=str)
def test_longer_side_is_the_size_and_the_aspect_is_the_photo_s(shape: tuple[int, int], photo, style) -> None:
    image = nst.stylise(photo.resize(shape), style, quick(steps=1)).image
    assert max(image.size) == 64
    assert image.width * shape[1] == pytest.approx(image.height * shape[0], abs=0.5 * max(shape))


def test_paths_and_pictures_give_the_same(photo, style, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    style.save(tmp_path / "style.png")
    expected = nst.stylise(photo, style, quick(steps=1))
    assert same_picture(nst.stylise(str(tmp_path / "photo.png"), tmp_path / "style.png", quick(steps=1)), expected)
    assert same_picture(nst.stylise(tmp_path / "photo.png", [tmp_path / "style.png"], quick(steps=1)), expected)


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_budget_stops_the_run_with_a_picture_of_full_size(seconds: float, photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=200, quality="fine", max_seconds=seconds, device="cpu"))
    assert result.stopped == "budget"
    assert result.image.size == (200, 150)
    *before, last = result.history
    assert all(c.seconds < seconds for c in before)
    assert last.level == 1  # the coarse one alone takes longer than that
    assert result.seconds < seconds + 10


def test_events_come_in_order_and_count_the_work(pyramid: list[nst.Event]) -> None:
    started, *steps, finished = pyramid
    assert isinstance(started, Started)
    assert all(isinstance(step, Step) for step in steps)
    assert isinstance(finished, Finished)
    assert started.steps == len(steps) == len(finished.result.history)
    assert [step.costs for step in steps] == list(finished.result.history)
    assert started.settings == finished.result.settings
    assert started.compute == finished.result.compute
    assert all(isinstance(level, schedule.Level) for level in started.levels)
    assert sum(level.steps for level in started.levels) == started.steps
    fractions = [step.fraction for step in steps]
    assert fractions[0] > 0
    assert all(a < b for a, b in itertools.pairwise(fractions))
    assert fractions[-1] == 1
    assert all(step.eta_seconds > 0 for step in steps[:-1])
    assert steps[-1].eta_seconds == 0


def test_previews_come_at_the_start_and_at_the_end_of_each_level(pyramid: list[nst.Event], photo) -> None:
    started, *steps, finished = pyramid
    assert started.preview.size == finished.result.image.size == (180, 135)
    assert np.abs(np.asarray(started.preview, int) - np.asarray(photo.resize((180, 135)), int)).mean() < 4
    assert steps[0].preview is not None
    assert steps[2].preview.size == (90, 68)
    assert steps[-1].preview.tobytes() == finished.result.image.tobytes()


def test_a_finished_run_stays_finished(photo, style) -> None:
    events = nst.stylise_events(photo, style, quick(steps=1))
    assert isinstance(list(events)[-1], Finished)
    with pytest.raises(StopIteration):
        next(events)


def test_close_stops_within_a_step_and_frees_the_memory(photo, style, activations: list[list[weakref.ref]]) -> None:
    events = nst.stylise_events(photo, style, quick(steps=1000))
    for _ in range(4):
        next(events)
    assert any(held() is not None for held in itertools.chain(*activations))
    evaluated = len(activations)
    events.close()
    assert len(activations) <= evaluated + 1
    assert all(held() is None for held in itertools.chain(*activations))
    with pytest.raises(StopIteration):
        next(events)


def test_nothing_is_computed_before_the_first_event_is_asked_for(
    photo, style, activations: list[list[weakref.ref]]
) -> None:
    nst.stylise_events(photo, style, quick()).close()
    assert not activations


PHOTOS = {
    "grey": lambda photo: photo.convert("L"),
    "black": lambda photo: Image.new("RGB", photo.size),
    "white": lambda photo: Image.new("RGB", photo.size, "white"),
    "nearly transparent": lambda photo: Image.new("RGBA", photo.size, (0, 0, 0, 1)),
}


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("kind", PHOTOS)
def test_any_photo_gives_finite_costs(kind: str, optimiser: str, photo, style) -> None:
    result = nst.stylise(PHOTOS[kind](photo), style, quick(optimiser=optimiser, steps=25))
    assert result.stopped == "completed"
    assert np.isfinite(all_numbers(result)).all()
    assert result.history[-1].total < result.history[0].total


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_style_of_one_colour_gives_finite_costs(colour: str, photo) -> None:
    result = nst.stylise(photo, Image.new("RGB", (100, 100), colour), quick(steps=8))
    assert result.stopped == "completed"
    assert np.isfinite(all_numbers(result)).all()


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
    rough, smooth = (nst.stylise(photo, style, quick(steps=12, total_variation=w)).history[-1] for w in (0.0, 300.0))
    assert smooth.total_variation < 0.7 * rough.total_variation


def test_average_pooling_gives_another_picture(photo, style) -> None:
    assert not same_picture(*(nst.stylise(photo, style, quick(pooling=pooling)) for pooling in ("max", "average")))


def test_blend_of_one_and_nothing_is_the_single_style(photo, style, other_style) -> None:
    single = nst.stylise(photo, style, quick())
    assert same_picture(nst.stylise(photo, [style, other_style], quick(style_blend=(1, 0))), single)
    assert same_picture(nst.stylise(photo, [other_style, style], quick(style_blend=(0, 5))), single)


def test_blend_counts_in_proportion(photo, style, other_style) -> None:
    equal = nst.stylise(photo, [style, other_style], quick())
    assert same_picture(nst.stylise(photo, [style, other_style], quick(style_blend=(3, 3))), equal)
    assert not same_picture(nst.stylise(photo, [style, other_style], quick(style_blend=(1, 3))), equal)
    assert not same_picture(nst.stylise(photo, style, quick()), equal)


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


@pytest.mark.parametrize(
    ("shape", "size"), [((600, 160), 64), ((160, 600), 64), ((40, 1600), 700), ((1000, 30), 540)], ids=str
)
def test_thin_photo_works_at_its_aspect(shape: tuple[int, int], size: int, photo, style) -> None:
    image = nst.stylise(photo.resize(shape), style, quick(size=size, steps=1)).image
    assert image.size == tuple(round(side * size / max(shape)) for side in shape)


@pytest.mark.parametrize(("width", "height"), [(900, 60), (400, 20), (20, 400), (16, 16)])
def test_thin_and_tiny_photos_are_painted_larger_and_shrunk_again(photo, style, width: int, height: int) -> None:
    thin = photo.resize((width, height))
    result = nst.stylise(thin, style, quick(steps=1))
    assert max(result.image.size) == 64
    assert result.image.size == pictures.result_size(thin, 64)[::-1]
    assert min(result.history[-1].size) >= 16


def test_layers_deeper_than_the_photo_is_large_are_painted_larger(photo, style) -> None:
    result = nst.stylise(photo, style, quick(size=32, steps=1, style_layers={"pool5": 1.0}))
    assert max(result.image.size) == 32
    assert min(result.history[-1].size) == 32
    assert result.history[-1].style_layers["pool5"] > 0


def test_bad_picture_is_refused_at_once_and_named(photo, style) -> None:
    with pytest.raises(ValueError, match="the photo"):
        nst.stylise_events("missing.jpg", style)
    with pytest.raises(ValueError, match="the style picture"):
        nst.stylise_events(photo, [style, Image.new("RGB", (3, 3))])


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("good", [0, 4])
def test_diverging_run_ends_with_the_last_good_picture(good: int, optimiser: str, photo, style, monkeypatch) -> None:
    """The network gives NaN from some evaluation on; its first two calls are for the targets."""
    calls, plain = [], FeatureExtractor.show

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        calls.append(image)
        factor = 1.0 if len(calls) <= 2 + good else float("nan")
        plain(self, image, lambda layer, activations: see(layer, factor * activations))

    monkeypatch.setattr(FeatureExtractor, "show", show)
    settings = quick(steps=50, optimiser=optimiser, precision="float32")
    *steps, degraded, finished = nst.stylise_events(photo, style, settings)
    assert isinstance(degraded, Degraded)
    assert degraded.reason
    result = finished.result
    assert result.stopped == "diverged"
    assert result.image.size == (64, 48)
    assert len(result.history) == len(steps) - 1 == max(0, good - 1)
    assert np.isfinite(all_numbers(result)).all()
    assert np.asarray(result.image).std() > 10  # not a black picture made of NaN
    assert all(image.isfinite().all() for image in calls)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=lambda mode: mode.__name__)
def test_gradient_mode_of_the_caller_does_not_matter(mode, photo, style) -> None:
    expected = nst.stylise(photo, style, quick(steps=2))
    with mode():
        found = nst.stylise(photo, style, quick(steps=2))
    assert same_picture(found, expected)


def test_weights_first_loaded_in_inference_mode_serve_later_runs(photo, style) -> None:
    nst.weights.load.cache_clear()
    try:
        with torch.inference_mode():
            nst.weights.load("vgg19")
        assert nst.stylise(photo, style, quick(steps=1, precision="float32")).stopped == "completed"
    finally:
        nst.weights.load.cache_clear()


def test_each_step_may_be_taken_by_another_thread(photo, style) -> None:
    events, taken = nst.stylise_events(photo, style, quick(steps=3)), []

    def take(source: Iterator[nst.Event]) -> None:
        taken.append(next(source))

    for _ in range(5):
        thread = threading.Thread(target=take, args=(events,))
        thread.start()
        thread.join()
    assert same_picture(taken[-1].result, nst.stylise(photo, style, quick(steps=3)))


def test_two_runs_may_alternate(photo, style, other_style) -> None:
    alone = [nst.stylise(photo, s, quick(steps=2)) for s in (style, other_style)]
    pairs = zip(*(nst.stylise_events(photo, s, quick(steps=2)) for s in (style, other_style)), strict=True)
    *_, last = pairs
    assert all(same_picture(event.result, expected) for event, expected in zip(last, alone, strict=True))


def test_bfloat16_run_ends_near_the_float32_run(photo, style) -> None:
    exact, narrow = (nst.stylise(photo, style, quick(steps=20, precision=p)) for p in ("float32", "bfloat16"))
    (_, exact_style), (_, narrow_style) = (balanced_costs(r.image, photo, style) for r in (exact, narrow))
    assert narrow.compute.dtype == torch.bfloat16
    assert narrow_style == pytest.approx(exact_style, rel=0.2)


def part(photo: Image.Image, *box: float) -> Image.Image:
    """A mask of the photo's size, white inside (left, top, right, bottom) given as shares of it."""
    mask = Image.new("L", photo.size)
    mask.paste(255, tuple(round(share * side) for share, side in zip(box, photo.size * 2, strict=True)))
    return mask


def with_alpha(picture: Image.Image, alpha: Image.Image) -> Image.Image:
    clear = picture.convert("RGB")
    clear.putalpha(alpha.resize(picture.size))
    return clear


RUNS = {
    "plain": {},
    "adam": {"optimiser": "adam"},
    "noise": {"init": "noise"},
    "wasserstein": {"statistic": "wasserstein"},
    "soft edge": {"mask_edge": 0.1},
    "colours after": {"colour": "histogram"},
    "luminance": {"colour": "luminance"},
    "averaging": {"averaging": 0.5},
    "several sizes": {"size": 180, "pyramid": True, "quality": "draft", "steps": None},
    "variation": {"total_variation": 10.0},
}


@pytest.mark.parametrize("original", [False, True], ids=["scaled", "original size"])
@pytest.mark.parametrize("kind", RUNS)
def test_outside_the_mask_the_photo_is_untouched_to_the_pixel(kind, original, photo, style, short_levels) -> None:
    """The soft edge reaches 3/40 of the longer side beyond the mask."""
    result = nst.stylise(
        photo, style, quick(original_size=original, **{"steps": 3, **RUNS[kind]}), masks=part(photo, 0.5, 0, 1, 1)
    )
    found = np.asarray(result.image)
    expected = np.asarray(photo.resize(result.image.size, Image.Resampling.LANCZOS, reducing_gap=3.0))
    width = found.shape[1]
    outside = np.arange(width) < (0.5 - (3 / 40 if kind == "soft edge" else 0)) * width - 1
    assert np.array_equal(found[:, outside], expected[:, outside])
    assert np.abs(found.astype(int) - expected)[:, width // 2 :].mean() > 4
    if kind == "soft edge":
        assert (found != expected)[:, width * 9 // 20 : width // 2].any()
    if original:
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
    """In few steps: many make a visible difference of sums in another order."""
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
    """By scaling to the size of the result, or because the photo is transparent there."""
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


def test_mask_in_a_region_without_weight_stays_the_photo_s(photo, style, other_style) -> None:
    drawn = [part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 1, 1)]
    chosen = quick(style_blend=(1, 0), alpha=1.0)
    first = nst.stylise(photo, [style, other_style], chosen, masks=drawn)
    second = nst.stylise(photo, [style, photo.transpose(Image.Transpose.ROTATE_90)], chosen, masks=drawn)
    assert same_picture(first, second)


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_blend_with_one_picture_twice_is_the_single_style(statistic: str, photo, style) -> None:
    chosen = {"precision": "float32", "statistic": statistic}
    single = nst.stylise(photo, style, quick(**chosen))
    twice = nst.stylise(photo, [style, style], quick(style_blend=(0.5, 0.5), **chosen))
    assert same_picture(twice, single)
    assert [c.total for c in twice.history] == [c.total for c in single.history]


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_blend_of_one_and_nothing_is_the_single_style_bit_for_bit(statistic, photo, style, other_style) -> None:
    chosen = {"precision": "float32", "statistic": statistic}
    single = nst.stylise(photo, style, quick(**chosen))
    found = nst.stylise(photo, [style, other_style], quick(style_blend=(1, 0), **chosen))
    assert torch.equal(found.painting.painted, single.painting.painted)
    assert [c.total for c in found.history] == [c.total for c in single.history]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_wasserstein_runs_fall_and_stay_finite(precision: str, photo, style) -> None:
    result = nst.stylise(photo, style, quick(statistic="wasserstein", steps=12, precision=precision))
    assert np.isfinite(all_numbers(result)).all()
    assert result.history[-1].style < 0.5 * result.history[0].style
    assert min(min(c.style_layers.values()) for c in result.history) >= 0


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_style_scale_changes_the_strokes(scale: float, photo, style, monkeypatch) -> None:
    """The extractor sees the style picture at that size beside the photo."""
    seen, plain = [], FeatureExtractor.show

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        seen.append(tuple(image.shape[-2:]))
        plain(self, image, see)

    monkeypatch.setattr(FeatureExtractor, "show", show)
    result = nst.stylise(photo, style, quick(steps=1, style_scale=scale))
    assert result.image.size == (64, 48)
    assert seen[1] == tuple(max(round(side * scale), least) for side, least in ((48, 16), (64, 21)))


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


def test_start_picture_is_what_the_run_starts_from(photo, style) -> None:
    """A start of the result's very size is taken as it is: the photo itself is where `init="content"` begins."""

    def first(start: Image.Image | None, drawn: Image.Image = style, **given: object) -> torch.Tensor:
        return job.Job.of(small, [drawn], quick(**given), (), start).begin()

    small, strokes = photo.resize((64, 48)), style.resize((64, 48))
    assert torch.equal(first(small, init="noise"), first(None))
    assert not torch.equal(first(small.rotate(180)), first(None))
    assert torch.equal(first(strokes), first(None, strokes, init="style"))
    turned = nst.stylise(small, style, quick(), start=small.rotate(180))
    assert not same_picture(turned, nst.stylise(small, style, quick(), start=small))


def test_start_is_the_first_picture_the_network_sees_after_the_targets(photo, style, other_style, monkeypatch) -> None:
    seen, plain = [], FeatureExtractor.show

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        seen.append(image.detach().clone())
        plain(self, image, see)

    monkeypatch.setattr(FeatureExtractor, "show", show)
    nst.stylise(photo, style, quick(steps=1), start=other_style)  # tall: what stands out is cut off
    expected = pictures.to_tensor(other_style.resize((64, 85), Image.Resampling.BICUBIC).crop((0, 18, 64, 66)))
    assert (seen[2] - expected).abs().mean() < 0.02


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


def test_a_finished_picture_can_be_continued(photo, style) -> None:
    first = nst.stylise(photo, style, quick(steps=20))
    more = nst.stylise(photo, style, quick(steps=10), start=first.image)
    assert first.history[-1].total < 0.5 * first.history[0].total
    assert max(costs.total for costs in more.history) < 1.2 * first.history[-1].total
    assert more.history[-1].total < first.history[-1].total
    clear = nst.stylise(with_alpha(photo, Image.linear_gradient("L")), style, quick(steps=1))
    assert clear.image.mode == "RGBA"
    assert nst.stylise(photo, style, quick(steps=1), start=clear.image).image.mode == "RGB"


def test_bad_start_and_mask_are_refused_at_once_and_named(photo, style) -> None:
    with pytest.raises(ValueError, match=r"the start picture 'missing\.png'"):
        nst.stylise_events(photo, style, quick(), start="missing.png")
    with pytest.raises(ValueError, match=r"the mask 'missing\.png'"):
        nst.stylise_events(photo, style, quick(), masks="missing.png")
    with pytest.raises(ValueError, match="the mask 2 is 3 x 3 px"):
        nst.stylise_events(photo, [style] * 2, quick(), masks=[photo, Image.new("L", (3, 3))])


@pytest.fixture
def iterates(monkeypatch: pytest.MonkeyPatch) -> list[Evaluation]:
    """What the optimiser yields, in order."""
    collected = []

    def watched(*arguments: object) -> Iterator[Evaluation]:
        for evaluation in minimise(*arguments):
            collected.append(evaluation)
            yield evaluation

    monkeypatch.setattr(transfer, "minimise", watched)
    return collected


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95])
def test_averaging_is_the_exponential_mean_of_the_iterates(decay: float, photo, style, iterates) -> None:
    result = nst.stylise(photo, style, quick(steps=6, averaging=decay))
    weights = decay ** np.arange(5, -1, -1.0)  # 0 ** 0 is 1
    expected = np.average([e.image.numpy() for e in iterates], axis=0, weights=weights)
    assert np.allclose(result.painting.painted, expected, atol=1e-5)
    last = result.history[-1]
    assert [c.total for c in result.history[:-1]] == [e.cost for e in iterates[:-1]]
    assert (last.total == iterates[-1].cost) == (decay == 0)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_last_cost_is_that_of_the_picture_shown(decay: float, photo, style) -> None:
    """By the formulas, from the pixels of the result."""
    chosen = quick(steps=8, averaging=decay, balance=False, precision="float32")
    small_photo, small_style = photo.resize((64, 48)), style.resize((64, 48))
    result = nst.stylise(small_photo, small_style, chosen)
    extractor = FeatureExtractor(chosen.layers, replicate_edges=True)
    a, a_content, a_style = map(
        extractor, (result.painting.painted, pictures.to_tensor(small_photo), pictures.to_tensor(small_style))
    )
    last = result.history[-1]
    assert last.content == pytest.approx(costs.content_cost(a_content["relu4_2"], a["relu4_2"]).item(), rel=1e-3)
    assert last.style == pytest.approx(costs.style_cost(a_style, a, LAMBDAS).item(), rel=1e-3)


def plateau_of(totals: list[float], share: float) -> int:
    """The step after which a level ends: once the ten steps before it lowered J by less than the share."""
    for taken in range(12, len(totals)):
        if totals[taken - 12] - totals[taken - 2] < share * totals[taken - 12]:
            return taken
    return len(totals)


def test_plateau_ends_the_run_when_the_cost_hardly_falls(photo, style) -> None:
    chosen = {"size": 32, "steps": 40, "precision": "float32"}
    full = [c.total for c in nst.stylise(photo, style, quick(**chosen)).history]
    for share in (0.15, 1.0):
        _, *steps, finished = nst.stylise_events(photo, style, quick(plateau=share, **chosen))
        expected = plateau_of(full, share)
        assert expected < 40
        assert [step.costs.total for step in steps] == full[:expected]
        assert finished.result.stopped == "plateau"
        assert steps[-1].fraction == 1
        assert steps[-1].eta_seconds == 0
        assert steps[-1].preview is not None
    assert plateau_of(full, 0.15) > plateau_of(full, 1.0)


def test_no_plateau_while_the_cost_falls(photo, style) -> None:
    full = nst.stylise(photo, style, quick(size=32, steps=20))
    assert plateau_of([c.total for c in full.history], 0.01) == 20
    found = nst.stylise(photo, style, quick(size=32, steps=20, plateau=0.01))
    assert found.stopped == "completed"
    assert same_picture(found, full)


def test_plateau_of_a_coarse_level_goes_on_with_the_next(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "COARSEST_LONGER_PX", 32)
    monkeypatch.setattr(schedule, "COARSEST_SHORTER_PX", 16)
    monkeypatch.setitem(settings.QUALITIES, "draft", (30, 3, 3))
    chosen = quick(size=64, steps=None, pyramid=True, quality="draft", plateau=1.0)
    started, *steps, finished = nst.stylise_events(photo, style, chosen)
    assert [level.steps for level in started.levels] == [30, 3]
    assert [step.costs.level for step in steps] == [1] * 12 + [2] * 3
    assert finished.result.stopped == "completed"
    coarse, fine = (level.work for level in started.levels)
    fractions = [step.fraction for step in steps]
    assert fractions[11] == pytest.approx(coarse / (coarse + fine))
    assert all(a < b for a, b in itertools.pairwise(fractions))
    assert fractions[-1] == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["luminance", "symmetric", "cholesky", "pca", "histogram"])
def test_any_colour_method_works_with_pictures_without_colour(method: str, when: str, photo, style) -> None:
    chosen = quick(steps=1, size=32, colour=method, colour_when=when)
    grey, flat = photo.convert("L"), Image.new("RGB", photo.size, "blue")
    for content, painting in ((grey, style), (photo, style.convert("L")), (flat, style), (photo, flat), (flat, flat)):
        result = nst.stylise(content, painting, chosen)
        assert np.isfinite(all_numbers(result)).all()
        assert np.isfinite(result.painting.pixels()).all()
    if method == "luminance":
        pixels = nst.stylise(grey, style, chosen).painting.pixels()
        assert np.ptp(pixels, axis=-1).max() < 1e-4  # no chroma in the photo, none in the result


def test_colours_after_the_run_change_the_same_painting(photo, style) -> None:
    plain = nst.stylise(photo, style, quick())
    coloured = nst.stylise(photo, style, quick(colour="symmetric", colour_amount=0.5))
    assert [c.total for c in coloured.history] == [c.total for c in plain.history]
    assert not same_picture(coloured, plain)
    assert plain.painting.recoloured("symmetric", 0.5).picture().tobytes() == coloured.image.tobytes()
    assert coloured.painting.recoloured("style", 1.0).picture().tobytes() == plain.image.tobytes()


def test_colours_before_the_run_change_the_run(photo, style) -> None:
    chosen = {"colour": "symmetric", "colour_when": "before"}
    plain, before = (nst.stylise(photo, style, quick(steps=15, **given)) for given in ({}, chosen))
    own, found, given = (np.asarray(p, float).mean((0, 1)) for p in (photo.resize((64, 48)), before.image, plain.image))
    assert np.abs(found - own).sum() < 0.5 * np.abs(given - own).sum()
    assert same_picture(nst.stylise(photo, style, quick(colour_amount=0, **chosen)), nst.stylise(photo, style, quick()))


def test_original_size_is_the_photo_s_while_the_work_and_its_previews_have_the_size_asked_for(photo, style) -> None:
    odd = photo.resize((151, 97))
    started, *_, step, finished = nst.stylise_events(odd, style, quick(steps=1, original_size=True))
    assert finished.result.image.size == (151, 97)
    assert finished.result.history[-1].size == (41, 64)
    assert started.preview.size == step.preview.size == (64, 41)


def test_original_size_over_the_limit_is_refused(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = dataclasses.replace(settings.LIMITS, original_megapixels=1.5)
    monkeypatch.setattr(job, "LIMITS", limits)
    with pytest.raises(ValueError, match=r"original_size asks for 1\.6 megapixels; the limit is 1\.5, choose a size"):
        nst.stylise_events(photo.resize((1550, 1000)), style, quick(original_size=True))
    nst.stylise_events(photo.resize((1550, 1000)), style, quick()).close()
    nst.stylise_events(photo.resize((1500, 1000)), style, quick(original_size=True)).close()


@pytest.mark.parametrize("size", [32, 64, 101])
@pytest.mark.parametrize("shape", [(800, 40), (40, 800), (1000, 50)], ids=str)
def test_twenty_to_one_works_with_everything_at_once(shape: tuple[int, int], size: int, photo, style) -> None:
    thin = with_alpha(photo.resize(shape), Image.linear_gradient("L"))
    mask = part(thin, 0, 0, 0.5, 1)
    chosen = quick(size=size, steps=1, mask_edge=0.02, colour="symmetric", averaging=0.5, statistic="wasserstein")
    result = nst.stylise(thin, with_alpha(style, mask), chosen, masks=mask, start=style)
    assert result.image.size == pictures.result_size(thin, size)[::-1]
    assert np.isfinite(all_numbers(result)).all()
    assert nst.stylise(thin, style, quick(size=size, steps=1, original_size=True)).image.size == shape


def any_picture(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    """Noise of any mode; what is transparent lies in the left quarter."""
    random = np.random.default_rng(seed)
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
SIDES = st.integers(16, 90)
MASKS = st.sampled_from(["pixel", "corner", "stripes", "ramp", "faint", "full"])


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(
    modes=st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)),
    shapes=st.tuples(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES)),
    drawn=st.lists(MASKS, max_size=2),
    chosen=st.fixed_dictionaries(
        {
            "size": st.integers(32, 64),
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
    assert (result.image.mode == "RGBA") == (modes[0] in ("LA", "P", "RGBA", "RGBa"))
    assert result.stopped == "completed"
    assert np.isfinite(all_numbers(result)).all()
    pixels = result.painting.pixels()
    assert np.isfinite(pixels).all()
    assert 0 <= pixels.min() <= pixels.max() <= 1
    if masks:
        original = pictures.to_pixels(result.painting.photo)
        untouched = (result.painting.mask == 0)[0, 0].numpy()
        assert np.array_equal(pixels[untouched, :3], original[untouched])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gpu_run_ends_near_the_cpu_run(precision: str, photo, style) -> None:
    gpu = nst.stylise(photo, style, quick(steps=20, device="cuda", precision=precision))
    cpu = nst.stylise(photo, style, quick(steps=20, precision="float32"))
    (_, gpu_style), (_, cpu_style) = (balanced_costs(r.image, photo, style) for r in (gpu, cpu))
    assert gpu.compute.device.type == "cuda"
    assert gpu_style == pytest.approx(cpu_style, rel=0.2)


@pytest.mark.gpu
@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_gpu_run_with_everything_at_once_ends_near_the_cpu_run(statistic: str, photo, style, other_style) -> None:
    clear = with_alpha(photo, Image.linear_gradient("L"))
    drawn = [part(photo, 0, 0, 0.5, 1), part(photo, 0.5, 0, 0.9, 1)]
    gpu, cpu = (
        nst.stylise(
            clear, [style, other_style],
            quick(
                steps=4, device=device, precision="float32", statistic=statistic, mask_edge=0.05, averaging=0.5,
                style_scale=1.5, colour="symmetric", colour_when="before",
            ),
            masks=drawn, start=style,
        )
        for device in ("cuda", "cpu")
    )  # fmt: skip
    assert gpu.history[-1].style == pytest.approx(cpu.history[-1].style, rel=0.1)
    assert np.abs(gpu.painting.pixels() - cpu.painting.pixels()).mean() < 0.02
    assert gpu.image.getchannel("A").tobytes() == cpu.image.getchannel("A").tobytes()


@pytest.mark.gpu
def test_gpu_default_run_takes_nine_tenths_of_the_style_cost_and_keeps_the_content(photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=128, device="cuda"))
    _, style_cost_of_start = balanced_costs(photo.resize(result.image.size, Image.Resampling.LANCZOS), photo, style)
    content_cost, style_cost = balanced_costs(result.image, photo, style)
    assert style_cost < 0.1 * style_cost_of_start
    assert content_cost < 1
    assert result.compute.dtype in (torch.bfloat16, torch.float32)


@pytest.mark.gpu
def test_gpu_runs_leave_no_memory_behind(photo, style) -> None:
    def left() -> int:
        nst.stylise(photo, style, quick(device="cuda", steps=5))
        gc.collect()
        return torch.cuda.memory_allocated()

    first = [left() for _ in range(2)][-1]
    assert [left() for _ in range(4)][-1] < first + 2**20


@pytest.mark.gpu
@pytest.mark.parametrize(("most_mib", "way_out"), [(1500, "tiles"), (2600, "more slowly")])
def test_gpu_run_that_is_short_of_memory_finds_a_way(most_mib: int, way_out: str, photo, style) -> None:
    large, total = photo.resize((1536, 1152)), torch.cuda.mem_get_info()[1]
    wanted = Settings(size=1536, steps=4, pyramid=False, device="cuda")
    nst.stylise(photo, style, quick(device="cuda"))  # libraries
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + most_mib * 2**20) / total)
    try:
        *events, last = nst.stylise_events(large, style, wanted)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert any(isinstance(event, Degraded) and way_out in event.reason for event in events)
    assert last.result.image.size == (1536, 1152)
    assert np.isfinite(all_numbers(last.result)).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_weights_at_their_limits_give_a_finite_picture_that_is_painted(precision, optimiser, photo, style) -> None:
    """Their gradients' squares are infinite in float32."""
    lambdas = {**Settings().style_layers, "relu4_1": 1e6, "relu5_1": 1e6}
    extreme = Settings(
        size=48, steps=3, pyramid=False, device="cpu", balance=False, beta=1e6, style_layers=lambdas,
        precision=precision, optimiser=optimiser,
    )  # fmt: skip
    result = nst.stylise(photo, style, extreme)
    assert torch.isfinite(result.painting.painted).all()
    assert result.stopped == "completed"
    assert result.history[-1].total < result.history[0].total


def test_run_without_a_step_that_moved_is_not_called_completed(photo, style) -> None:
    """The photo itself has the least content cost there is."""
    *_, told, last = nst.stylise_events(
        photo, style, Settings(size=48, steps=3, pyramid=False, device="cpu", precision="float32", beta=0.0)
    )
    assert last.result.stopped == "plateau"
    assert told == Degraded("No step changed the picture: its gradient is 0, as where the cost is lowest.")
