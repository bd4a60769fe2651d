"""A batch on a Ray cluster (ray.io): the same work function in actors, one per GPU or per pair of cores.

Pictures travel through Ray's object store, and this package's source with the job; a node needs requirements.txt only.
"""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from pathlib import Path

import ray
import torch
from ray import exceptions

from nst.batch import workers as work


class Painter:
    """The actor."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def ready(self, backbone: str) -> None:
        work.ready(backbone)

    def paint(self, task: work.Task) -> work.Outcome:
        return work.paint(task)


class Actor:
    """A worker somewhere on the cluster. One whose node died is placed anew when there is room for it."""

    deaths = (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.OutOfMemoryError)

    def __init__(self, kind: str) -> None:
        share = {"num_gpus": 1} if kind == "GPU" else {"num_cpus": work.CORES}
        self.place = ray.remote(Painter).options(max_restarts=0, **share)
        self.actor = None

    def start(self, backbone: str) -> Future[None]:
        self.stop()
        self.actor = self.place.remote(work.CORES)
        return self.actor.ready.remote(backbone).future()

    def submit(self, task: work.Task) -> Future[work.Outcome]:
        return self.actor.paint.remote(task).future()

    def stop(self) -> None:
        if self.actor:
            ray.kill(self.actor)
            self.actor = None


def workers(address: str, number: int | None) -> list[work.Worker]:
    """As many as the cluster at this address has room for now, unless a number is asked for."""
    try:
        if address != "auto":  # Ray would try for five minutes
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        spin = {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "1000")}
        environment = {"py_modules": [str(Path(__file__).parents[1])], "env_vars": spin}
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="WARNING")
    except (OSError, ValueError):
        raise ValueError(f"no Ray cluster at {address!r}; start one (ray start --head) or check HOST:PORT") from None
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    kind, each = ("GPU", 1) if any(node.get("GPU") for node in nodes) else ("CPU", work.CORES)
    room = sum(int(node.get(kind, 0) // each) for node in nodes)
    if not (number or room):
        raise ValueError(f"the cluster has no node with {each} {kind}; add one, or ask for --workers to wait for it")
    return [Actor(kind) for _ in range(number or room)]
