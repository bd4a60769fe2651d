"""The benchmark is fair: both sides have the same cost, operations are counted right, the goal is fair."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nst.bench import engine
from nst.bench.textbook import Textbook, same_cost_settings
from nst.features import layers, winograd
from nst.features.extractor import FeatureExtractor
from nst.objective.objective import Objective, Targets
from nst.optimise import loop
from nst.scaled_pictures import Inputs
from nst.schedule import Level

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return engine.load_pair(engine.PAIRS[0], 64, CPU)


@pytest.fixture(scope="module")
def objective(inputs: Inputs) -> Objective:
    settings = same_cost_settings()
    extractor = FeatureExtractor((*settings.content_layers, *settings.style_layers))
    return Objective(extractor, Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 1)), settings)


def test_textbook_and_engine_mean_the_same_cost(inputs: Inputs, objective: Objective) -> None:
    textbook = Textbook(inputs)
    for image in (inputs.photo, torch.rand_like(inputs.photo)):
        assert objective(image)[0][0].item() == pytest.approx(textbook.clamped_cost(image), rel=1e-4)


def test_textbook_and_engine_have_the_same_gradient(inputs: Inputs, objective: Objective) -> None:
    textbook = Textbook(inputs)
    theirs = textbook.step(textbook.network_input(inputs.photo)).flip(1) * 255  # to sRGB in [0, 1]
    _, ours = objective(inputs.photo)
    assert torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.9999
    assert ours.norm() == pytest.approx(float(theirs.norm()), rel=1e-3)


def test_operations_are_those_that_torch_counts(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch, fresh_kernels: None
) -> None:
    monkeypatch.setattr(layers, "PACKED_DTYPES", ())  # torch does not count the convolutions of packed weights
    monkeypatch.setattr(winograd, "FEWEST_PAIRS", math.inf)  # operations are those of a direct convolution
    objective = engine.our_objective(inputs, torch.float32)
    with FlopCounterMode(display=False) as counter:
        objective(inputs.photo)
    assert engine.step_flop(*inputs.size) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_run_to_a_goal_stops_at_a_picture_that_the_textbook_agrees_reaches_it(inputs: Inputs) -> None:
    textbook = Textbook(inputs)
    goal = min(textbook.clamped_cost(picture) for _, _, picture in textbook.run(8))
    ours = engine.to_goal(inputs, goal, torch.float32)
    assert textbook.clamped_cost(ours["image"]) <= goal
    assert 0 < ours["seconds"] < float("inf")


def test_a_goal_out_of_reach_is_reported_as_such(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_STEPS", 5)
    assert engine.to_goal(inputs, 0.0, torch.float32)["seconds"] == float("inf")


def test_every_lever_takes_something_away() -> None:
    whole = engine.LEVERS["nothing"]
    assert whole.optimiser is loop.BoxLBFGS
    assert all(lever != whole for name, lever in engine.LEVERS.items() if name != "nothing")
