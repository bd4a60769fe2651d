"""Every door of a served page: routes and functions by enumeration, addresses, uploads, floods, assistants."""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

import nst
from nst import estimate
from nst.ui import build, launch_options
from nst.ui.server import devices, gate, uploads
from nst.ui.server.doors import READS, WORK, door_of, is_listed, picture_parameters, work_of
from nst.ui.server.events import DEVICE_ID
from nst.ui.server.gate import CLOSED, NO_FETCH, ONLY_HERE, Gate
from nst.ui.server.limits import PageLimits
from nst.ui.stylise import expected_time, handlers, live
from nst.ui.stylise.handlers import PARAMETERS
from tests.serving import usual_values

MARK = {"_type": "gradio.FileData"}
URL = "http://203.0.113.7/picture.png"  # RFC 5737: an address for documentation, which nobody has
FILES = (gr.Image, gr.ImageEditor, gr.File, gr.Gallery, gr.ImageSlider, gr.DownloadButton, gr.UploadButton, gr.Video)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A page that is started once for this file: `blocks`, `app` and a client."""
    with pytest.MonkeyPatch.context() as patched:  # the page of the other tests has a folder of its own
        patched.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        page = build()
        app, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
        with httpx.Client(base_url=url, timeout=60) as client:
            yield SimpleNamespace(blocks=page, app=app, url=url, client=client)
        page.close()


@pytest.fixture(autouse=True)
def dry(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Runs end before their first step. Returns the photos that reached them."""
    begun: list[Any] = []

    def events(photo: Any, *_: Any, **__: Any) -> Iterator[nst.Event]:
        begun.append(photo)
        return iter(())

    monkeypatch.setattr(handlers, "stylise_events", events)
    return begun


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set limits of the gate; all others are too high to be met."""
    high = {
        "starts": 10_000,
        "live": 10_000,
        "work": 10_000,
        "uploads": 10_000,
        "uploads_mb": 10_000,
        "disk_mb": 10_000,
    }

    def limit(**values: Any) -> None:
        limits = PageLimits(**{**high, **values})
        monkeypatch.setattr(gate, "page_limits", lambda: limits)

    limit()
    return limit


def as_visitor(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def function(served: SimpleNamespace, handler: Callable) -> Any:
    """The first of the page's functions that calls this handler."""
    return next(item for item in served.blocks.fns.values() if item.fn and item.fn.__name__ == handler.__name__)


def call(served: SimpleNamespace, item: Any, values: list[Any], session: str = "a", **headers: str) -> httpx.Response:
    """Call a function where the page calls it."""
    route = "queue/join" if item.queue else "run/predict"
    chosen = {"index": 0, "value": None}
    body = {"data": values, "fn_index": item._id, "session_hash": session, "event_data": chosen}
    return served.client.post(f"gradio_api/{route}", json=body, headers=headers)


def paint(served: SimpleNamespace, **values: Any) -> str:
    """The answer of the endpoint `stylise`."""
    usual = {**usual_values(None, None), **values}
    sent = served.client.post("gradio_api/call/stylise", json={"data": [usual[name] for name in PARAMETERS]})
    if sent.status_code != 200:
        return sent.text
    return served.client.get(f"gradio_api/call/stylise/{sent.json()['event_id']}").text


