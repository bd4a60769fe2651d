"""The page as a process: it removes its files when it is terminated, and does not grow while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from nst.ui.server import examples
from tests.load import soak
from tests.serving import serve

MOST_S = 5.0  # after which a server that was terminated counts as hung


def test_sigterm_in_the_middle_of_a_run_ends_all_and_leaves_no_file(tmp_path: Path) -> None:
    server, address = serve(tmp_path)
    try:
        photo, style, _, _ = examples.first_sight()
        visitor = Client(address, verbose=False)
        inputs = {"photo": handle_file(photo), "style": handle_file(style)}
        job = visitor.submit(**inputs, size=768, quality="fine", api_name="/stylise")
        while len(job.outputs()) < 2:
            assert not job.done()
            time.sleep(0.05)
        assert list(tmp_path.glob("nst-*/*/*.jpg")), "uploads and frames are in a folder of this process"
        server.send_signal(signal.SIGTERM)
        assert server.wait(MOST_S) == 143
        with pytest.raises(ProcessLookupError):
            os.killpg(server.pid, 0)  # fails once its group has no process left
        assert not list(tmp_path.glob("nst-*"))
    finally:
        server.kill()
        server.wait()


def test_runs_leave_no_thread_file_or_socket_and_no_memory() -> None:
    first, *_, last = soak.censuses(4, every=2)
    assert (first["runs"], last["runs"]) == (2, 4)
    print(first, last)
    for what in ("threads", "files", "sockets"):
        assert last[what] <= first[what] + 2, (what, first, last)
    # Memory may take one step of 100 MiB when a second thread first paints; `python -m tests.load soak` tells a leak.
    assert last["grown"] < 0.2, (first, last)


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
