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
from nst import Degraded, Finished, Settings, Started, Step, costs, job, schedule, settings, transfer
from nst.features import weights
from nst.features.extractor import FeatureExtractor, OnLayer
from nst.images import pictures
from nst.optimise import loop
from nst.optimise.loop import Evaluation, minimise
from tests.runs import LAMBDAS, STYLE_LAYERS, all_numbers, quick, same_picture


@pytest.fixture(scope="module")
def pyramid(photo: Image.Image, style: Image.Image) -> list[nst.Event]:
    """A draft of 3 + 2 steps at 90 and 180 px."""
    chosen = Settings(size=180, quality="draft", device="cpu", total_variation=3.0, alpha=2.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(settings.QUALITIES, "draft", (3, 2, 2))
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


def test_same_seed_gives_the_same_bytes_and_another_does_not(photo, style) -> None:
    first, again, other = (
        nst.stylise(photo, style, quick(init="noise", seed=seed, size=32, steps=1)) for seed in (7, 7, 8)
    )
    assert same_picture(first, again)
    assert [c.total for c in first.history] == [c.total for c in again.history]
    assert not same_picture(first, other)


def test_a_run_touches_no_global_randomness(photo, style) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    nst.stylise(photo, style, quick(init="noise", steps=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_pyramid_all_steps_are_at_the_final_size(photo, style) -> None:
    history = nst.stylise(photo, style, quick(size=120, steps=3)).history
    assert [c.step for c in history] == [1, 2, 3]
    assert {(c.level, c.size) for c in history} == {(1, (90, 120))}


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


def test_result_holds_what_the_contract_promises(photo, style) -> None:
    chosen = quick(size=70, precision="float32")
    result = nst.stylise(photo, style, chosen)
    assert isinstance(result.image, Image.Image)
    assert (result.image.mode, result.image.size) == ("RGB", (70, 52))
    assert result.settings == chosen
    assert isinstance(result.history, tuple)
    assert result.stopped == "completed"
    assert 0 < result.history[-1].seconds <= result.seconds
    assert (result.compute.device, result.compute.dtype) == (torch.device("cpu"), torch.float32)
    assert "as asked" in result.compute.reason


def test_paths_and_pictures_give_the_same(photo, style, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    style.save(tmp_path / "style.png")
    expected = nst.stylise(photo, style, quick(steps=1))
    assert same_picture(nst.stylise(str(tmp_path / "photo.png"), [tmp_path / "style.png"], quick(steps=1)), expected)


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_budget_stops_the_run_with_a_picture_of_full_size(seconds: float, photo, style) -> None:
    result = nst.stylise(photo, style, Settings(size=200, quality="fine", max_seconds=seconds, device="cpu"))
    assert result.stopped == "budget"
    assert result.image.size == (200, 150)
    *before, last = result.history
    assert all(c.seconds < seconds for c in before)
    assert last.level == 1  # the coarse one alone takes longer than that


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


def test_layers_deeper_than_the_photo_is_large_are_painted_larger(photo, style) -> None:
    result = nst.stylise(photo, style, quick(size=32, steps=1, style_layers={"pool5": 1.0}))
    assert max(result.image.size) == 32
    assert min(result.history[-1].size) == 32
    assert result.history[-1].style_layers["pool5"] > 0


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("good", [0, 4])
def test_diverging_run_ends_with_the_last_good_picture(good: int, optimiser: str, photo, style, monkeypatch) -> None:
    """The network gives NaN from a certain evaluation on; its first two calls are for the targets."""
    calls, plain = [], FeatureExtractor.show

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        calls.append(image)
        factor = 1.0 if len(calls) <= 2 + good else float("nan")
        plain(self, image, lambda layer, activations: see(layer, factor * activations))

    monkeypatch.setattr(FeatureExtractor, "show", show)
    settings = quick(size=32, steps=50, optimiser=optimiser, precision="float32")
    *steps, degraded, finished = nst.stylise_events(photo, style, settings)
    assert isinstance(degraded, Degraded)
    assert degraded.reason
    result = finished.result
    assert result.stopped == "diverged"
    assert result.image.size == (32, 24)
    assert len(result.history) == len(steps) - 1 == max(0, good - 1)
    assert np.isfinite(all_numbers(result)).all()
    assert np.asarray(result.image).std() > 10  # not a black picture made of NaN
    assert all(image.isfinite().all() for image in calls)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=lambda mode: mode.__name__)
def test_gradient_mode_of_the_caller_does_not_matter(mode, photo, style) -> None:
    expected = nst.stylise(photo, style, quick(size=32, steps=1))
    with mode():
        found = nst.stylise(photo, style, quick(size=32, steps=1))
    assert same_picture(found, expected)


def test_weights_first_loaded_in_inference_mode_serve_later_runs(photo, style) -> None:
    weights.load.cache_clear()
    try:
        with torch.inference_mode():
            weights.load("vgg19")
        assert nst.stylise(photo, style, quick(steps=1, precision="float32")).stopped == "completed"
    finally:
        weights.load.cache_clear()


def test_each_step_may_be_taken_by_another_thread(photo, style) -> None:
    events, taken = nst.stylise_events(photo, style, quick(size=32, steps=2)), []

    def take(source: Iterator[nst.Event]) -> None:
        taken.append(next(source))

    for _ in range(4):
        thread = threading.Thread(target=take, args=(events,))
        thread.start()
        thread.join()
    assert same_picture(taken[-1].result, nst.stylise(photo, style, quick(size=32, steps=2)))


def test_two_runs_may_alternate(photo, style, other_style) -> None:
    alone = nst.stylise(photo, style, quick(size=32, steps=2))
    pairs = zip(*(nst.stylise_events(photo, s, quick(size=32, steps=2)) for s in (style, other_style)), strict=True)
    *_, (last, _) = pairs
    assert same_picture(last.result, alone)


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


def test_start_picture_is_what_the_run_starts_from(photo, style) -> None:
    """A start of the result's very size is taken as it is: the photo itself is where `init="content"` begins."""

    def first(start: Image.Image | None, drawn: Image.Image = style, **given: object) -> torch.Tensor:
        return job.Job.of(small, [drawn], quick(**given), (), start).begin()

    small, strokes = photo.resize((64, 48)), style.resize((64, 48))
    assert torch.equal(first(small, init="noise"), first(None))
    assert not torch.equal(first(small.rotate(180)), first(None))
    assert torch.equal(first(strokes), first(None, strokes, init="style"))


def test_start_is_the_first_picture_the_network_sees_after_the_targets(photo, style, other_style, monkeypatch) -> None:
    seen, plain = [], FeatureExtractor.show

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        seen.append(image.detach().clone())
        plain(self, image, see)

    monkeypatch.setattr(FeatureExtractor, "show", show)
    nst.stylise(photo, style, quick(steps=1), start=other_style)  # tall: what stands out is cut off
    expected = pictures.to_tensor(other_style.resize((64, 85), Image.Resampling.BICUBIC).crop((0, 18, 64, 66)))
    assert (seen[2] - expected).abs().mean() < 0.02


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


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_averaging_is_the_exponential_mean_of_the_iterates(decay: float, photo, style, iterates) -> None:
    result = nst.stylise(photo, style, quick(size=32, steps=5, averaging=decay))
    weights = decay ** np.arange(4, -1, -1.0)  # 0 ** 0 is 1
    expected = np.average([e.image.numpy() for e in iterates], axis=0, weights=weights)
    assert np.allclose(result.painting.painted, expected, atol=1e-5)
    last = result.history[-1]
    assert [c.total for c in result.history[:-1]] == [e.cost for e in iterates[:-1]]
    assert (last.total == iterates[-1].cost) == (decay == 0)


@pytest.mark.parametrize(("optimiser", "decay"), [("lbfgs", 0.0), ("adam", 0.0), ("lbfgs", 0.9)])
def test_last_costs_are_the_plain_formulas_of_the_picture_shown(optimiser: str, decay: float, photo, style) -> None:
    photo, style = photo.resize((64, 48)), style.resize((64, 48))  # the sizes of the run: nothing is scaled
    unlike = {"balance": False, "precision": "float32", "alpha": 3.0, "beta": 0.5}
    result = nst.stylise(photo, style, quick(steps=3, optimiser=optimiser, averaging=decay, **unlike))
    last, shown = result.history[-1], result.painting.painted
    extractor = FeatureExtractor(["relu4_2", *STYLE_LAYERS], replicate_edges=True)
    a, a_content, a_style = map(extractor, (shown, pictures.to_tensor(photo), pictures.to_tensor(style)))
    assert last.content == pytest.approx(costs.content_cost(a_content["relu4_2"], a["relu4_2"]).item(), rel=1e-3)
    assert last.style == pytest.approx(costs.style_cost(a_style, a, LAMBDAS).item(), rel=1e-3)
    for layer, cost in last.style_layers.items():
        assert cost == pytest.approx(costs.style_layer_cost(a_style[layer], a[layer]).item(), rel=1e-3)
    assert last.total == pytest.approx(costs.total_cost(last.content, last.style, 3.0, 0.5), rel=1e-5)
    assert last.total_variation == pytest.approx(costs.total_variation(shown).item(), rel=1e-4)


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


class _Rests:
    """An optimiser whose steps have length 0."""

    def __init__(self, image: torch.Tensor, steps: int) -> None:
        pass

    def propose(self, image: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        return image


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gradient_that_no_step_can_follow_is_no_minimum(precision: str, photo, style, monkeypatch) -> None:
    monkeypatch.setitem(loop.OPTIMISERS, "adam", _Rests)
    *_, told, last = nst.stylise_events(
        photo, style, Settings(size=32, steps=2, pyramid=False, device="cpu", precision=precision, optimiser="adam")
    )
    assert last.result.stopped == "diverged"
    assert told.reason.startswith("No step changed the picture: its gradient is too small or too large")
    assert len(last.result.history) == 2
