"""Pictures by address: from public servers only, within the limits, and each failure is a sentence."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from nst.ui.server.fetch import Fetcher, is_public

PUBLIC = ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1")
CLOSED = (
    *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"),
    *("255.255.255.255", "203.0.113.7", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1", "::ffff:10.0.0.1"),
)


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_address_is_allowed_on_the_ports_of_web_servers(host: str) -> None:
    assert is_public(host, 80)
    assert is_public(host, 443)
    assert not is_public(host, 22)


@pytest.mark.parametrize("host", CLOSED)
def test_any_other_address_is_not(host: str) -> None:
    assert not is_public(host, 80)


Answer = Callable[[httpx.Request], httpx.Response]


def arrived() -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"picture"))


def load(folder: Path, answer: Answer, address: str = "http://1.1.1.1/a.png", **more: object) -> tuple[str, list[str]]:
    """Load one picture from a simulated server -> its path, and the hosts that were asked."""
    asked: list[str] = []

    def watched(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return answer(request)

    fetcher = Fetcher(str(folder), 1000, transport=httpx.MockTransport(watched), **more)
    try:
        (path,) = asyncio.run(fetcher.load([address]))
    except ValueError as error:
        return str(error), asked
    return path, asked


def test_a_picture_is_written_to_a_folder_that_is_named_by_its_content(tmp_path: Path) -> None:
    path, asked = load(tmp_path, lambda _: arrived())
    assert Path(path).read_bytes() == b"picture"
    assert Path(path).parent == tmp_path / hashlib.sha256(b"picture").hexdigest()
    assert asked == ["1.1.1.1"]


def test_a_name_is_looked_up_once_and_the_checked_address_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = []

    async def getaddrinfo(loop: object, host: str, port: int, **_: object) -> list[tuple]:
        lookups.append(host)
        return [(2, 1, 6, "", ("93.184.215.14" if len(lookups) == 1 else "127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["host"], request.extensions["sni_hostname"]))
        return arrived()

    path, asked = load(tmp_path, answer, "https://user:word@pictures.example/a.png")
    assert Path(path).is_file()
    assert lookups == ["pictures.example"]
    assert asked == ["93.184.215.14"]
    assert seen == [("pictures.example", "pictures.example")], "certificate and server are asked by name"


def test_one_private_address_among_several_is_enough_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(loop: object, host: str, port: int, **_: object) -> list[tuple]:
        return [(2, 1, 6, "", (address, port)) for address in ("1.1.1.1", "127.0.0.1")]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    sentence, asked = load(tmp_path, lambda _: arrived(), "http://rebind.example/")
    assert "not on the public internet" in sentence
    assert not asked


def test_each_redirect_is_checked_and_there_are_few(tmp_path: Path) -> None:
    def inside(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "http://169.254.169.254/latest/"})

    sentence, asked = load(tmp_path, inside)
    assert "not on the public internet" in sentence
    assert asked == ["1.1.1.1"], "what is inside was never asked"
    for scheme in ("file:///etc/passwd", "ftp://1.1.1.1/a", "//[::1]/a"):
        sentence, asked = load(tmp_path, lambda _, to=scheme: httpx.Response(302, headers={"location": to}))
        assert asked == ["1.1.1.1"], scheme
        assert sentence.endswith(".")
    sentence, asked = load(tmp_path, lambda _: httpx.Response(301, headers={"location": "/again"}))
    assert "leads on more than 3 times" in sentence
    assert len(asked) == 4


def test_what_is_too_large_is_cut_while_it_streams_and_leaves_no_file(tmp_path: Path) -> None:
    sent = []

    async def endless():
        while True:
            sent.append(400)
            yield b"x" * 400

    sentence, _ = load(tmp_path, lambda _: httpx.Response(200, content=endless()))
    assert "the limit of this page" in sentence
    assert sum(sent) <= 1600
    assert not list(tmp_path.iterdir())


def test_what_is_slow_ends_after_the_time_of_all_together(tmp_path: Path) -> None:
    async def slow():
        while True:
            await asyncio.sleep(0.02)
            yield b"x"

    began = time.monotonic()
    sentence, _ = load(tmp_path, lambda _: httpx.Response(200, content=slow()), most_s=0.1)
    assert time.monotonic() - began < 2
    assert "did not arrive within 0.1 s" in sentence
    assert not list(tmp_path.iterdir())


def test_every_failure_is_a_sentence_without_a_password(tmp_path: Path) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    sentence, _ = load(tmp_path, broken, "http://me:secret@1.1.1.1/a.png?key=secret")
    assert sentence == "The picture at http://1.1.1.1/a.png cannot be loaded (ConnectError); upload it instead."
    assert "status 404" in load(tmp_path, lambda _: httpx.Response(404))[0]
    for address in (
        "http://",
        "http://[",
        "https://a b/",
        "http://1.1.1.1:99999/",
        "http://1.1.1.1:22/",
        "http://x..y/",
    ):
        sentence, asked = load(tmp_path, lambda _: httpx.Response(200, content=b"x"), address)
        assert sentence.endswith("."), address
        assert not asked, address
