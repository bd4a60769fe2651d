"""What breaks around a run, injected: `python -m pytest tests/test_faults.py -v` is the fault run.

A run survives, or ends in a sentence; the page lives on. SIGTERM is in test_app_process.py, memory in test_memory.py.
"""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr
import pytest
import torch
from PIL import Image

import nst
from nst import Settings, schedule
from nst.events import Degraded, Step
from nst.features import weights
from nst.features.extractor import FeatureExtractor, OnLayer
from nst.objective.objective import Objective
from nst.objective.tiled import TiledObjective
from nst.settings import QUALITIES
from nst.ui.server import examples
from nst.ui.stylise import handlers
from nst.ui.stylise.visit import Visit
from tests.serving import usual_values


def poisoned(when: Callable[[FeatureExtractor, int], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """The network gives NaN when this function is true of it and the number of its call."""
    usual, calls = FeatureExtractor.show, []

    def show(self: FeatureExtractor, image: torch.Tensor, see: OnLayer) -> None:
        calls.append(image)
        factor = torch.nan if when(self, len(calls)) else 1.0
        usual(self, image, lambda layer, activations: see(layer, factor * activations))

    monkeypatch.setattr(FeatureExtractor, "show", show)


def painted(photo: Image.Image, style: Image.Image, **given: object) -> tuple[list[str], list[int], nst.Result]:
    """The events of a run: its notices of faults, the numbers of its steps, its result."""
    settings = Settings(**{"size": 64, "quality": "draft", "device": "cpu", **given})
    *events, finished = nst.stylise_events(photo, style, settings)
    notes = [event.reason for event in events if isinstance(event, Degraded)]
    return notes, [event.costs.step for event in events if isinstance(event, Step)], finished.result


@pytest.mark.parametrize("begins", [3, 5])
def test_when_bfloat16_fails_the_run_goes_on_in_float32(begins, photo, style, monkeypatch) -> None:
    """Its first two calls are for the targets; the third, of the first picture, must not be the end either."""
    poisoned(lambda network, call: network.dtype == torch.bfloat16 and call >= begins, monkeypatch)
    notes, steps, result = painted(photo, style, size=32, steps=8, pyramid=False, precision="bfloat16")
    assert notes == ["Goes on in float32 from the last good picture: the costs are not finite in bfloat16."]
    assert steps == list(range(1, 9))
    assert result.stopped == "completed"
    totals = [costs.total for costs in result.history]
    assert totals[-1] < 0.6 * totals[0]


def test_later_levels_stay_in_float32(photo, style, monkeypatch) -> None:
    monkeypatch.setitem(QUALITIES, "draft", (4, 2, 2))
    monkeypatch.setattr(schedule, "COARSEST_LONGER_PX", 32)
    monkeypatch.setattr(schedule, "COARSEST_SHORTER_PX", 16)
    seen = []
    poisoned(lambda network, call: seen.append(network.dtype) or (call >= 5 and seen[-1] != torch.float32), monkeypatch)
    notes, _, result = painted(photo, style, precision="bfloat16")
    assert (len(notes), result.stopped) == (1, "completed")
    assert len({costs.size for costs in result.history}) == 2
    assert set(seen[seen.index(torch.float32) :]) == {torch.float32}


def test_one_bad_step_is_taken_back_and_told(photo, style, monkeypatch) -> None:
    poisoned(lambda _, call: call == 6, monkeypatch)
    notes, steps, result = painted(photo, style, steps=8, pyramid=False)
    assert notes == ["Goes on with smaller steps: one led to costs that are not finite."]
    assert steps == list(range(1, 9))
    assert result.stopped == "completed"


def sentence_of(caplog: pytest.LogCaptureFixture) -> str:
    """How a run on the page ends that cannot go on: the status and the error are one sentence."""
    given = {**usual_values(*examples.first_sight()[:2]), "other_layers": []}
    visit = Visit()
    run, shown = handlers.paint(visit, visit.start(), "png", *given.values()), []
    with pytest.raises(gr.Error) as raised:
        shown.extend(updates["status"] for updates in run)
    return _told(raised.value, shown, caplog)


def _told(error: gr.Error, shown: list[str], caplog: pytest.LogCaptureFixture) -> str:
    assert shown[-1] == error.message
    assert not error.print_exception
    assert "Traceback" not in caplog.text
    return error.message


def test_out_of_memory_to_the_last_is_a_sentence(monkeypatch, caplog) -> None:
    def failing(self: Objective, image: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Objective, "__call__", failing)
    monkeypatch.setattr(TiledObjective, "__call__", failing)
    sentence = sentence_of(caplog)
    assert sentence == "The device is out of memory. Choose a smaller size, or try again later."


def test_corrupt_weights_are_a_sentence_with_the_command_that_mends_them(tmp_path, monkeypatch, caplog) -> None:
    damaged = tmp_path / "weights.bin"
    damaged.write_bytes(weights.packaged_file().read_bytes()[:-1000])
    monkeypatch.setattr(weights, "packaged_file", lambda: damaged)
    weights.load.cache_clear()
    try:
        sentence = sentence_of(caplog)
        assert "pip install" in sentence
        assert str(tmp_path) not in sentence
    finally:
        weights.load.cache_clear()
