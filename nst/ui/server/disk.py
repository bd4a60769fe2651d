"""Delete what visitors leave on disk: files over an age, and the oldest ones when all together are over a limit.

gradio's own sweep (6.31) knows only files that were the value of a component.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst.ui.server import files
from nst.ui.server.bodies import files_in

log = logging.getLogger(__name__)
EVERY_S = 10.0  # between two sweeps
NEW_S = 30.0  # a file that is younger is never deleted: it may be written, or be about to be downloaded
AT_WORK: set[str] = set()  # folders that a run writes to
FULL = "The server's disk space for pictures is used up. Please try again in some minutes."


@dataclass(frozen=True)
class File:
    """A file of the folder, as it was when the folder was read."""

    path: str
    bytes: int
    changed_s: float  # time of the last change, in seconds of the system's clock


@contextlib.contextmanager
def folder_at_work(parent: str) -> Iterator[Path]:
    """A folder for the files of a run, which no sweep touches; it is removed at the end."""
    folder = files.new_folder(parent)
    AT_WORK.add(folder)
    try:
        yield Path(folder)
    finally:
        AT_WORK.discard(folder)
        shutil.rmtree(folder, ignore_errors=True)


def files_of(folder: str) -> Iterator[File]:
    """Every file below a folder; links count as files and are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(path)
                # gradio touches a file that it gives out once more; a rename changes the ctime alone
                yield File(path, found.st_size, max(found.st_mtime, found.st_ctime))


def size_of(path: str) -> int:
    """Bytes of a file; 0 when it is gone."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def chosen(files: Iterable[File], now_s: float, most_s: float, most_bytes: int, kept: frozenset[str]) -> list[File]:
    """What is to be deleted: all that is too old, then the oldest until the rest has at most `most_bytes`.

    `kept` and new files stay, but their bytes count.
    """
    ordered = sorted(files, key=lambda file: file.changed_s)
    total = sum(file.bytes for file in ordered)
    out = []
    for file in ordered:
        age_s = now_s - file.changed_s
        if file.path in kept or age_s < NEW_S or (age_s <= most_s and total <= most_bytes):
            continue
        out.append(file)
        total -= file.bytes
    return out


class Disk:
    """The folder of visitors' files, its limits, and how many bytes it has."""

    def __init__(
        self, folder: str, most_s: float, most_bytes: int, kept: Callable[[], frozenset[str]] = frozenset,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.folder, self.most_s, self.most_bytes = folder, most_s, most_bytes
        self.kept, self.clock = kept, clock
        self.bytes = 0  # at the last sweep, and what was announced since
        self.swept_s = -NEW_S

    def sweep(self) -> None:
        """Delete what is too old or too much, and the folders that it leaves empty."""
        self.swept_s = now_s = self.clock()
        found = list(files_of(self.folder))
        gone = chosen(found, now_s, self.most_s, self.most_bytes, self.kept())
        for file in gone:
            with contextlib.suppress(OSError):
                os.unlink(file.path)
        self.bytes = sum(file.bytes for file in found) - sum(file.bytes for file in gone)
        for place, _, _ in os.walk(self.folder, topdown=False):
            with contextlib.suppress(OSError):  # not empty, or someone else was faster
                if place != self.folder and now_s - os.lstat(place).st_mtime > NEW_S:
                    os.rmdir(place)

    async def has_room(self, more_bytes: int) -> bool:
        """Whether `more_bytes` can be written; if so, they count from now on. Sweeps first when they do not fit."""
        if self.bytes + more_bytes > self.most_bytes and self.clock() - self.swept_s > 1:
            await asyncio.to_thread(self.sweep)
        if self.bytes + more_bytes > self.most_bytes:
            return False
        self.bytes += more_bytes
        return True

    async def sweep_for_ever(self) -> None:
        """Sweep every now and then. A sweep that fails is told in the log, and the next one tries again."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await asyncio.to_thread(self.sweep)
            except Exception:
                log.exception("visitors' files could not be swept")


def in_use(blocks: Any) -> frozenset[str]:
    """Paths of the files that the page itself shows, and of those that a waiting or current run reads or writes."""
    page = (path for block in blocks.blocks.values() for path in getattr(block, "keep_in_cache", ()))
    events = [event.data.data for event in list(blocks._queue.event_ids_to_events.values()) if event.data]
    sent = (file.get("path") for file in files_in(events))
    known = (str(Path(path).resolve()) for path in (*page, *sent) if isinstance(path, str) and "\0" not in path)
    written = (file.path for folder in list(AT_WORK) for file in files_of(folder))
    return frozenset((*known, *written))
