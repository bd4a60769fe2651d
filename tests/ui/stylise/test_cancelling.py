"""A client that leaves ends its run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from gradio_client import Client

import nst
from nst.ui.stylise import handlers


def test_cancelling_a_client_ends_the_run(
    address: str, inputs: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, ended = [], threading.Event()
    real_events = handlers.stylise_events

    def counted(*arguments: object, **options: object) -> Iterator[nst.Event]:
        try:
            for event in real_events(*arguments, **options):
                steps.append(event)
                yield event
        finally:
            ended.set()

    monkeypatch.setattr(handlers, "stylise_events", counted)
    visitor = Client(address, verbose=False)
    job = visitor.submit(**inputs, size=512, quality="fine", api_name="/stylise")
    while len(job.outputs()) < 3:
        assert not job.done()
        time.sleep(0.05)
    assert not ended.is_set()
    job.cancel()
    assert ended.wait(60)
    assert len(steps) < steps[0].steps / 2, "the run went on although its client had left"
