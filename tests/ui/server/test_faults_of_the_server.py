"""Injected faults around `python app.py`: a full disk, and no network. Faults of runs: test_faults.py."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client, handle_file

from nst.ui.server import examples
from tests.serving import serve, usual_values

SMALL = {"size": 128, "quality": "draft", "max_seconds": 2}


HARMLESS = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


NO_NETWORK = """
import os, socket

def refusing(usual):
    def connect(self, address):
        if isinstance(address, tuple) and address[0] not in {harmless!r}:
            print(address, file=open(os.environ["ATTEMPTS"], "a"))
            raise OSError(101, "Network is unreachable")
        return usual(self, address)
    return connect

def lookup(host, *rest, usual=socket.getaddrinfo, **more):
    if host not in {harmless!r}:
        print(host, file=open(os.environ["ATTEMPTS"], "a"))
        raise socket.gaierror(-3, "Temporary failure in name resolution")
    return usual(host, *rest, **more)

socket.getaddrinfo = lookup
socket.socket.connect = refusing(socket.socket.connect)
socket.socket.connect_ex = refusing(socket.socket.connect_ex)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """`python app.py` without a network: its process, address and folder, and the file that lists attempts to reach it.

    What it logs goes nowhere, because the log must not be a file on a disk that is full.
    """
    folder = tmp_path_factory.mktemp("server")
    attempts = folder / "attempts"
    (folder / "sitecustomize.py").write_text(NO_NETWORK.format(harmless=HARMLESS))
    more = {"PYTHONPATH": str(folder), "ATTEMPTS": str(attempts)}
    process, address = serve(folder, log=subprocess.DEVNULL, **more)
    yield SimpleNamespace(pid=process.pid, address=address, folder=folder, attempts=attempts)
    process.terminate()
    process.wait()


def inputs() -> dict[str, object]:
    photo, style, _, _ = examples.first_sight()
    return {"photo": handle_file(photo), "style": handle_file(style), **SMALL, "api_name": "/stylise"}


def test_without_a_network_the_page_starts_and_paints_and_asks_for_none(served: SimpleNamespace) -> None:
    assert Client(served.address, verbose=False).predict(**inputs())[2].startswith("Finished")
    assert not served.attempts.exists(), served.attempts.read_text()


def test_a_full_disk_fails_one_request_and_not_the_page(served: SimpleNamespace) -> None:
    """No file may grow while the limit holds, as on a full disk."""
    address = served.address
    photo, style, _, _ = examples.first_sight()
    visitor, whole = Client(address, verbose=False), inputs()
    files = [("files", (Path(path).name, Path(path).read_bytes())) for path in (photo, style)]
    paths = httpx.post(f"{address}gradio_api/upload", files=files).json()
    there = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    usual_limit = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (0, usual_limit[1]))
    try:
        upload = httpx.post(f"{address}gradio_api/upload", files=[("files", ("a.jpg", Path(photo).read_bytes()))])
        assert (upload.status_code, upload.text) == (500, "Internal Server Error")
        asked = usual_values(*there)
        sent = httpx.post(f"{address}gradio_api/call/stylise", json={"data": list(asked.values())}).json()
        told = httpx.get(f"{address}gradio_api/call/stylise/{sent['event_id']}", timeout=60).text
        assert "event: error" in told
        assert str(served.folder) not in told
        assert httpx.get(address).status_code == 200
    finally:
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, usual_limit)
    assert visitor.predict(**whole)[2].startswith("Finished")
