"""A client that leaves ends its run."""

from __future__ import annotations

import time

from gradio_client import Client

from tests.serving import CountedRun


def test_cancelling_a_client_ends_the_run(address: str, inputs: dict[str, object], counted: CountedRun) -> None:
    visitor = Client(address, verbose=False)
    job = visitor.submit(**inputs, size=512, quality="fine", api_name="/stylise")
    while len(job.outputs()) < 3:
        assert not job.done()
        time.sleep(0.05)
    assert not counted.ended.is_set()
    job.cancel()
    assert counted.ended.wait(60)
    assert len(counted.events) < counted.events[0].steps / 2, "the run went on although its client had left"
