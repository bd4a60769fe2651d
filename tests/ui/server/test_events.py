"""Calls of handlers: updates reach components by name, and values of components stay checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.components import Component
from gradio.state_holder import SessionState

from nst.ui import build
from nst.ui.server.events import AT_ONCE, Components, Work
from nst.ui.stylise.form import PICTURES
from nst.ui.stylise.handlers import PARAMETERS


def page_with(handler: object) -> tuple[gr.Blocks, Components]:
    with gr.Blocks() as page:
        parts = Components(begin=gr.Button(), first=gr.Textbox("a"), second=gr.Textbox("b"))
        parts.call(parts["begin"].click, handler, ("first",), ("first", "second"), **AT_ONCE)
    return page, parts


def answer(page: gr.Blocks, updates: object) -> list[object]:
    """The message that gradio sends to the browser for the updates of the page's only handler."""
    (function,) = page.fns.values()
    return asyncio.run(page.postprocess_data(function, updates, SessionState(page)))


def test_updates_reach_the_components_of_their_names_and_the_others_stay() -> None:
    for updates, sent in (
        ({"second": "y", "first": "x"}, ["x", "y"]),
        ({"second": "y"}, [{"__type__": "update"}, "y"]),
        ({}, [{"__type__": "update"}] * 2),
    ):
        page, _ = page_with(lambda _, updates=updates: updates)
        (function,) = page.fns.values()
        assert answer(page, function.fn("a")) == sent


def test_an_update_for_no_output_is_a_mistake_that_shows() -> None:
    page, _ = page_with(lambda _: {"third": 1})
    (function,) = page.fns.values()
    with pytest.raises(KeyError, match="third"):
        function.fn("a")


def test_a_handler_that_fails_ends_in_a_sentence_and_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    page, _ = page_with(lambda _: [][0])
    (function,) = page.fns.values()
    with pytest.raises(gr.Error, match="Something went wrong on the server"):
        function.fn("a")
    assert "IndexError" in caplog.text


def counting(ended: list[int]) -> Callable[[str], Iterator[dict[str, str]]]:
    """A handler that streams nine updates and tells with which one it ended."""

    def count(_: str) -> Iterator[dict[str, str]]:
        try:
            for number in range(9):
                yield {"first": str(number)}
        finally:
            ended.append(number)

    return count


def test_closing_a_streaming_handler_ends_it_at_once() -> None:
    ended = []
    page, parts = page_with(counting(ended))
    (function,) = page.fns.values()
    assert function.types_generator, "gradio streams generators only"
    stream = function.fn("a")
    assert [next(stream), next(stream)] == [{parts["first"]: "0"}, {parts["first"]: "1"}]
    assert not ended, "each update is sent at once"
    stream.close()
    assert ended == [1]


def test_stop_ends_a_run_that_is_on_with_its_next_update_and_cancels_one_that_waits() -> None:
    ended = []
    with gr.Blocks() as page:
        parts = Components(begin=gr.Button(), end=gr.Button(), first=gr.Textbox(), status=gr.Textbox())
        parts.call_on_device("begin", "end", counting(ended), ("first",), ("first", "status"))
    wait, run, _, _, stop = [function.fn for function in page.fns.values() if function.fn]
    work = Work()

    wait(work)
    updates = run(work, "")
    assert [next(updates), next(updates)] == [{parts["first"]: "0"}, {parts["first"]: "1"}]
    assert stop(work) == {parts["end"]: gr.update(value="Stopping ...", interactive=False)}, (
        "the page waits for the run"
    )
    assert list(updates) == [{parts["status"]: "Stopped."}], "no late picture follows"
    assert ended == [2]

    wait(work)
    told = stop(work)
    assert [value for part, value in told.items() if isinstance(part, gr.Number)] == [1], "its change cancels the run"
    assert told[parts["begin"]]["interactive"]
    assert list(run(work, "")) == [{parts["status"]: "Stopped."}], "it may have left the queue meanwhile"

    wait(work)
    assert len(list(run(work, ""))) == 9, "the next run is not stopped"


@pytest.fixture(scope="module")
def whole_page() -> gr.Blocks:
    return build()


def component_after_a_skip(page: gr.Blocks, name: str) -> Component:
    """The component by which gradio reads a parameter after a handler has skipped it: a new one of the same class."""
    (endpoint,) = [function for function in page.fns.values() if function.api_name == "stylise"]
    component = endpoint.inputs[PARAMETERS.index(name)]
    skipping = SimpleNamespace(outputs=[component], batch=False, is_validator_function=False, postprocess=True, name="")
    session = SessionState(page)
    asyncio.run(page.postprocess_data(skipping, gr.skip(), session))
    assert session[component._id] is not component
    return session[component._id]


@pytest.mark.parametrize("name", PICTURES)
def test_no_session_opens_a_file_that_was_not_uploaded(whole_page: gr.Blocks, name: str) -> None:
    component = component_after_a_skip(whole_page, name)
    with pytest.raises(gr.Error, match="only be used after it was uploaded"):
        component.preprocess(SimpleNamespace(path="/etc/passwd"))


@pytest.mark.parametrize("name", sorted(set(PARAMETERS) - {"original_size", "colour"}))  # `Settings` checks these two
def test_in_every_session_a_value_of_a_wrong_type_ends_in_a_sentence(whole_page: gr.Blocks, name: str) -> None:
    component = component_after_a_skip(whole_page, name)
    with pytest.raises(gr.Error, match=f"{name} has a value of a wrong type"):
        component.preprocess(Unreadable())


class Unreadable:
    """A value on which any reading fails."""

    def __getattribute__(self, _: str) -> object:
        raise RuntimeError

    __eq__ = __hash__ = __bool__ = __iter__ = __float__ = __str__ = __repr__ = __getattribute__
