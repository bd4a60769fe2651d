"""The page refuses too many starts, a full queue and values over its limits before a run waits or starts."""

from __future__ import annotations

import dataclasses
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from starlette.middleware import Middleware

from nst import Settings
from nst.ui import build, launch_options
from nst.ui.server import gate
from nst.ui.server.events import on_device
from nst.ui.server.gate import Gate
from nst.ui.server.limits import PageLimits, page_limits, within_limits


def test_each_limit_has_its_own_variable_and_takes_what_it_says() -> None:
    assert PageLimits.of({}) == PageLimits()
    for item in dataclasses.fields(PageLimits):
        variable, (low, high) = item.metadata["variable"], item.metadata.get("range", (None, None))
        if low is None:
            assert [getattr(PageLimits.of({variable: word}), item.name) for word in ("on", "off")] == [True, False]
            with pytest.raises(ValueError, match=f"{variable}='yes' is none of on, off; give one, or unset it"):
                PageLimits.of({variable: "yes"})
            continue
        assert low <= item.default <= high
        assert PageLimits.of({variable: str(high)}) == dataclasses.replace(PageLimits(), **{item.name: high})
        for bad in (str(low - 1), str(high + 1), "", "many", "1e3", "²", "9" * 5000):
            with pytest.raises(ValueError, match=f"{variable}=.* give one, or unset it"):
                PageLimits.of({variable: bad})


def test_a_visitors_run_has_a_budget_and_a_largest_size() -> None:
    most = page_limits()
    assert within_limits(Settings()).max_seconds == most.run_s
    assert within_limits(Settings(max_seconds=5.0)).max_seconds == 5
    assert within_limits(Settings(max_seconds=80_000.0)).max_seconds == most.run_s
    with pytest.raises(ValueError, match=f"over this page's limit of {most.size} px; choose a smaller one"):
        within_limits(Settings(size=most.size + 1))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch):
    """A small page whose only run continues until the test releases it, behind a gate for two starts a minute."""
    monkeypatch.setattr(gate, "page_limits", lambda: PageLimits(starts=2, address_factor=2))
    go, begun = threading.Event(), threading.Event()

    def run():
        begun.set()
        go.wait(20)
        yield "done"

    with gr.Blocks() as page:
        gr.on([], run, None, gr.Textbox(), api_name="run", **on_device())
    page.queue(max_size=20, api_open=False)
    options = {"app_kwargs": {"middleware": [Middleware(Gate)]}}
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    yield SimpleNamespace(address=address, go=go, begun=begun)
    go.set()
    page.close()


def start(address: str, session: str = "a", visitor: str = "1.2.3.4") -> httpx.Response:
    body = {"data": [], "fn_index": 0, "session_hash": session}
    return httpx.post(f"{address}gradio_api/queue/join", json=body, headers={"X-Forwarded-For": visitor})


def test_a_full_queue_is_told_in_minutes(slow: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "page_limits", lambda: PageLimits(queue=1))
    assert start(slow.address).status_code == 200
    assert slow.begun.wait(10)
    assert start(slow.address, "b").status_code == 200  # waits
    answer = start(slow.address, "c")
    assert (answer.status_code, answer.json()["detail"]) == (
        429,
        "Busy: 1 runs waiting, about 1 min. Please try again later.",
    )
    job = Client(slow.address, verbose=False).submit(api_name="/run")
    with pytest.raises(Exception, match="Busy: 1 runs waiting, about 1 min"):
        job.result()


def test_a_session_and_an_address_have_their_starts_per_minute(slow: SimpleNamespace) -> None:
    slow.go.set()

    def starts(session: str, visitor: str) -> int:
        return start(slow.address, session, visitor).status_code

    assert [starts("a", "1.2.3.4") for _ in range(3)] == [200, 200, 429]
    assert [starts(name, "1.2.3.4") for name in "bcd"] == [200, 200, 429], "new sessions from one address"
    assert starts("e", "1.2.3.5") == 200
    assert "Please wait" in start(slow.address, "a").json()["detail"]


def test_nobody_passes_the_queue(slow: SimpleNamespace) -> None:
    slow.go.set()
    for route in ("run/run", "api/run", "run/predict"):
        body = {"data": [], "fn_index": 0, "session_hash": "a"}
        assert httpx.post(f"{slow.address}gradio_api/{route}", json=body).status_code == 404
    too_long = httpx.post(f"{slow.address}gradio_api/call/run", content=b" " * 3_000_000)
    assert (too_long.status_code, too_long.json()["detail"]) == (
        429,
        "the request is too long; upload pictures first",
    )
    for body in (b"", b"[]", b"null", b"[" * 100_000, b'{"session_hash": 7}', b"\xff"):
        assert httpx.post(f"{slow.address}gradio_api/call/run", content=body).status_code < 500


def test_the_readme_tells_every_limit_with_its_default_and_variable() -> None:
    readme = (Path(__file__).resolve().parents[3] / "nst" / "ui" / "README.md").read_text()
    readme = readme.partition("## Limits")[2].partition("## ")[0]
    for item in dataclasses.fields(PageLimits):
        (row,) = [line for line in readme.splitlines() if f"| `{item.metadata['variable']}` |" in line]
        default = {True: "on", False: "off"}.get(item.default) if item.type == "bool" else str(item.default)
        assert default in re.findall(r"\w+", row.split("|")[2]), row


def test_what_waits_on_the_page_is_a_run_and_passes_the_gate() -> None:
    page = build()
    closing = [function for function in page.fns.values() if (None, "unload") in function.targets]
    queued = [function for function in page.fns.values() if function.queue and function not in closing]
    assert {function.concurrency_id for function in queued} == {"device"}
    names = {function.fn.__name__ for function in queued}
    assert names == {
        *("paint", "go_on", "paint_bigger", "paint_print", "stylise", "repaint"),
        *("paint_textures", "paint_contents", "paint_playground", "paint_entries"),
    }
    assert page.api_open is False
    assert page._queue.max_size == page_limits().queue + 1
    options = launch_options()
    assert [item.cls for item in options["app_kwargs"]["middleware"]] == [Gate]
    assert options["max_file_size"] == f"{page_limits().upload_mb}mb"
    assert (options["show_error"], options["enable_monitoring"], page.analytics_enabled) == (False, False, False)
