"""Many pictures: who paints which, what is written where, and what happens when a worker dies.

Only the driver reads inputs and writes results, so a worker may die at any moment and nothing is half done.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from nst.batch.manifest import Manifest
from nst.batch.work_list import WorkItem
from nst.batch.workers import Outcome, Task, Worker
from nst.images import encode

STATUSES = ("painted", "kept", "failed")  # kept: the very picture was there already
TRIES = 2  # of a picture whose worker died, and of a worker that dies before it is ready
READY_WITHIN_S = 900  # a cluster may have to start machines first


class NoWorkersError(RuntimeError):
    """There is nobody left to paint; the message says what may help."""


@dataclass(frozen=True)
class Report:
    """An order is settled."""

    photo: Path
    status: str  # of STATUSES
    error: str | None = None


@dataclass(frozen=True)
class Assignment:
    """A task and the files that its picture is for: more than one when photos are the same."""

    task: Task
    files: dict[Path, Path]  # result -> photo


def run(
    named: Mapping[Path, WorkItem], workers: Sequence[Worker], manifest: Manifest, curves: bool = False
) -> Iterator[Report]:
    """Paint what is not there yet; a report per order when it is settled. Closing the iterator stops the workers."""
    todo = _Todo(named, manifest, curves)
    try:
        job = yield from todo.next()
        if job:
            yield from _run(todo, job, workers)
    finally:
        for worker in workers:
            worker.stop()


def _run(todo: _Todo, job: Assignment | None, workers: Sequence[Worker]) -> Iterator[Report]:
    backbone = job.task.settings.backbone
    flying: dict[Future, tuple[Worker, Assignment | None]] = {
        worker.start(backbone): (worker, None) for worker in workers
    }
    rested: list[Worker] = []
    deaths = Counter()
    while job or any(flown for _, flown in flying.values()):
        if job and rested:
            worker = rested.pop()
            flying[worker.submit(job.task)] = worker, job
            job = yield from todo.next()  # read while the others paint
            continue
        for future in _landed(flying):
            worker, flown = flying.pop(future)
            try:
                outcome = future.result()
                rested.append(worker)
                deaths.pop(worker, None)
            except worker.deaths as death:
                who = flown.task.key if flown else worker
                deaths[who] += 1
                words = f"its worker died {TRIES} times ({type(death).__name__}); is there memory enough?"
                outcome = None if deaths[who] < TRIES else Outcome(error=words)
                if flown or not outcome:
                    flying[worker.start(backbone)] = worker, None
            if flown:
                yield from todo.settle(flown, outcome) if outcome else todo.put_back(flown)
        job = job or (yield from todo.next())


def _landed(flying: Mapping[Future, tuple[Worker, Assignment | None]]) -> set[Future]:
    """Wait for any of them, but not for ever when nobody paints."""
    patience_s = float("inf") if any(job for _, job in flying.values()) else READY_WITHIN_S
    while flying and patience_s > 0:
        landed, _ = wait(flying, 1, FIRST_COMPLETED)  # in short turns: Windows delivers Ctrl-C only between them
        if landed:
            return landed
        patience_s -= 1
    raise NoWorkersError("no worker stays alive; is there memory for them? Fewer may do: --workers 1")


class _Todo:
    """Orders still to be painted: first those of dead workers, then the others, read when their turn comes."""

    def __init__(self, named: Mapping[Path, WorkItem], manifest: Manifest, curves: bool) -> None:
        self.rest = iter(named.items())
        self.manifest, self.curves = manifest, curves
        self.lost: deque[Assignment] = deque()
        self.jobs: dict[str, Assignment] = {}  # handed out and not settled, by key

    def next(self) -> Generator[Report, None, Assignment | None]:
        """The next one, reporting those on the way that need no worker; None when there is none at the moment."""
        if self.lost:
            return self.lost.popleft()
        for file, order in self.rest:
            try:
                pictures = {name: path.read_bytes() for name, path in order.inputs.items()}
            except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
                name, why = getattr(error, "filename", None) or order.photo, getattr(error, "strerror", None) or error
                words = f"{os.path.basename(name)!r} cannot be opened ({why}); check the path"
                yield self._record(file, order.photo, Task({}, order.settings, ""), Outcome(error=words), "failed")
                continue
            task = Task(pictures, order.settings, encode.format_of(file, order.bits))
            twin = self.manifest.find(task.key, file, [".csv"] if self.curves else [])
            if twin == file:
                yield Report(order.photo, "kept")
            elif twin:
                curve = twin.with_suffix(".csv").read_text() if self.curves else ""
                copy = Outcome(twin.read_bytes(), curve, self.manifest.entries[task.key])
                yield self._record(file, order.photo, task, copy, "kept")
            elif task.key in self.jobs:
                self.jobs[task.key].files[file] = order.photo
            else:
                self.jobs[task.key] = Assignment(task, {file: order.photo})
                return self.jobs[task.key]
        return None

    def put_back(self, job: Assignment) -> Sequence[Report]:
        self.lost.append(job)
        return ()

    def settle(self, job: Assignment, outcome: Outcome) -> Iterator[Report]:
        del self.jobs[job.task.key]
        for number, (file, photo) in enumerate(job.files.items()):
            yield self._record(file, photo, job.task, outcome, "kept" if number else "painted")

    def _record(self, file: Path, photo: Path, task: Task, outcome: Outcome, status: str) -> Report:
        """Write the picture, then the line that says so."""
        error = outcome.error
        try:
            if not error:
                encode.write(outcome.file, file)
            if not error and self.curves:
                encode.write(outcome.curve.encode(), file.with_suffix(".csv"))
        except OSError as failure:
            error = f"{file.name!r} cannot be written ({failure.strerror})"
        told = {"output": file.name, "photo": str(photo), "error": error, "key": task.key}
        told |= {"inputs": task.inputs, "settings": vars(task.settings)}
        self.manifest.add(told | outcome.facts | told)  # these come first, and a copy's facts are of another file
        return Report(photo, "failed" if error else status, error)
