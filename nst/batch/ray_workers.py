"""A batch on a Ray cluster (ray.io): actors that call the same work function, one per GPU or per pair of cores.

Ray carries the pictures and this package's source to the nodes; a node needs only the installed requirements.
"""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from pathlib import Path

import ray
import torch
from ray import exceptions

from nst import openmp
from nst.batch import workers as work


class Painter:
    """The remote class: an instance of it runs on a node of the cluster."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def ready(self, backbone: str) -> None:
        work.ready(backbone)

    def paint(self, task: work.Task) -> work.Outcome:
        return task.work()


class Actor:
    """A worker on some node of the cluster. After its node has died, Ray places it on another one with free room."""

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
    """Workers on the cluster at this address: `number` of them, or else as many as it has room for now.

    `address` is "auto", HOST:PORT or ray://HOST:PORT. `ValueError` when there is no cluster, or no room in it.
    """
    try:
        if address != "auto":  # test the address first, because Ray would try to connect for five minutes
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        spin = {name: os.environ[name] for name in openmp.VARIABLES if name in os.environ}
        environment = {"py_modules": [str(Path(__file__).parents[1])], "env_vars": spin}
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="WARNING")
    except (OSError, ValueError, RuntimeError, exceptions.RayError):  # Ray's own, of a cluster that has just ended
        raise ValueError(f"no Ray cluster at {address!r}; start one (ray start --head) or check HOST:PORT") from None
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    kind, each = ("GPU", 1) if any(node.get("GPU") for node in nodes) else ("CPU", work.CORES)
    room = sum(int(node.get(kind, 0) // each) for node in nodes)
    if not (number or room):
        raise ValueError(f"the cluster has no node with {each} {kind}; add one, or ask for --workers to wait for it")
    return [Actor(kind) for _ in range(number or room)]
