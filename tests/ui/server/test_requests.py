"""Requests that no page sends: values of every kind, and paths of the server instead of pictures."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

import nst
from nst.ui.server import examples, gate
from nst.ui.server.limits import page_limits
from nst.ui.stylise import handlers
from nst.ui.stylise.form import PICTURES, run_request
from nst.ui.stylise.handlers import PARAMETERS
from tests.serving import VISITOR, usual_values

HERE = {"127.0.0.1", "localhost", "::1", None}
ROOT = Path(__file__).resolve().parents[3]
WRONG = [
    *(None, "", "abc", "relu9_9", "../../etc/passwd", "\0", "🎨" * 300, "1e999", "NaN", True, False),
    *(-1, 0, 0.5, 1e308, -1e308, 10**400, float("nan"), float("inf"), float("-inf"), 2**63),
    *([], [[]], [[None, None, None]], [["relu1_2", "much", 0]], [[["relu1_2"], 1, 1]], [["relu1_2"]], [[1, 2, 3]]),
    *({}, {"path": None}, {"path": 7}, {"headers": [], "data": 3}, {"headers": ["a"], "data": [["relu1_2", 1e999]]}),
    *({"path": "/etc/passwd"}, {"value": {"path": "/etc/passwd"}, "__type__": "update"}, {"__type__": "state"}),
]


@pytest.fixture
def given(address: str) -> dict[str, object]:
    """Parameters that are all legal, with uploaded pictures."""
    photo, style, _, _ = examples.first_sight()
    files = [("files", (Path(path).name, Path(path).read_bytes())) for path in (photo, style)]
    paths = VISITOR.post(f"{address}gradio_api/upload", files=files).json()
    return usual_values(*({"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths))


@pytest.fixture
def dry(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Runs that end before their first step, so that only the checks take time. Returns what reached them."""
    begun: list[object] = []

    def events(photo: object, *rest: object, **more: object) -> Iterator[nst.Event]:
        begun.append((photo, *rest, more))
        return iter(())

    monkeypatch.setattr(handlers, "stylise_events", events)
    return begun


def answer(address: str, values: dict[str, object], endpoint: str = "stylise", route: str = "call") -> str:
    """The server's answer to a raw call with these values, JSON or not."""
    body = json.dumps({"data": [values[name] for name in PARAMETERS]})
    sent = VISITOR.post(
        f"{address}gradio_api/{route}/{endpoint}", content=body, headers={"Content-Type": "application/json"}
    )
    if sent.status_code != 200 or "event_id" not in sent.json():
        return f"event: error {sent.status_code} {sent.text}"
    return VISITOR.get(f"{address}gradio_api/{route}/{endpoint}/{sent.json()['event_id']}").text


def leaks(text: str) -> bool:
    """Whether an answer shows internals of the server. It may repeat what the request sent."""
    return any(
        word in text
        for word in ("Traceback", 'File \\"', "site-packages", str(ROOT), str(Path.home()) + "/", "root:x:")
    )


