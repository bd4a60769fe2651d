"""`python app.py` as a Space runs it, from the files that would be pushed: no network, a full disk, leaks, SIGTERM.

One process serves all tests, because its start takes longer than any of them. Faults of runs: test_faults.py.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from gradio_client import Client, handle_file

from nst.ui.server import examples
from tests.load import soak
from tests.serving import VISITOR, serve, usual_values

ROOT = Path(__file__).resolve().parents[3]
MOST_MB = 10  # limit for a file outside Git LFS
MOST_S = 5.0  # after which a server that was terminated counts as hung
SMALL = {"size": 64, "quality": "draft", "max_seconds": 2}


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
def pushed() -> list[str]:
    """The files that git would push to a Space."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


@pytest.fixture(scope="module")
def served(pushed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The process, its address, the folder of its temporary files, and the file that lists attempts to reach a network.

    What it logs goes nowhere, because the log must not be a file on a disk that is full.
    """
    space, patch, folder = (tmp_path_factory.mktemp(name) for name in ("space", "patch", "temporary"))
    for name in pushed:
        (space / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, space / name)
    (patch / "sitecustomize.py").write_text(NO_NETWORK.format(harmless=HARMLESS))
    more = {"PYTHONPATH": str(patch), "ATTEMPTS": str(patch / "attempts"), "SYSTEM": "spaces"}
    process, address = serve(folder, space, log=subprocess.DEVNULL, **more)
    yield SimpleNamespace(process=process, address=address, folder=folder, attempts=patch / "attempts")
    process.kill()
    process.wait()


def inputs() -> dict[str, object]:
    photo, style, _, _ = examples.first_sight()
    return {"photo": handle_file(photo), "style": handle_file(style), "api_name": "/stylise"}


def test_what_would_be_pushed_is_small(pushed: list[str]) -> None:
    assert [name for name in pushed if (ROOT / name).stat().st_size > MOST_MB * 1e6] == []


def test_alone_and_without_a_network_the_page_starts_and_paints_and_asks_for_none(served: SimpleNamespace) -> None:
    assert "Neural style transfer" in VISITOR.get(served.address).text
    assert "/stylise" in VISITOR.get(f"{served.address}gradio_api/info").json()["named_endpoints"]
    assert Client(served.address, verbose=False).predict(**inputs(), **SMALL)[2].startswith("Finished")
    assert not served.attempts.exists(), served.attempts.read_text()


def test_a_full_disk_fails_one_request_and_not_the_page(served: SimpleNamespace) -> None:
    """No file may grow while the limit holds, as on a full disk."""
    address, pid = served.address, served.process.pid
    photo, style, _, _ = examples.first_sight()
    visitor = Client(address, verbose=False)
    files = [("files", (Path(path).name, Path(path).read_bytes())) for path in (photo, style)]
    paths = VISITOR.post(f"{address}gradio_api/upload", files=files).json()
    there = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    usual_limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, usual_limit[1]))
    try:
        upload = VISITOR.post(f"{address}gradio_api/upload", files=[("files", ("a.jpg", Path(photo).read_bytes()))])
        assert (upload.status_code, upload.text) == (500, "Internal Server Error")
        asked = usual_values(*there) | {"size": 96}  # a frame of another size has no file yet
        sent = VISITOR.post(f"{address}gradio_api/call/stylise", json={"data": list(asked.values())}).json()
        told = VISITOR.get(f"{address}gradio_api/call/stylise/{sent['event_id']}").text
        assert "event: error" in told
        assert str(served.folder) not in told
        assert VISITOR.get(address).status_code == 200
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual_limit)
    assert visitor.predict(**inputs(), **SMALL)[2].startswith("Finished")


def test_runs_leave_no_thread_file_or_socket_and_no_memory(served: SimpleNamespace) -> None:
    """One of four runs is abandoned. More than two of a kind would be left if each run left one."""
    soak.visit(served.address, 1, size=64)
    time.sleep(soak.SETTLE_S)
    first = soak.census(served.process.pid)
    soak.visit(served.address, 4, size=64)
    time.sleep(soak.SETTLE_S)
    last = soak.census(served.process.pid)
    print(first, last)
    for what in ("threads", "files", "sockets"):
        assert last[what] <= first[what] + 2, (what, first, last)
    # Memory may take one step of 100 MiB when a second thread first paints; `python -m tests.load soak` tells a leak.
    assert last["resident_mib"] < 1.2 * first["resident_mib"], (first, last)


def test_sigterm_in_the_middle_of_a_run_ends_all_and_leaves_no_file(served: SimpleNamespace) -> None:
    """The last test of the process."""
    server = served.process
    job = Client(served.address, verbose=False).submit(**inputs(), size=384, quality="fine")
    while len(job.outputs()) < 2:
        assert not job.done()
        time.sleep(0.05)
    assert list(served.folder.glob("nst-*/*/*.jpg")), "uploads and frames are in a folder of this process"
    server.send_signal(signal.SIGTERM)
    assert server.wait(MOST_S) == 143
    with pytest.raises(ProcessLookupError):
        os.killpg(server.pid, 0)  # fails once its group has no process left
    assert not list(served.folder.glob("nst-*"))


HOARDER = """
import os, socket
print("empty", flush=True)
input()
kept = os.urandom(1 << 25), socket.socket(), open(os.devnull), socket.socket()
print("full", flush=True)
input()
"""


def test_the_census_sees_what_is_left_open() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOARDER], **pipes) as hoarder:
        assert hoarder.stdout.readline() == "empty\n"
        before = soak.census(hoarder.pid)
        print(file=hoarder.stdin, flush=True)
        assert hoarder.stdout.readline() == "full\n"
        after = soak.census(hoarder.pid)
        print(file=hoarder.stdin, flush=True)
    assert (after["files"] - before["files"], after["sockets"] - before["sockets"]) == (1, 2)
    assert after["resident_mib"] - before["resident_mib"] == pytest.approx(32, abs=2)
