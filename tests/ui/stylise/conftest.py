"""The pictures that clients of the endpoint send, and a run whose events are counted."""

from __future__ import annotations

import pytest
from gradio_client import handle_file

from nst.ui.server import examples
from nst.ui.stylise import handlers
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
