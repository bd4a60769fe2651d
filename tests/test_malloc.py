"""How much memory the heap keeps and returns, counted by the system."""

import subprocess
import sys

import pytest

GLIBC = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap")
BEGIN = """
import resource, sys, threading, torch
from nst import malloc

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

def work(mib=34):
    torch.ones(mib * 2**18)
"""


def run(program: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", BEGIN + program], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


@GLIBC
def test_a_prepared_heap_asks_for_its_pages_once() -> None:
    program = "{}; [work() for _ in range(5)]; before = faults(); [work() for _ in range(10)]; print(faults() - before)"
    (plain,), (prepared,) = run(program.format("pass")), run(program.format("malloc.prepare()"))
    pages = 10 * 34 * 2**20 / 4096
    assert plain > 0.5 * pages
    assert prepared < 0.15 * pages


@GLIBC
def test_threads_share_a_prepared_heap() -> None:
    program = """
malloc.prepare()
work()
before = faults()
for _ in range(30):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(faults() - before)
"""
    assert run(program)[0] < 0.15 * 30 * 34 * 2**20 / 4096


@GLIBC
def test_trim_gives_back_what_is_free() -> None:
    before, kept, trimmed = run(
        "malloc.prepare(); before = resident_mib(); "
        "blocks = [torch.ones(2**22) for _ in range(20)]; del blocks; kept = resident_mib(); malloc.trim(); "
        "print(before, kept, resident_mib())"
    )
    assert kept > before + 250
    assert trimmed < before + 20


@GLIBC
def test_a_run_gives_its_memory_back_however_it_ends() -> None:
    program = """
malloc.prepare()
import numpy as np
from PIL import Image
import nst
noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
shallow = dict(content_layers={"relu1_2": 1.0}, style_layers={"relu2_1": 1.0})  # most of the memory, and quick
given = dict(steps=2, pyramid=False, device="cpu", **shallow)
nst.stylise(noise, noise, nst.Settings(size=64, **given))  # weights, libraries
for end in (list, lambda events: events.close()):
    before = resident_mib()
    events = nst.stylise_events(noise, noise, nst.Settings(size=288, **given))
    next(events), next(events)
    during = resident_mib()
    end(events)
    print(during - before, resident_mib() - before)
"""
    for during, after in zip(*[iter(run(program))] * 2, strict=True):
        assert during > 85
        assert after < 28


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from nst import malloc

    def no_library(name: None) -> None:
        raise TypeError("bad argument type for built-in operation")

    monkeypatch.setattr(malloc.ctypes, "CDLL", no_library)
    malloc.prepare()
    malloc.trim()
