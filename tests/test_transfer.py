import itertools
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nst
from nst import Degraded, Finished, Result, Settings, Started, Step, costs, images, schedule, settings
from nst.features import FeatureExtractor

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
    seen, plain = [], FeatureExtractor.__call__

    def call(self: FeatureExtractor, image: torch.Tensor) -> dict[str, torch.Tensor]:
        found = plain(self, image)
        seen.append([weakref.ref(activation) for activation in found.values()])
        return found

    monkeypatch.setattr(FeatureExtractor, "__call__", call)
    return seen


def balanced_costs(picture: Image.Image, photo: Image.Image, style: Image.Image) -> tuple[float, float]:
    """Content and style cost of a picture in float32, each divided by the cost of a picture that excites nothing."""
    extractor = FeatureExtractor(["relu4_2", *STYLE_LAYERS], replicate_edges=True)
    scaled = style.resize(
        [round(side * max(picture.size) / max(style.size)) for side in style.size], Image.Resampling.LANCZOS
    )
    a, a_content, a_style = (
        extractor(images.to_tensor(p)) for p in (picture, photo.resize(picture.size, Image.Resampling.LANCZOS), scaled)
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
@pytest.mark.parametrize("init", ["content", "noise", "style"])
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
    pictures, to_picture = [], images.to_picture
    monkeypatch.setattr(
        images, "to_picture", lambda image: pictures.append(image.detach().clone()) or to_picture(image)
    )
    chosen = quick(balance=False, precision="float32", optimiser=optimiser, alpha=3.0, beta=0.5, steps=3)
    last = nst.stylise(photo, style, chosen).history[-1]
    extractor = FeatureExtractor(["relu4_2", *STYLE_LAYERS], replicate_edges=True)
    a, a_content, a_style = map(extractor, (pictures[-1], images.to_tensor(photo), images.to_tensor(style)))
    assert last.content == pytest.approx(costs.content_cost(a_content["relu4_2"], a["relu4_2"]).item(), rel=1e-3)
    assert last.style == pytest.approx(costs.style_cost(a_style, a, LAMBDAS).item(), rel=1e-3)
    for layer, cost in last.style_layers.items():
        assert cost == pytest.approx(costs.style_layer_cost(a_style[layer], a[layer]).item(), rel=1e-3)
    assert last.total == pytest.approx(costs.total_cost(last.content, last.style, 3.0, 0.5), rel=1e-5)
    assert last.total_variation == pytest.approx(costs.total_variation(pictures[-1]).item(), rel=1e-4)


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
    assert result.image.size == images.result_size(thin, 64)[::-1]
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
    calls, plain = [], FeatureExtractor.__call__

    def call(self: FeatureExtractor, image: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(image)
        found = plain(self, image)
        return found if len(calls) <= 2 + good else {layer: a * float("nan") for layer, a in found.items()}

    monkeypatch.setattr(FeatureExtractor, "__call__", call)
    *steps, degraded, finished = nst.stylise_events(photo, style, quick(steps=50, optimiser=optimiser))
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


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gpu_run_ends_near_the_cpu_run(precision: str, photo, style) -> None:
    gpu = nst.stylise(photo, style, quick(steps=20, device="cuda", precision=precision))
    cpu = nst.stylise(photo, style, quick(steps=20, precision="float32"))
    (_, gpu_style), (_, cpu_style) = (balanced_costs(r.image, photo, style) for r in (gpu, cpu))
    assert gpu.compute.device.type == "cuda"
    assert gpu_style == pytest.approx(cpu_style, rel=0.2)


@pytest.mark.gpu
def test_gpu_default_run_takes_nine_tenths_of_the_style_cost_and_keeps_the_content(photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=128, device="cuda"))
    _, style_cost_of_start = balanced_costs(photo.resize(result.image.size, Image.Resampling.LANCZOS), photo, style)
    content_cost, style_cost = balanced_costs(result.image, photo, style)
    assert style_cost < 0.1 * style_cost_of_start
    assert content_cost < 1
    assert result.compute.dtype in (torch.bfloat16, torch.float32)