def routes(of: Any, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Path and methods of every route of an app, mounted ones included."""
    for route in of.routes:
        path = before + getattr(route, "path", "")
        inner = getattr(route, "original_router", None) or (route if getattr(route, "routes", None) else None)
        if inner is not None:
            yield from routes(inner, path)
        else:
            yield path, set(getattr(route, "methods", None) or {"GET", "POST"})  # a mounted app takes any


def test_every_route_that_accepts_a_post_is_in_the_list(served: SimpleNamespace) -> None:
    found = {path.replace("{", "").replace("}", "") for path, methods in routes(served.app) if methods - set(READS)}
    assert {"/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/run/api_name", "/gradio_api/mcp"} <= found
    assert len(found) > 20
    assert not [path for path in found if not is_listed(path)]


def test_every_function_has_a_class_of_work(served: SimpleNamespace) -> None:
    ours = [item for item in served.blocks.fns.values() if item.fn and "unload" not in {e for _, e in item.targets}]
    assert len(ours) > 80
    assert not [(item._id, item.fn.__name__) for item in ours if item.concurrency_id not in WORK]
    assert all(item.queue == (item.concurrency_id == DEVICE_ID) for item in ours)
    assert {work_of(item) for item in ours} == {"start", "live", "small work", "at once"}


def test_what_is_at_once_computes_for_less_than_5_ms(
    served: SimpleNamespace, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the values that the page opens with; processor time of the handler, the better of two calls."""
    opened = {item["id"]: item["props"].get("value") for item in served.client.get("config").json()["components"]}
    times: dict[int, list[float]] = {}
    for item in served.blocks.fns.values():
        if item.fn is not None and work_of(item) == "at once":
            timed, opens = times.setdefault(item._id, []), [opened[block._id] for block in item.inputs]
            values = [None if isinstance(value, dict) and "path" in value else value for value in opens]
            monkeypatch.setattr(item, "fn", _timed(item.fn, timed))
            for _ in range(2):
                answer = call(served, item, values)
                assert answer.status_code == 200 or answer.json()["error"]
    assert len(times) > 40
    assert max(min(timed) for timed in times.values()) < 0.005


def _timed(handler: Callable, times: list[float]) -> Callable:
    @functools.wraps(handler)
    def timed(*values: Any) -> Any:
        began = time.thread_time()
        try:
            return handler(*values)
        finally:
            times.append(time.thread_time() - began)

    return timed


@pytest.mark.parametrize("path", ["stream/1", "process_recording", "vibe-edit/", "run-history/connect", "a/b"])
def test_a_closed_door_says_so(served: SimpleNamespace, path: str) -> None:
    answer = served.client.post(f"gradio_api/{path}", json={})
    assert (answer.status_code, answer.json()["detail"]) == (404, CLOSED)


@pytest.mark.parametrize(
    "path", [f"file={URL}", f"file/{URL}", f"proxy={URL}", "deep_link?session_hash=a", "vibe-code"]
)
def test_the_server_is_no_proxy_and_keeps_no_sessions(served: SimpleNamespace, path: str) -> None:
    assert served.client.get(f"gradio_api/{path}").json()["detail"] == CLOSED


def test_no_path_hides_a_door() -> None:
    assert door_of("POST", "/gradio_api/mcp/messages/gradio_api/reset") == "assistant"
    assert door_of("POST", "/below/of/another/gradio_api/queue/join") == "event"
    for path in ("/gradio_api/run/a/b", "/gradio_api//run/a", "/gradio_api/RUN/a", "/run/a", "/", ""):
        assert door_of("POST", path) == "closed"


def test_an_address_is_refused_in_every_file_of_every_function(
    served: SimpleNamespace, limited: Callable[..., None], dry: list[Any]
) -> None:
    """Also in what is no picture, and in lists; without looking up a name, because all is decided before gradio."""
    limited(fetch=False)
    tried = 0
    for item in served.blocks.fns.values():
        places = [place for place, block in enumerate(item.inputs) if isinstance(block, FILES)] or [0]
        for place in places if item.fn is not None and item.inputs else ():
            for sent in ({"path": URL, "meta": {"_type": "gradio.FileData"}}, [[{"image": {"path": URL}}]]):
                values: list[Any] = [None] * len(item.inputs)
                values[place] = sent
                answer = call(served, item, values)
                allowed = place in picture_parameters(item) and isinstance(sent, dict)
                assert answer.json()["error"] == (NO_FETCH if allowed else ONLY_HERE), (item.fn, place, answer.text)
                tried += 1
    assert tried > 200
    assert not dry


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server on this machine that the gate takes for one of the internet: its address, its files, what was asked."""
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    monkeypatch.setattr(Gate, "may_connect", staticmethod(lambda host, at: (host, at) == ("127.0.0.1", port)))
    yield SimpleNamespace(address=f"http://127.0.0.1:{port}", files=files, asked=asked)
    server.shutdown()
    server.server_close()


def png(side: int = 40) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(file, "PNG")
    return file.getvalue()


def test_a_program_may_name_pictures_by_their_addresses(
    served: SimpleNamespace, limited: Callable[..., None], elsewhere: SimpleNamespace, dry: list[Any]
) -> None:
    content = elsewhere.files["/a.png"] = png()
    address = {"path": f"{elsewhere.address}/a.png", "meta": {"_type": "gradio.FileData"}}
    assert "event: complete" in paint(served, photo=address, style={"url": address["path"]})
    assert elsewhere.asked == ["/a.png", "/a.png"]
    assert [_content(photo) for photo in dry] == [content]
    by_name = {"photo": address, "style": address, "size": 128}
    sent = served.client.post("gradio_api/call/v2/stylise", json=by_name)
    assert "event: complete" in served.client.get(f"gradio_api/call/v2/stylise/{sent.json()['event_id']}").text
    assert len(dry) == 2


def _content(photo: Any) -> bytes:
    """The bytes of the file that a run was given."""
    with open(photo, "rb") as file:
        return file.read()


def test_a_picture_that_cannot_be_loaded_is_told_in_a_sentence(
    served: SimpleNamespace, limited: Callable[..., None], elsewhere: SimpleNamespace, dry: list[Any]
) -> None:
    limited(upload_mb=1)
    elsewhere.files["/large.png"] = b"x" * 3_000_000
    large = f"{elsewhere.address}/large.png"
    assert f"The picture at {large} has over 1 MB, the limit of this page" in paint(served, photo={"path": large})
    assert "status 404" in paint(served, photo={"path": f"{elsewhere.address}/none.png"})
    assert "not on the public internet" in paint(served, photo={"path": "http://127.0.0.1:9/a.png"})
    photo = {"path": large, "meta": {"_type": "gradio.FileData"}}
    job = Client(served.url, verbose=False).submit(photo=photo, api_name="/stylise")
    with pytest.raises(Exception, match=r"photo: The picture at .* has over 1 MB"):
        job.result(timeout=30)
    assert not dry


def assistant(url: str, given: dict[str, Any], address: str) -> Any:
    """Let an assistant at this address call the tool."""

    async def talk() -> Any:
        async with (
            httpx.AsyncClient(headers=as_visitor(address), timeout=60) as client,
            streamable_http_client(f"{url}gradio_api/mcp/", http_client=client) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await session.call_tool("repaint", given)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, talk()).result()


def test_an_assistant_may_name_pictures_too_and_reads_what_was_wrong(
    served: SimpleNamespace, limited: Callable[..., None], elsewhere: SimpleNamespace, dry: list[Any]
) -> None:
    content = elsewhere.files["/a.png"] = png()
    as_text = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assistant(served.url, {"photo": f"{elsewhere.address}/a.png", "style": as_text, "size": 128}, "1.1.1.1")
    assistant(served.url, {"photo": as_text, "size": 128}, "1.1.1.1")
    assert [_content(photo) for photo in dry] == [content, content]
    for photo, sentence in {
        f"{elsewhere.address}/b.png": "status 404",
        "http://10.0.0.1/a.png": "not on the public internet",
        "data:image/png;base64,***": "photo is no picture in base64",
    }.items():
        answer = assistant(served.url, {"photo": photo}, "1.1.1.1")
        assert answer.isError
        assert sentence in answer.content[0].text


def test_one_assistants_starts_are_not_all_assistants(
    served: SimpleNamespace, limited: Callable[..., None], dry: list[Any]
) -> None:
    limited(starts=1, address_factor=2)
    answers = [assistant(served.url, {"size": 128}, address) for address in ("1.2.3.1",) * 3 + ("1.2.3.2",)]
    refused = [answer.isError and "runs in a minute" in answer.content[0].text for answer in answers]
    assert refused == [False, False, True, False]
    forged = {"x-nst-assistant": "guessed 9.9.9.9", **as_visitor("1.2.3.1")}
    answer = call(served, function(served, handlers.stylise), [None] * len(PARAMETERS), **forged)
    assert answer.status_code == 429


def test_live_has_an_allowance_of_its_own_and_knows_of_other_runs(
    served: SimpleNamespace, limited: Callable[..., None]
) -> None:
    limited(starts=1, live=2, address_factor=1)
    visitor, before = as_visitor("1.2.4.1"), devices.devices().starts
    paint_live = function(served, live.paint)
    assert [call(served, paint_live, [None, 0], "live", **visitor).status_code for _ in range(3)] == [200, 200, 429]
    assert devices.devices().starts == before
    stylise = function(served, handlers.stylise)
    assert [call(served, stylise, [None] * len(PARAMETERS), "live", **visitor).status_code for _ in range(2)] == [
        200,
        429,
    ]
    assert devices.devices().starts == before + 1


def upload(served: SimpleNamespace, *contents: bytes, visitor: str) -> httpx.Response:
    files = [("files", (f"{number}.png", content)) for number, content in enumerate(contents)]
    return served.client.post("gradio_api/upload", files=files, headers=as_visitor(visitor))


def test_uploads_are_counted_by_number_and_by_bytes(served: SimpleNamespace, limited: Callable[..., None]) -> None:
    limited(uploads=3, address_factor=1)
    assert [upload(served, b"a", visitor="2.0.0.1").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = upload(served, b"a", visitor="2.0.0.1")
    assert "That was 3 files in a minute. Please wait" in answer.json()["detail"]
    assert upload(served, *(b"a",) * 4, visitor="2.0.0.2").status_code == 429, "many files in one request"
    assert upload(served, *(b"a",) * 3, visitor="2.0.0.3").status_code == 200
    limited(uploads_mb=3, upload_mb=1, address_factor=1)
    assert [upload(served, b"a" * 900_000, visitor="2.0.0.4").status_code for _ in range(4)] == [200, 200, 200, 429]
    parts = (part for part in (b"--x\r\n",))  # sent in chunks, without a length
    unknown = served.client.post(
        "gradio_api/upload", content=parts, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert unknown.status_code == 411


def test_no_upload_passes_a_full_disk(served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    from nst.ui.server.disk import FULL, Disk

    async def full(self: Disk, more_bytes: int) -> bool:
        return False

    monkeypatch.setattr(Disk, "has_room", full)
    answer = upload(served, b"a", visitor="2.0.0.9")
    assert (answer.status_code, answer.json()["detail"]) == (507, FULL)


def test_a_sweep_leaves_what_the_page_shows(served: SimpleNamespace) -> None:
    from nst.ui.server import disk

    (path,) = upload(served, png(50), visitor="2.0.0.8").json()
    swept = disk.Disk(
        os.environ["GRADIO_TEMP_DIR"], 60, 10**9, lambda: disk.in_use(served.blocks), lambda: time.time() + 100
    )
    swept.sweep()
    assert not os.path.exists(path)
    config = served.client.get("config").json()
    shown = [item["props"]["value"]["url"] for item in config["components"]
             if isinstance(item["props"].get("value"), dict) and item["props"]["value"].get("url")]  # fmt: skip
    assert len(shown) > 2
    assert {httpx.get(url).status_code for url in shown} == {200}


def forecast(served: SimpleNamespace, layer: str, session: str) -> httpx.Response:
    values = {
        **usual_values(_uploaded(served), None),
        "other_layers": {"headers": ["a", "b", "c"], "data": [[layer, 1, 0]]},
    }
    return call(
        served, function(served, expected_time.show_expected), [None, *(values[name] for name in PARAMETERS)], session
    )


def _uploaded(served: SimpleNamespace) -> dict[str, Any]:
    return {"path": upload(served, png(), visitor="3.0.0.0").json()[0], "meta": {"_type": "gradio.FileData"}}


def test_a_flood_of_forecasts_measures_little_and_lets_others_be_answered(
    served: SimpleNamespace, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """45 requests at once, each for steps of another kind, beside a visitor who asks for a small file."""
    measured, at_work, most_at_work, lock = [], 0, 0, threading.Lock()

    def slow(*kind: Any) -> tuple[float, bool]:
        measured.append(kind)
        time.sleep(0.1)
        return 1e-6, True

    def memory(*_: Any) -> float:
        nonlocal at_work, most_at_work
        with lock:
            at_work += 1
            most_at_work = max(most_at_work, at_work)
        time.sleep(0.02)
        with lock:
            at_work -= 1
        return 1024.0

    monkeypatch.setattr(estimate, "_measured_pace", slow)
    monkeypatch.setattr(estimate, "memory_mib", memory)
    monkeypatch.setattr(estimate, "PACES", {})
    monkeypatch.setattr(devices, "MEASURED", type(devices.MEASURED)())
    layers = [f"{kind}{block}_{number}" for block, count in enumerate((2, 2, 4, 4, 4), 1)
              for number in range(1, count + 1) for kind in ("conv", "relu")]  # fmt: skip
    with ThreadPoolExecutor(45) as threads:
        jobs = [threads.submit(forecast, served, layers[n % len(layers)], f"s{n // 9}") for n in range(45)]
        waits = []
        while not all(job.done() for job in jobs):
            began = time.perf_counter()
            assert served.client.get("theme.css").status_code == 200
            waits.append(time.perf_counter() - began)
            time.sleep(0.02)
    answers = [job.result() for job in jobs]
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert sum(answer.status_code == 200 for answer in answers) > 10
    assert len(measured) <= devices.MOST_MEASURED
    assert most_at_work == 2
    assert sorted(waits)[int(0.95 * len(waits))] < 0.5
    assert any("The time is measured when nothing is painted" in answer.text for answer in answers)


def test_small_work_is_counted_for_each_session_and_told(served: SimpleNamespace, limited: Callable[..., None]) -> None:
    limited(work=2, address_factor=2)
    item = function(served, uploads.show_canvas)

    def ask(session: str, visitor: str) -> int:
        return call(served, item, [None], f"counted {session}", **as_visitor(visitor)).status_code

    assert [ask("a", "4.0.0.1") == 429 for _ in range(3)] == [False, False, True]
    assert [ask(name, "4.0.0.1") == 429 for name in "bcd"] == [False, False, True]
    assert ask("e", "4.0.0.2") != 429


def painting(served: SimpleNamespace, name: str, index: str = "0", size: int = 100, **more: str) -> httpx.Response:
    editor, *_ = (block for block in served.blocks.blocks.values() if isinstance(block, gr.ImageEditor))
    form = {"component_id": str(editor._id), "session_hash": "a", "fn_name": "accept_blobs"}
    form |= {"id": name, "type": "layer", "index": index, **more}
    return served.client.post("gradio_api/component_server", data=form, files={"file": b"x" * size})


def test_what_is_painted_is_kept_in_bounded_memory(served: SimpleNamespace, limited: Callable[..., None]) -> None:
    for number in range(3 * uploads.MOST_PAINTINGS):
        painting(served, f"painting {number}", str(number % 3 and 10**9))
    assert 0 < len(uploads.PAINTINGS) <= uploads.MOST_PAINTINGS
    assert all(isinstance(kept, bytes) for kept in uploads.PAINTINGS.values()), "no list as long as a request says"
    assert painting(served, "large", size=5_000_000).status_code == 429
    for wrong in ({"component_id": "1"}, {"component_id": "9" * 50}, {"fn_name": "style"}, {"session_hash": "a" * 200}):
        assert painting(served, "a", **wrong).status_code == 400
    assert served.client.post("gradio_api/component_server", content=b"x").status_code == 400
    as_json = {"data": {}, "component_id": 1, "session_hash": "a", "fn_name": "accept_blobs"}
    assert served.client.post("gradio_api/component_server", json=as_json).status_code == 400


def test_wrong_values_of_any_function_are_told_and_fill_no_log(
    served: SimpleNamespace,
    limited: Callable[..., None],
    dry: list[Any],
    capfd: pytest.CaptureFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """gradio would write a traceback to the log for most of them."""
    wrong = [7, True, "abc", [[]], {"path": 7}, {"path": "a", "meta": 7}, {"path": "/etc/passwd", "meta": MARK}]
    for item in served.blocks.fns.values():
        if item.fn is not None:
            values = [wrong[(item._id + place) % len(wrong)] for place in range(len(item.inputs))]
            for sent in (values, values[:-1], values[::-1]):
                answer = call(served, item, sent)
                assert answer.status_code == 200 or answer.json()["error"], (item.fn, sent, answer.text)
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())
