"""The pictures that clients of the endpoint send, and a run whose events are counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from gradio_client import handle_file

from nst import Event
from nst.ui.server import examples
from nst.ui.stylise import handlers
from tests.browsing import WAIT_MS
from tests.serving import CountedRun


@pytest.fixture(scope="module")
def inputs() -> dict[str, object]:
    photo, style, _, _ = examples.first_sight()
    return {"photo": handle_file(photo), "style": handle_file(style)}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> CountedRun:
    """The events of the next run on the page, and whether it has ended."""
    counted = CountedRun(handlers.stylise_events)
    monkeypatch.setattr(handlers, "stylise_events", counted)
    return counted


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A run waits at its fourth event until this is set, so that it can be looked at while it paints."""
    usual, let_go = handlers.stylise_events, threading.Event()

    def events(*arguments: object, **options: object) -> Iterator[Event]:
        for number, event in enumerate(usual(*arguments, **options)):
            if number == 3:
                let_go.wait(WAIT_MS / 1000)
            yield event

    monkeypatch.setattr(handlers, "stylise_events", events)
    yield let_go
    let_go.set()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run pauses for half a second after each event: there is time to look at it, also for a slow browser."""
    usual = handlers.stylise_events

    def events(*arguments: object, **options: object) -> Iterator[Event]:
        for event in usual(*arguments, **options):
            yield event
            time.sleep(0.5)

    monkeypatch.setattr(handlers, "stylise_events", events)
