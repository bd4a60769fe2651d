"""Batches equal single runs of the command line, byte for byte, even if their processes are killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from nst.batch.manifest import NAME
from nst.command_line import main
from tests.batch.batches import GOOD, ROOT, arguments, assert_like_single_runs, lines, painted

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


def started(*more: str) -> subprocess.Popen:
    """The batch in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "nst", *arguments(*more)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def wait_until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Child processes of this process that are running, from Linux' /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


def runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@LINUX
def test_killed_half_way_and_its_worker_killed_later_it_makes_the_pictures_of_single_runs(folder: Path, capsys) -> None:
    first = started("--workers", "1")
    wait_until(lambda: len(painted()) >= 3)
    worker_pids = children(first.pid)
    first.kill()
    first.wait(60)  # not for the end of its output, which a worker that went on would keep open
    before = painted()
    assert 3 <= len(before) < len(GOOD)
    assert worker_pids
    wait_until(lambda: not any(map(runs, worker_pids)), 10)  # without a driver no worker continues
    times = {name: (folder / "out" / name).stat().st_mtime_ns for name in before}
    with (folder / "out" / NAME).open("ab") as file:
        file.write(b'{"output": "p8.png", "photo": "in/p')

    at_kill: list[int] = []

    def kill_the_worker() -> None:
        wait_until(lambda: len(painted()) > len(before))
        (worker,) = multiprocessing.active_children()
        at_kill.append(len(lines()))
        worker.kill()

    killer = threading.Thread(target=kill_the_worker)
    killer.start()
    assert main(arguments("--workers", "1")) == 1
    killer.join()
    said, complaints = capsys.readouterr()
    assert painted() == Counter({f"{stem}.png": 1 for stem in GOOD})  # none twice
    assert at_kill[0] < len(lines()) - 2, "the worker was killed when all was painted"
    assert not multiprocessing.active_children()
    assert {name: (folder / "out" / name).stat().st_mtime_ns for name in before} == times
    failed = {line["photo"]: line["error"] for line in lines() if line["error"]}
    assert set(failed) == {str(Path("in") / name) for name in ("p9 corrupt.jpg", "p10 long.png")}
    assert "50 to 1" in failed[str(Path("in") / "p10 long.png")]
    twins = {"p4.png", "p11 again.png"}  # the same picture, painted once: the second file is a copy, "kept"
    kept = len(before) + (not twins <= before.keys())  # the kill may fall between the two files
    assert f"{len(GOOD) - kept} painted, {kept} kept, 2 failed of 12" in said
    assert all(error in complaints for error in failed.values())
    assert "Traceback" not in complaints
    assert {path.name for path in (folder / "out").iterdir()} == {NAME, *(f"{stem}.png" for stem in GOOD)}
    again = [Path(line["output"]).stem for line in lines()[at_kill[0] :] if not line["error"]]  # the first was cut off
    assert_like_single_runs(list(dict.fromkeys([min(before).removesuffix(".png"), *again[:2], "p11 again"])))


@LINUX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_whole_pictures_and_no_process(number: int, code: int, folder: Path) -> None:
    running = started("--workers", "2" if number == signal.SIGINT else "1")
    wait_until(painted)
    worker_pids = children(running.pid)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
    _, complaints = running.communicate(timeout=60)
    assert running.returncode == code
    assert "Traceback" not in complaints
    assert "goes on from here" in complaints
    wait_until(lambda: not any(map(runs, worker_pids)), 10)
    files = {path.name for path in (folder / "out").iterdir()} - {NAME}
    assert files == set(painted())
    for name in files:
        Image.open(folder / "out" / name).load()
    assert len(files) < len(GOOD)
