"""The states of a visit, and the memory of all visits: rules that hold after any events."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from nst import Costs, Result, Settings, Step
from nst.images.packed import Packed
from nst.images.timelapse import Timelapse
from nst.ui.server.limits import PageLimits
from nst.ui.stylise import tabs
from nst.ui.stylise import visits as all_visits
from nst.ui.stylise.differences import caption
from nst.ui.stylise.form import RunRequest
from nst.ui.stylise.picture import BYTES_OF_STEP, Film, Picture, Run
from nst.ui.stylise.visit import MOST, RUNNING, TABLE, Change, Preview, Visit, transitions
from nst.ui.stylise.visits import GRACE_S, Visits

EVENTS = TABLE.split("\n")[1].split()
STATES = [line.split()[0] for line in TABLE.strip().split("\n")[1:]]
COSTS = Costs(1, 1, (8, 8), 0.1, 1.0, 0.5, 0.2, {}, 0.0)


def picture(side: int = 8) -> Picture:
    pixels = np.zeros((side, side, 3), np.uint8)
    image = Image.fromarray(pixels)
    packed = Packed(pixels.astype(np.uint16), pixels, None, None, None, "style", 1.0)
    result = Result(image, None, (COSTS,), Settings(), "cpu", 1.0, "completed")
    request = RunRequest("photo.jpg", ("style.jpg",), (), None, Settings())
    return Picture(request, result, packed, Film.of(Timelapse()), image.resize((2, 2)), "", 9)


def test_every_following_state_has_a_row_and_every_run_can_end() -> None:
    assert set(transitions().values()) <= set(STATES)
    assert {event for _, event in transitions()} <= set(EVENTS)
    for state in STATES:
        assert transitions()[state, "start"] == "waiting"
    for state in RUNNING:
        assert transitions()[state, "fail"] == "failed"
        assert transitions()[state, "leave"] not in RUNNING
        assert transitions()[state, "stop"] in {"failed", "stopping", "dropping"}, "Stop is always felt"
        assert (state, "change") not in transitions(), "Live waits for the end of a run"


@examples(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([*EVENTS, "colour"]), st.integers(0, 3)), max_size=60))
def test_after_any_events_the_pictures_are_those_of_runs_that_ended(events: list[tuple[str, int]]) -> None:
    """`age` is how many runs ago the run began that speaks: old ones are never listened to."""
    visit, made, sent_ms, newest_ms = Visit(), [], 0, 0
    for event, age in events:
        number, before, state = visit.number - age, visit.strip, visit.state
        current = age == 0 and visit.number > 0
        match event:
            case "start":
                assert visit.start() == number + age + 1
            case "begin":
                assert visit.do("begin", number) == (current and state in ("waiting", "refused"))
            case "frame":
                step = Step(COSTS, Image.new("RGB", (8, 8)), 0.5, 1.0)
                heard = visit.goes_on(number, Run(None), step)
                assert heard == (current and state in ("begun", "painting"))
            case "done":
                kept, new = visit.keeps(number), picture()
                assert visit.end(number, new) == (kept or (current and (state, "fail") in transitions()))
                made += [new] if kept else []
            case "fail":
                visit.end(number, None, "no")
            case "stop":
                visit.stop()
                assert visit.state not in ("begun", "painting", "waiting")
            case "over" if state != "left":
                visit.over()
            case "leave":
                visit.leave(number)
            case "choose" if before and not visit.running:
                assert visit.choose(age % len(before)) in before
            case "colour":
                shown = visit.recolour("style", 1.0)
                assert not (shown and (visit.running or visit.shows_live))
            case "change":
                sent_ms += 1
                heard = visit.changes(Change((), sent_ms - age, 0))
                assert heard == (sent_ms - age > newest_ms and (state, "change") in transitions())
                newest_ms = sent_ms - age if heard else newest_ms
                call = visit.call_live()
                assert (call is not None) == heard
                if call is not None:
                    assert visit.take_change(call).sent_ms == newest_ms
                    assert visit.show_live(call, Preview("photo.jpg", (), Image.new("RGB", (8, 8))))
                    visit.live_is_over(call)
        assert visit.state in STATES
        assert visit.shows_live == (visit.state == "live")
        assert list(visit.strip) == made[-MOST:], "each picture joins the strip once, in order"
        assert (visit.present is None) == (not made), "no event loses the picture on the page"
        if visit.state in ("finished", "stopped"):
            assert visit.present.packed.painted is made[-1].packed.painted


def test_what_a_run_had_painted_when_its_page_went_away_becomes_its_result() -> None:
    class Cut:
        nbytes = 5

        def picture(self) -> Picture:
            return picture()

    visit = Visit()
    number = visit.start()
    visit.do("begin", number)
    assert visit.goes_on(number, Cut(), Step(COSTS, Image.new("RGB", (8, 8)), 0.5, 1.0))
    visit.leave(number)
    assert (visit.state, visit.nbytes) == ("left", 5)
    visit.come_back()
    assert (visit.state, len(visit.strip)) == ("stopped", 1)
    assert not visit.goes_on(number, Cut(), Step(COSTS, None, 0.5, 1.0)), "the run, if it still paints, ends"


def with_pictures(count: int, side: int = 8) -> Visit:
    visit = Visit()
    for _ in range(count):
        number = visit.start()
        visit.do("begin", number)
        visit.end(number, picture(side))
    return visit


def test_bytes_are_counted_once_where_pictures_share_them() -> None:
    visit = with_pictures(1, side=100)
    painted = 100 * 100 * (6 + 3 + 3)  # 16 bits, the photo and the 8-bit picture
    assert visit.nbytes == painted + 2 * 2 * 3 + BYTES_OF_STEP
    visit.recolour("luminance", 0.5)
    assert visit.nbytes == painted + 100 * 100 * 3 + 2 * 2 * 3 + BYTES_OF_STEP, "another picture of 8 bits, no more"
    assert copy.deepcopy(visit).nbytes == 0, "each session has a visit of its own"


@pytest.fixture
def few_mb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_visits, "page_limits", lambda: PageLimits(keep_mb=64))


def test_the_oldest_pictures_go_when_all_are_over_the_budget(few_mb: None) -> None:
    side = 1000  # 12 MB each
    visits, one, other = Visits(), with_pictures(2, side), with_pictures(2, side)
    for visit in (one, other):
        visits.make_room(visit)
    assert all(shown.packed for shown in (*one.strip, *other.strip))
    more = with_pictures(2, side)
    visits.make_room(more)
    assert visits.nbytes <= 64e6
    assert [shown.packed is None for shown in (*one.strip, *other.strip, *more.strip)] == [True] + 5 * [False]
    with pytest.raises(ValueError, match="this picture is gone: the server keeps 64 MB of pictures for all visitors"):
        one.choose(1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_closed_tab_frees_its_pictures_within_a_minute_and_a_reload_keeps_them() -> None:
    clock = Clock()
    visits, visit = Visits(clock), with_pictures(2)
    visits.welcome(visit, "first")
    assert visits.find(visit.key, "second", loaded_again=False) is None, "a second tab with the same key"
    visits.close("first")
    clock.now = GRACE_S - 1
    assert visits.sweep() == []
    assert visits.find(visit.key, "second", loaded_again=False) is visit
    assert visits.find("no such key", "third", loaded_again=True) is None
    clock.now = GRACE_S
    assert visits.sweep() == ["first"], "gradio's part of the old session"
    assert visit.nbytes > 0
    assert visits.find(visit.key, "third", loaded_again=True) is visit, "the end of the second was not noticed"
    visits.close("second")
    visits.close("third")
    clock.now = 60 + GRACE_S
    assert sorted(visits.sweep()) == ["second", "third"]
    assert (visit.nbytes, visit.state, GRACE_S + all_visits.SWEEP_EVERY_S < 60) == (0, "nothing", True)


def test_a_tab_that_was_away_too_long_is_told_so_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(tabs, "visits", functools.cache(lambda: Visits(clock)))
    before = with_pictures(1)
    tabs.visits().welcome(before, "before")

    def status(came: str) -> str:
        return tabs.open_tab(Visit(), came, SimpleNamespace(session_hash=f"session {came}")).get("status", "")

    assert status("navigate null") == status("navigate ") == status("") == "", "the first time, or no storage"
    assert status(f"navigate {before.key}") == "", "a duplicated tab: the pictures are in the other one"
    tabs.visits().close("before")
    clock.now = GRACE_S
    tabs.visits().sweep()
    assert "over 50 s" in status(f"reload {before.key}")


def test_a_caption_says_in_words_what_differs() -> None:
    def words(**changes: object) -> str:
        return caption(["/pictures/wave.jpg"], Settings(**changes), Settings())

    assert words() == "wave"
    assert words(beta=3, original_size=True) == "wave, beta 3, original size yes"
    assert words(pyramid=False, steps=15) == "wave, 15 steps more", "Continue"


def test_pictures_of_an_open_tab_go_after_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    visits, visit = Visits(clock), with_pictures(1)
    visits.welcome(visit, "open")
    clock.now = visit.present.made_s + PageLimits().keep_s - 1
    visits.sweep()
    assert visit.usable()
    clock.now += 2
    visits.sweep()
    assert visit.usable() is None
    with pytest.raises(ValueError, match="gone: pictures are kept for 60 minutes"):
        visit.recolour("style", 1.0)
