"""Batches on a real Ray cluster of two nodes, one of which is killed; compared with single runs."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # send no usage statistics
if os.environ.get("CI"):
    import ray  # in CI it must be installed
else:
    ray = pytest.importorskip("ray", reason="needs Ray: pip install ray")
from ray.cluster_utils import Cluster

from nst.batch import driver, ray_workers
from nst.batch.manifest import NAME
from nst.batch.workers import CORES
from nst.command_line import main

QUICK = ["--size", "64", "--quality", "draft", "--steps", "4", "--init", "noise", "--seed", "7"]
QUICK += ["--device", "cpu", "--precision", "float32"]
COUNT = 9


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A head that does not paint, and two nodes that paint."""
    alone = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **alone})
    for _ in range(2):
        started.add_node(num_cpus=CORES, include_log_monitor=False)
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    style.save(tmp_path / "style.png")
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        photo.rotate(30 * number).save(tmp_path / "in" / f"p{number}.png")
    (tmp_path / "in" / "corrupt.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines() -> list[dict]:
    manifest = Path("out") / NAME
    return [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.exists() else []


def assert_like_single_runs(numbers: Iterable[int]) -> None:
    """These pictures equal single runs of the command line with as many threads as a node has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(CORES)
    try:
        for number in numbers:
            assert main([f"in/p{number}.png", "style.png", "-o", "single.png", *QUICK]) == 0
            assert Path(f"out/p{number}.png").read_bytes() == Path("single.png").read_bytes()
    finally:
        torch.set_num_threads(threads)


def test_a_killed_node_loses_no_picture_and_paints_none_twice(
    nodes: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    crew: list[ray_workers.Actor] = []
    sent: list[str] = []
    submit, place = ray_workers.Actor.submit, ray_workers.workers

    def watched(actor: ray_workers.Actor, task):
        if not sent:
            ray.get([one.actor.ready.remote("vgg19") for one in crew])  # so that the node to be killed has work too
        sent.append(task.key)
        return submit(actor, task)

    monkeypatch.setattr(ray_workers.Actor, "submit", watched)
    monkeypatch.setattr(ray_workers, "workers", lambda *where: crew.extend(place(*where)) or crew)
    killed: list[list[dict]] = []

    def kill_one_while_both_paint() -> None:
        end = time.monotonic() + 100
        while len(lines()) < 3:
            assert time.monotonic() < end
            time.sleep(0.02)
        killed.append(lines())
        nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

    killer = threading.Thread(target=kill_one_while_both_paint)
    killer.start()
    assert main(["batch", "in", "--style", "style.png", "-o", "out", *QUICK, "--ray", nodes.address]) == 1
    killer.join()
    assert len(crew) == 2
    assert killed
    assert f"{COUNT} painted, 0 kept, 1 failed" in capsys.readouterr().out
    written = Counter(line["output"] for line in lines())
    assert written == Counter({f"p{number}.png": 1 for number in range(COUNT)} | {"corrupt.png": 1})
    assert len(sent) == COUNT + 1 + 1  # only the pictures of the dead node were sent again
    assert max(Counter(sent).values()) == driver.TRIES
    assert_like_single_runs((0, COUNT - 1))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere", "auto"])
def test_a_missing_cluster_is_told_in_a_line(address: str, folder: Path, capsys) -> None:
    assert main(["batch", "in", "--style", "style.png", "-o", "out", "--ray", address]) == 2
    assert f"no Ray cluster at '{address}'" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("out").exists()
