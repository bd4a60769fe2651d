"""Several devices: one run at a time on each; one device: nothing is counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from nst.device import device_names
from nst.ui.server import devices
from nst.ui.server.devices import Devices, on_free_device


def test_gpus_are_named_one_by_one_and_one_alone_is_chosen_automatically(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for count, names in ((1, ["auto"]), (3, ["cuda:0", "cuda:1", "cuda:2"])):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert device_names() == names
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_names() == ["auto"]


def test_runs_at_the_same_time_are_on_different_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Devices(["cuda:0", "cuda:1"])
    monkeypatch.setattr(devices, "devices", lambda: pool)
    all_there = threading.Barrier(2, timeout=10)
    seen: list[str] = []

    @on_free_device
    def run(device: str, number: int, *, step: int) -> Iterator[int]:
        seen.append(device)
        all_there.wait()  # fails unless two runs overlap
        yield number * step

    results: list[int] = []
    threads = [threading.Thread(target=lambda n=n: results.extend(run(n, step=10))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 10, 20, 30]
    assert sorted(seen) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]


def test_a_device_is_free_again_after_an_error_and_when_a_run_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Devices(["cuda:0", "cuda:1"])
    monkeypatch.setattr(devices, "devices", lambda: pool)

    @on_free_device
    def run(device: str) -> Iterator[str]:
        yield device
        raise ValueError("broken")

    abandoned, broken = run(), run()
    assert {next(abandoned), next(broken)} == {"cuda:0", "cuda:1"}
    assert pool.free.empty()
    abandoned.close()
    with pytest.raises(ValueError, match="broken"):
        next(broken)
    assert pool.free.qsize() == 2


def test_with_one_device_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Devices(["auto"])
    monkeypatch.setattr(devices, "devices", lambda: pool)

    @on_free_device
    def run(device: str) -> Iterator[str]:
        yield device

    forgotten = run()
    assert (next(forgotten), next(run())) == ("auto", "auto")


def test_a_watch_is_refused_during_a_run_and_sees_one_that_begins() -> None:
    pool = Devices(["auto"])
    undisturbed = pool.watch()
    assert undisturbed()
    name = pool.take()
    assert pool.watch() is None
    pool.give_back(name)
    assert not undisturbed(), "a run has begun and ended"
    assert pool.watch()()
