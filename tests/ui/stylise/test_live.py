"""Live without a browser: which changes are painted, from which picture, and when it ends or gives way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from nst import Costs, Event, Settings, Started, Step, estimate
from nst.settings import STYLE_LAYER_WORDS
from nst.ui.server import examples
from nst.ui.server.devices import devices
from nst.ui.server.limits import PageLimits
from nst.ui.stylise import after_run, live
from nst.ui.stylise.form import RunRequest, run_request
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.visit import Visit
from tests.serving import usual_values
from tests.ui.stylise.test_visit import picture

PHOTO, STYLE, _, _ = examples.first_sight()
STEPS = 5
COSTS = Costs(1, 1, (20, 30), 0.1, 1.0, 0.5, 0.2, dict.fromkeys(STYLE_LAYER_WORDS, 0.1), 0.0)


class SlowRuns:
    """Takes the place of the engine: the requests of Live, each with the steps that were taken; `meanwhile` happens
    before the step of this number of the first run."""

    def __init__(self) -> None:
        self.requests: list[RunRequest] = []
        self.steps: list[int] = []
        self.meanwhile: dict[int, Callable[[], Any]] = {}

    def __call__(self, request: RunRequest) -> Iterator[Event]:
        self.requests.append(request)
        self.steps.append(0)
        yield Started(request.settings, "cpu", (), STEPS, Image.new("RGB", (30, 20)))
        for number in range(1, STEPS + 1):
            self.meanwhile.pop(number, lambda: None)()
            self.steps[-1] = number
            yield Step(
                dataclasses.replace(COSTS, step=number), Image.new("RGB", (30, 20), (number, 0, 0)), number / STEPS, 1.0
            )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> SlowRuns:
    runs = SlowRuns()
    monkeypatch.setattr(live, "run_events", runs)
    monkeypatch.setattr(live, "page_limits", PageLimits)
    return runs


def values(**changed: Any) -> tuple[Any, ...]:
    usual = {**usual_values(PHOTO, STYLE), "other_layers": [], **changed}
    return tuple(usual[name] for name in PARAMETERS)


def change(visit: Visit, at: int, what: str = "", **changed: Any) -> int | None:
    """The number of the call that a change begins."""
    return live.ask(visit, True, f"{at} {what}", *values(**changed)).get("live_call")


def with_result(**settings: Any) -> Visit:
    """A visit that has painted a picture of our photo."""
    visit, finished = Visit(), picture()
    finished.result = dataclasses.replace(finished.result, history=(COSTS,))
    finished.request = RunRequest(PHOTO, (STYLE,), (), None, Settings(**settings))
    number = visit.start()
    visit.do("begin", number)
    visit.end(number, finished)
    return visit


def test_a_change_is_painted_small_and_from_the_picture_on_the_page(runs: SlowRuns) -> None:
    visit = Visit()
    frames = list(live.paint(visit, change(visit, 1, beta=30)))
    (request,) = runs.requests
    assert (request.settings.beta, request.settings.pyramid) == (30, False)
    assert max(request.start.size) == request.settings.size <= max(live.CPU_PX), "the example's result, reduced"
    assert len(frames) == STEPS
    assert not frames[-1]["download"]["interactive"]
    assert "a preview of 30 x 20 px" in frames[-1]["status"]
    assert (visit.strip, visit.present, visit.state) == ((), None, "live")
    list(live.paint(visit, change(visit, 2, beta=60)))
    assert runs.requests[1].start.getpixel((0, 0)) == (STEPS, 0, 0), "the preview"
    list(live.paint(visit, change(visit, 3, photo=STYLE)))
    assert (runs.requests[2].start, runs.requests[2].settings.init) == (None, "coloured"), "another photo"
    visit = with_result()
    list(live.paint(visit, change(visit, 4, beta=60)))
    assert runs.requests[3].start.getpixel((0, 0)) == (0, 0, 0), "the visitor's result"
    given = dict(zip(PARAMETERS, values(beta=60), strict=True))
    assert run_request(given).start is None, "Stylise paints from the controls alone"


def test_a_newer_change_ends_the_older_one_within_a_step(runs: SlowRuns) -> None:
    visit, newer = Visit(), []
    runs.meanwhile[2] = lambda: newer.append(change(visit, 20, beta=7))
    list(live.paint(visit, change(visit, 10)))
    assert runs.steps == [2, STEPS]
    assert newer == [None], "the call that paints takes it"
    assert runs.requests[1].settings.beta == 7
    assert change(visit, 15) is None, "sent before the newest one, arrived after it"
    assert change(visit, 30) == 2, "the first call is over"


def test_live_gives_way_to_a_run_that_is_asked_for_and_joins_the_queue_again(runs: SlowRuns) -> None:
    visit = Visit()
    runs.meanwhile[3] = devices().asked
    devices_at_work = devices().at_work
    devices().at_work = devices().size  # as while a call of Live is on
    try:
        call = change(visit, 1, beta=7)
        frames = list(live.paint(visit, call))
        assert (runs.steps, frames[-1]) == ([3], {"status": live.PAUSES})
        again = live.over(visit, call)["live_call"]
        assert again == call + 1
        assert len(list(live.paint(visit, again))) == STEPS
        assert runs.requests[1].settings.beta == 7
        assert live.over(visit, again) == {}
    finally:
        devices().at_work = devices_at_work


def test_stylise_and_the_box_end_live_and_no_preview_becomes_a_result(runs: SlowRuns) -> None:
    visit = with_result()
    result = visit.present
    runs.meanwhile[2] = visit.start
    list(live.paint(visit, change(visit, 1, beta=7)))
    assert (runs.steps, visit.state, visit.strip) == ([2], "waiting", (result,))
    assert change(visit, 2) is None, "not during a run"
    visit.over()
    visit.do("fail")
    frames = live.paint(visit, change(visit, 3, beta=7))
    next(frames)
    assert visit.shows_live
    assert after_run.show_file(visit, "png") == {}, "Download gives what is seen, or nothing"
    assert visit.recolour("luminance", 1.0) is None
    assert visit.end_live()
    (last,) = frames
    assert (last["download"]["interactive"], last["status"]) == (True, visit.said)
    assert "picture" in last, "the last word comes with the previews, so that none is later"
    assert (visit.state, visit.present, visit.strip, visit.nbytes) == (
        "chosen",
        result,
        (result,),
        with_result().nbytes,
    )


def test_a_call_that_the_gate_refused_does_not_block_the_next(runs: SlowRuns) -> None:
    visit = Visit()
    call = change(visit, 1)
    assert change(visit, 2) is None, "one call waits in the queue"
    assert live.over(visit, call) == {}
    assert change(visit, 3) == call + 1
    assert list(live.paint(visit, call)) == [], "an old call, should its turn come"


def test_what_the_page_shows_without_live_is_not_painted(runs: SlowRuns) -> None:
    visit = with_result()
    assert change(visit, 1, "colours", colour="luminance") is None, "the finished picture is recoloured at once"
    assert change(visit, 2, "pictures") is None, "a picture of the strip brought its photo and style back"
    assert live.ask(visit, False, "3 ", *values()) == {}
    assert change(visit, 4, style=None) is None
    assert change(visit, 5, "colours", colour="luminance", colour_when="before") == 1


def test_a_value_that_cannot_be_used_ends_in_a_sentence(runs: SlowRuns) -> None:
    visit = Visit()
    (said,) = live.paint(visit, change(visit, 1, alpha=0, beta=0))
    assert "Alpha=0 and beta=0" in said["status"]
    assert visit.state == "chosen"
    assert not visit.live_at_work


def test_live_is_on_at_first_where_a_preview_is_quick(runs: SlowRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_device_type", lambda: "cpu")
    monkeypatch.setattr(live, "EXPECTED_S", 1.5)  # the page of other tests opens without Live
    for pace, size in ((1e-7, 256), (4e-6, 224), (1e-4, None)):
        monkeypatch.setattr(estimate, "_pace", lambda kind, watch, pace=pace: pace)
        assert live.show_default(*values(size=384)) == ({"live": True} if size else {})
        visit = Visit()
        list(live.paint(visit, change(visit, 1, size=384)))
        assert runs.requests[-1].settings.size == (size or live.CPU_PX[0])
    monkeypatch.setattr(live, "page_limits", lambda: PageLimits(live=0))
    assert not live.is_offered()
    monkeypatch.setattr(live, "page_limits", PageLimits)
    assert live.is_offered()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert not live.is_offered()


@pytest.mark.parametrize("wrong", [None, "abc", [], {}, float("nan"), 10**400, True])
def test_a_request_may_send_anything(wrong: Any) -> None:
    visit = Visit()
    assert live.over(visit, wrong) == {}
    assert len(list(live.paint(visit, wrong))) == 1, "the visit as it is"
    assert not visit.shows_live
    assert live.ask(visit, True, None if wrong is None else str(wrong), *values()) == {}
