"""The work of a batch: one function, called by processes of this machine or by Ray's actors (`nst/cluster.py`)."""

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
from functools import cache, cached_property
from multiprocessing import connection, resource_tracker
from typing import Any, Protocol

import torch

from nst import malloc, recipe, stylise
from nst.device import choose_device
from nst.events import curve_csv
from nst.features import weights
from nst.images import encode
from nst.objective.targets import StyleCache
from nst.settings import Settings

CORES = 2  # of a worker on the CPU


@dataclass(frozen=True)
class Task:
    """What a worker is sent: pictures as the bytes of their files, for it may not see the driver's disk."""

    pictures: Mapping[str, bytes]  # by the names that `recipe.fingerprints` gives them
    settings: Settings
    format: str  # in `encode.FORMATS`

    @cached_property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of the files by name."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.pictures.items()}

    @cached_property
    def key(self) -> str:
        """The same for the same picture: inputs, settings and format."""
        return hashlib.sha256(json.dumps([self.inputs, vars(self.settings), self.format]).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What a worker sends back: the picture's file, or why there is none."""

    file: bytes = b""
    curve: str = ""  # CSV
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the manifest
    error: str | None = None


def paint(task: Task, device: str = "auto") -> Outcome:
    """The work function: the one place where a batch paints, here and on a cluster. Raises nothing."""
    settings = task.settings
    if settings.device == "auto":
        settings = dataclasses.replace(settings, device=device)
    by_kind = {"photo": [], "style": [], "mask": [], "start": [None]}
    for name, content in task.pictures.items():
        by_kind[name.split()[0]].append(content)
    (photo,), styles, masks, (*_, start) = by_kind.values()
    try:
        result = stylise(photo, styles, settings, masks=masks, start=start, memo=_memo())
        file = encode.encode(result.painting.pixels(), task.format)
    except Exception as error:  # whatever ails one picture must not stop the others
        known = isinstance(error, (ValueError, weights.WeightsError))
        return Outcome(error=str(error) if known else f"{type(error).__name__}: {error}")
    facts = dataclasses.asdict(recipe.Recipe.of(result, task.inputs))
    return Outcome(file, curve_csv(result.history), {**facts, "seconds": round(result.seconds, 3)})


@cache
def _memo() -> StyleCache:
    """Of this process."""
    return StyleCache()


def ready(backbone: str) -> None:
    """The first call in a new worker, so that what it lacks shows before any picture."""
    weights.load(backbone)


class Worker(Protocol):
    """Paints a picture at a time, and can be started again when it died."""

    deaths: tuple[type[Exception], ...]  # what a future raises when the worker is gone

    def start(self, backbone: str) -> Future[None]: ...
    def submit(self, task: Task) -> Future[Outcome]: ...
    def stop(self) -> None: ...


class Process:
    """A worker on this machine, in an executor of its own: when that breaks, it is known during which picture."""

    deaths = (BrokenProcessPool,)

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads
        self.executor: ProcessPoolExecutor | None = None

    def start(self, backbone: str) -> Future[None]:
        self.stop()
        before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.executor = ProcessPoolExecutor(1, context, _settle_in, (self.threads,))
        with _deaf_children():
            future = self.executor.submit(ready, backbone)
        self.processes = set(multiprocessing.active_children()) - before
        return future

    def submit(self, task: Task) -> Future[Outcome]:
        try:
            return self.executor.submit(paint, task, self.device)
        except BrokenProcessPool as error:  # it died between two pictures
            future = Future()
            future.set_exception(error)
            return future

    def stop(self) -> None:
        """At once, in the middle of a picture too."""
        if self.executor:
            for process in self.processes:
                process.terminate()
            self.executor.shutdown(cancel_futures=True)
            self.executor = None


@contextmanager
def _deaf_children() -> Iterator[None]:
    """A process that is started here never hears Ctrl-C, not even while it imports; this one hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would end the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle_in(threads: int) -> None:
    """In a new process: Ctrl-C is the driver's business, and without a driver there is nothing to live for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    malloc.prepare()
    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: (connection.wait([parent]), os._exit(1)), daemon=True).start()


def local(device: str, number: int | None) -> list[Worker]:
    """A worker per CUDA device, or per `CORES` of the CPU, unless a number is asked for."""
    chosen = choose_device(device).device
    if chosen.type == "cuda":
        places = [f"cuda:{n}" for n in range(torch.cuda.device_count())] if device == "auto" else [str(chosen)]
        return [Process(places[n % len(places)], 1) for n in range(number or len(places))]
    cores = torch.get_num_threads()  # what OMP_NUM_THREADS or the machine allows
    number = number or max(1, cores // CORES)
    return [Process("cpu", max(1, cores // number)) for _ in range(number)]
