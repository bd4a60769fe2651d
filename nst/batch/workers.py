"""The work function of a batch, and processes of this machine that call it; Ray's actors are in `ray_workers.py`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import connection, resource_tracker
from typing import Any, Protocol

import torch

from nst import malloc, recipe, stylise
from nst.device import choose_device
from nst.events import curve_csv
from nst.features import weights
from nst.images import encode
from nst.memory import OutOfMemoryError
from nst.objective.targets import kept_styles
from nst.settings import Settings

CORES = 2  # for each worker on the CPU


@dataclass(frozen=True)
class Task:
    """The input of the work function. Pictures are the bytes of their files: a worker may have another disk."""

    pictures: Mapping[str, bytes]  # by name, as in `recipe.fingerprints`: "photo", "style 1" ...
    settings: Settings
    format: str  # a key of `encode.FORMATS`

    @cached_property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of the files by name."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.pictures.items()}

    @cached_property
    def key(self) -> str:
        """SHA-256 of inputs, settings and format: equal keys mean equal pictures."""
        return hashlib.sha256(json.dumps([self.inputs, vars(self.settings), self.format]).encode()).hexdigest()

    def work(self, device: str = "auto") -> Outcome:
        """What a worker does with the task."""
        return paint(self, device)


@dataclass(frozen=True)
class Outcome:
    """The output of the work function: the picture's file, or the error."""

    file: bytes = b""
    curve: str = ""  # the costs as CSV
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the manifest
    error: str | None = None


def paint(task: Task, device: str = "auto") -> Outcome:
    """The work function: paint one picture, on this machine or on a cluster. Errors are returned, not raised.

    `device` is used when the settings leave it at "auto".
    """
    settings = task.settings
    if settings.device == "auto":
        settings = dataclasses.replace(settings, device=device)
    by_kind = {"photo": [], "style": [], "mask": [], "start": [None], "style mask": []}
    for name, content in task.pictures.items():
        by_kind[name.rstrip(" 0123456789")].append(content)
    (photo,), styles, masks, (*_, start), style_masks = by_kind.values()
    try:
        given = {"masks": masks, "start": start, "style_masks": style_masks}
        result = stylise(photo, styles, settings, memo=kept_styles(), **given)
        text = None
        if encode.FORMATS[task.format].keeps_text:
            text = recipe.text(recipe.Recipe.of(result, recipe.fingerprints(photo, styles, **given)))
        file = encode.encode(result.painting.pixels(), task.format, text)
    except Exception as error:  # an error in one picture must not stop the others
        known = isinstance(error, (ValueError, weights.WeightsError, OutOfMemoryError))
        return Outcome(error=str(error) if known else f"{type(error).__name__}: {error}")
    facts = dataclasses.asdict(recipe.Recipe.of(result, task.inputs))
    return Outcome(file, curve_csv(result.history), {**facts, "seconds": round(result.seconds, 3)})


def _work(task: Task, device: str) -> Outcome:
    return task.work(device)


def ready(backbone: str) -> None:
    """The first call in a new worker: load the weights, so that an error appears before the first picture."""
    weights.load(backbone)


class Worker(Protocol):
    """Paints one picture at a time, and can be started again after it has died."""

    deaths: tuple[type[Exception], ...]  # exceptions of a future that mean that the worker has died

    def start(self, backbone: str) -> Future[None]: ...
    def submit(self, task: Task) -> Future[Outcome]: ...
    def stop(self) -> None: ...


class Process:
    """A worker process on this machine, with its own executor: when that breaks, the picture at fault is known."""

    deaths = (BrokenProcessPool,)

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads
        self.executor: ProcessPoolExecutor | None = None

    def start(self, backbone: str) -> Future[None]:
        self.stop()
        before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.executor = ProcessPoolExecutor(1, context, _settle_in, (self.threads,))
        with _children_ignore_interrupts():
            future = self.executor.submit(ready, backbone)
        self.processes = set(multiprocessing.active_children()) - before
        return future

    def submit(self, task: Task) -> Future[Outcome]:
        try:
            return self.executor.submit(_work, task, self.device)
        except BrokenProcessPool as error:  # the process died between two pictures
            future = Future()
            future.set_exception(error)
            return future

    def stop(self) -> None:
        """End the process at once, even in the middle of a picture."""
        if self.executor:
            for process in self.processes:
                process.terminate()
            self.executor.shutdown(cancel_futures=True)
            self.executor = None


@contextmanager
def _children_ignore_interrupts() -> Iterator[None]:
    """Block SIGINT (Ctrl-C) in processes started in this context, even while they import their modules.

    In this process a Ctrl-C is delivered when the context ends. Without effect on Windows.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # first, because starting it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle_in(threads: int) -> None:
    """Prepare a new worker process: ignore Ctrl-C, which the driver handles, and exit when the driver has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    malloc.prepare()
    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: (connection.wait([parent]), os._exit(1)), daemon=True).start()


def local(device: str, number: int | None) -> list[Worker]:
    """Workers on this machine: `number` of them, or else one per CUDA device or one per `CORES` cores of the CPU."""
    chosen = choose_device(device).device
    if chosen.type == "cuda":
        places = [f"cuda:{n}" for n in range(torch.cuda.device_count())] if device == "auto" else [str(chosen)]
        return [Process(places[n % len(places)], 1) for n in range(number or len(places))]
    cores = torch.get_num_threads()  # OMP_NUM_THREADS, or the cores of the machine
    number = number or max(1, cores // CORES)
    return [Process("cpu", max(1, cores // number)) for _ in range(number)]


def cluster(address: str, number: int | None) -> list[Worker]:
    """Workers on a Ray cluster, as `nst.batch.ray_workers.workers` gives them. `ValueError` where Ray is missing."""
    try:
        from nst.batch import ray_workers  # Ray is not among the requirements
    except ImportError:
        raise ValueError("--ray needs Ray; install it: pip install ray") from None
    return ray_workers.workers(address, number)