def test_any_value_of_any_parameter_ends_in_a_sentence_or_a_run(
    address: str, given: dict[str, object], dry: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(7)
    silent = []
    for number in range(2 * len(PARAMETERS)):
        name = PARAMETERS[number % len(PARAMETERS)]
        wrong = {name: chance.choice(WRONG)}
        if chance.random() < 0.3:
            wrong[chance.choice(PARAMETERS)] = chance.choice(WRONG)
        text = answer(address, {**given, **wrong}, chance.choice(("stylise", "repaint")))
        assert not leaks(text), (wrong, text)
        assert "event: " in text, (wrong, text)
        if "data: null" in text and "event: error" in text:
            silent.append(wrong)
    assert "a run failed" not in caplog.text, "a value that no check has caught"
    assert all(any(name in PICTURES or name == "other_layers" for name in wrong) for wrong in silent), silent
    assert len(silent) < len(PARAMETERS) / 2, silent


def test_what_passes_gradios_checks_ends_in_a_sentence_or_settings() -> None:
    chance, legal = random.Random(8), 0
    usual = {**usual_values("a", "b"), "other_layers": []}
    for _ in range(5000):
        wrong = {chance.choice(PARAMETERS): chance.choice(WRONG) for _ in range(chance.choice((1, 1, 3)))}
        wrong = {name: value for name, value in wrong.items() if name not in PICTURES}
        if isinstance(wrong.get("other_layers", []), list):  # a table always is
            try:
                settings = run_request({**usual, **wrong}).settings
            except ValueError:  # any other error fails
                continue
            legal += 1
            assert settings.size <= page_limits().size
            assert 0 < settings.max_seconds <= page_limits().run_s
    assert 500 < legal < 3000


@pytest.mark.parametrize("name", PICTURES)
def test_no_path_that_was_not_uploaded_is_opened(
    address: str, given: dict[str, object], dry: list[object], name: str
) -> None:
    secret = examples.photos()["coffee"]  # a picture, which would be painted
    app = str(ROOT / "app.py")
    for path in (
        app,
        "app.py",
        "/etc/passwd",
        "/proc/self/environ",
        secret,
        f"{given['photo']['path']}/../../../x.png",
    ):
        for sent in ({"path": path, "meta": {"_type": "gradio.FileData"}}, {"path": path}, path):
            text = answer(address, {**given, name: sent})
            assert "event: error" in text, (path, text)
            assert not leaks(text), text
            assert "not a picture" not in text, "the server opened a file that the visitor only named"
    assert not dry, "and no run began with it"
    assert "event: complete" in answer(address, given), "while what was uploaded is painted"


ELSEWHERE = "203.0.113.7"  # RFC 5737: an address for documentation, public to all who check


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Names that this process looked up and addresses that it tried to reach, except its own pages."""
    asked: list[object] = []
    lookup, connect = socket.getaddrinfo, socket.socket.connect

    def watched_lookup(host: object, port: object, *rest: object, **more: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        if name in HERE:
            return lookup(host, port, *rest, **more)
        asked.append(name)
        return lookup(ELSEWHERE, port, *rest, **more)

    def watched_connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in HERE:
            asked.append(address[0])
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", watched_lookup)
    monkeypatch.setattr(socket.socket, "connect", watched_connect)
    return asked


def test_the_watch_sees_a_name_and_an_address(outside: list[object]) -> None:
    """As the test below relies on it, also from a client that does not block."""

    async def fetch() -> None:
        async with httpx.AsyncClient() as client:
            await client.get("http://pictures.example/picture.png")

    with (
        ThreadPoolExecutor(1) as thread,
        pytest.raises(httpx.ConnectError),
    ):  # Playwright's event loop may be in this one
        thread.submit(asyncio.run, fetch()).result()
    assert set(outside) == {"pictures.example", ELSEWHERE}


def test_the_server_fetches_nothing_for_a_visitor(
    address: str,
    given: dict[str, object],
    dry: list[object],
    outside: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the switch that lets programs name pictures by address; test_doors.py tests what the switch allows."""
    monkeypatch.setattr(gate, "page_limits", lambda: dataclasses.replace(page_limits(), fetch=False))
    for host in ("pictures.example", ELSEWHERE):
        url = f"http://{host}/picture.png"
        for sent in ({"path": url}, {"url": url}, {"path": "a.png", "url": url}, url):
            for extra in ({}, {"meta": {"_type": "gradio.FileData"}}):
                text = answer(address, {**given, "photo": {**sent, **extra} if isinstance(sent, dict) else sent})
                assert "event: error" in text
                assert not outside, (sent, extra, outside)
    assert not dry


def test_uploads_are_handled_for_uploaded_files_only(address: str, tmp_path: Path) -> None:
    """The file whose settings are restored, and the pictures that are shown instead of what a browser cannot show."""
    picture = tmp_path / "secret.png"
    Image.new("RGB", (20, 20)).save(picture)
    config = VISITOR.get(f"{address}config").json()
    handlers_of_uploads = [
        item["id"] for item in config["dependencies"] if item["targets"] and item["targets"][0][1] == "upload"
    ]
    assert len(handlers_of_uploads) == 1 + len(PICTURES)
    named = ({"path": str(picture), "meta": {"_type": "gradio.FileData"}}, {"path": str(picture)}, str(picture))
    for handler, sent in itertools.product(handlers_of_uploads, named):
        body = {"data": [sent], "fn_index": handler, "session_hash": "a"}
        text = VISITOR.post(f"{address}gradio_api/run/predict", json=body).text
        assert "holds no recipe" not in text, "the server opened a file that the visitor only named"
        assert '"error"' in text
        assert not leaks(text)
