"""The driver of a batch: gives pictures to workers, writes their results, and replaces workers that die.

Only the driver reads inputs and writes results, so a worker that dies never leaves half a file.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nst.batch.manifest import WRITER, Manifest
from nst.batch.work_list import WorkItem
from nst.batch.workers import Outcome, Task, Worker
from nst.events import early_end
from nst.images import encode

STATUSES = ("painted", "kept", "failed")  # kept: the same picture existed already, so it was not painted again
TRIES = 2  # attempts at a picture whose worker dies, and attempts to start a worker that dies before it is ready
READY_WITHIN_S = 900  # long, because a cluster may have to start machines first


class NoWorkersError(RuntimeError):
    """No worker is alive or becomes ready in time; the message suggests a remedy."""


@dataclass(frozen=True)
class Report:
    """A picture of the work list is done: painted, kept or failed."""

    photo: Path
    status: str  # one of STATUSES
    error: str | None = None  # why it failed
    early_end: str | None = None  # that its run ended before its last step, and why


@dataclass(frozen=True)
class Assignment:
    """A task and its output files: more than one when several photos have the same content."""

    task: Task
    files: dict[Path, Path]  # output file -> photo


def run(
    named: Mapping[Path, WorkItem], workers: Sequence[Worker], manifest: Manifest, curves: bool = False
) -> Iterator[Report]:
    """Paint the pictures that the manifest does not have yet, and yield a report for each picture.

    `named` maps output files to pictures; `curves` also writes each picture's costs as CSV. Closing the iterator stops
    the workers. `NoWorkersError` when none of them stays alive.
    """
    todo = _Todo(named, manifest, curves)
    try:
        assignment = yield from todo.next()
        if assignment:  # start the workers only when there is something to paint
            yield from keep_busy(todo, assignment, workers)
    finally:
        for worker in workers:
            worker.stop()


class Todo(Protocol):
    """What is still to be done. Each method is a generator of reports."""

    def next(self) -> Generator[Any, None, Assignment | None]:
        """Return the next assignment, or None when there is none at the moment."""

    def put_back(self, assignment: Assignment) -> Iterable[Any]:
        """Hand out the assignment once more, because its worker died."""

    def settle(self, assignment: Assignment, outcome: Outcome) -> Iterable[Any]:
        """Take the outcome of an assignment."""


def keep_busy(todo: Todo, following: Assignment | None, workers: Sequence[Worker]) -> Iterator[Any]:
    """Keep every worker busy until all assignments are done; `following` is the next one to hand out."""
    backbone = following.task.settings.backbone
    # A worker that starts has no assignment yet.
    pending: dict[Future, tuple[Worker, Assignment | None]] = {
        worker.start(backbone): (worker, None) for worker in workers
    }
    idle: list[Worker] = []
    deaths = Counter()  # by worker while it starts, by the task's key while it paints
    while following or any(assignment for _, assignment in pending.values()):
        if following and idle:
            worker = idle.pop()
            pending[worker.submit(following.task)] = worker, following
            following = yield from todo.next()  # read the next inputs while the workers paint
            continue
        for future in _completed(pending):
            worker, assignment = pending.pop(future)
            try:
                outcome = future.result()
                idle.append(worker)
                deaths.pop(worker, None)
            except worker.deaths as death:
                blamed = assignment.task.key if assignment else worker
                deaths[blamed] += 1
                message = f"its worker died {TRIES} times ({type(death).__name__}); is there enough memory?"
                outcome = None if deaths[blamed] < TRIES else Outcome(error=message)
                if assignment or not outcome:
                    pending[worker.start(backbone)] = worker, None
            if assignment:
                yield from todo.settle(assignment, outcome) if outcome else todo.put_back(assignment)
        following = following or (yield from todo.next())


def _completed(pending: Mapping[Future, tuple[Worker, Assignment | None]]) -> set[Future]:
    """Wait until one of the futures is done; while no worker paints, for `READY_WITHIN_S` at most."""
    patience_s = float("inf") if any(assignment for _, assignment in pending.values()) else READY_WITHIN_S
    while pending and patience_s > 0:
        completed, _ = wait(pending, 1, FIRST_COMPLETED)  # 1 s at a time: Windows delivers Ctrl-C only between waits
        if completed:
            return completed
        patience_s -= 1
    raise NoWorkersError("no worker stays alive, perhaps for lack of memory; try fewer: --workers 1")


class _Todo:
    """Pictures still to be painted: first those whose worker died, then the others. Inputs are read one at a time."""

    def __init__(self, named: Mapping[Path, WorkItem], manifest: Manifest, curves: bool) -> None:
        self.rest = iter(named.items())
        self.manifest, self.curves = manifest, curves
        self.lost: deque[Assignment] = deque()  # their worker died
        self.handed_out: dict[str, Assignment] = {}  # by task key, until they are settled

    def next(self) -> Generator[Report, None, Assignment | None]:
        """Return the next assignment, or None when there is none at the moment.

        Yield reports of pictures that need no worker: the unreadable ones and those that were painted before.
        """
        if self.lost:
            return self.lost.popleft()
        for file, item in self.rest:
            try:
                pictures = {name: path.read_bytes() for name, path in item.inputs.items()}
            except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
                name, why = getattr(error, "filename", None) or item.photo, getattr(error, "strerror", None) or error
                message = f"{os.path.basename(name)!r} cannot be opened ({why}); check the path"
                yield self._record(file, item.photo, Task({}, item.settings, ""), Outcome(error=message), "failed")
                continue
            task = Task(pictures, item.settings, encode.format_of(file, item.bits))
            twin = self.manifest.find(task.key, file, [".csv"] if self.curves else [])
            if twin == file:
                yield Report(item.photo, "kept")
            elif twin:
                curve = twin.with_suffix(".csv").read_text() if self.curves else ""
                copy = Outcome(twin.read_bytes(), curve, self.manifest.entries[task.key])
                yield self._record(file, item.photo, task, copy, "kept")
            elif task.key in self.handed_out:
                self.handed_out[task.key].files[file] = item.photo
            else:
                self.handed_out[task.key] = Assignment(task, {file: item.photo})
                return self.handed_out[task.key]
        return None

    def put_back(self, assignment: Assignment) -> Sequence[Report]:
        """Hand out the assignment once more, because its worker died. There is nothing to report yet."""
        self.lost.append(assignment)
        return ()

    def settle(self, assignment: Assignment, outcome: Outcome) -> Iterator[Report]:
        """Write the outcome to every file of the assignment, with a report for each."""
        del self.handed_out[assignment.task.key]
        for number, (file, photo) in enumerate(assignment.files.items()):
            yield self._record(file, photo, assignment.task, outcome, "kept" if number else "painted")

    def _record(self, file: Path, photo: Path, task: Task, outcome: Outcome, status: str) -> Report:
        """Write the picture, then its line in the manifest: a line never names a file that was not written."""
        error = outcome.error
        try:
            if not error:
                encode.write(outcome.file, file, WRITER)
            if not error and self.curves:
                encode.write(outcome.curve.encode(), file.with_suffix(".csv"), WRITER)
        except OSError as failure:
            error = f"{file.name!r} cannot be written ({failure.strerror})"
        entry = {"output": file.name, "photo": str(photo), "error": error, "key": task.key}
        entry |= {"inputs": task.inputs, "settings": vars(task.settings)}
        # Twice: first for the order of the fields, then because the facts of a copied picture name its other file.
        self.manifest.add(entry | outcome.facts | entry)
        early = early_end(outcome.facts.get("stopped", ""), outcome.facts.get("steps", 0))
        return Report(photo, "failed" if error else status, error, None if error else early)
