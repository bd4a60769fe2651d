"""The sweep of visitors' files: by age, by the size of all together, never what is in use."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nst.ui.server import disk
from nst.ui.server.disk import Disk, File, chosen

NOW = 10_000.0


def names(files: list[File]) -> str:
    return "".join(file.path for file in files)


def test_what_is_old_goes_then_the_oldest_until_the_rest_fits() -> None:
    files = [
        File(name, 10, NOW - age_s) for name, age_s in zip("abcdef", (4000, 3000, 2000, 1000, 100, 1), strict=True)
    ]
    assert names(chosen(files, NOW, 3600, 1000, frozenset())) == "a"
    assert names(chosen(files, NOW, 3600, 30, frozenset())) == "abc"
    assert names(chosen(files, NOW, 3600, 30, frozenset("b"))) == "acd", "what is in use stays, and counts"
    assert names(chosen(files, NOW, 3600, 0, frozenset())) == "abcde", "what is new stays"
    assert names(chosen(files[::-1], NOW, 1e9, 60, frozenset())) == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four files of 1000 bytes, the oldest first, in folders of their own; the last two are alike new."""
    for number, name in enumerate(("a.png", "b.webp", "c.zip", "fetched")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / name).write_bytes(b"x" * 1000)
    return tmp_path


def sweep(folder: Path, later_s: float, most_bytes: int, **more: object) -> list[str]:
    """Names of the files that a sweep leaves, `later_s` seconds after they were written."""
    now = time.time() + later_s
    Disk(str(folder), 3600, most_bytes, clock=lambda: now, **more).sweep()
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_files_of_every_kind_are_swept_with_their_folders(folder: Path) -> None:
    assert len(sweep(folder, 100, 10_000)) == 4
    assert len(sweep(folder, 100, 2_000)) == 2
    assert sweep(folder, 4000, 10_000) == []
    assert not list(folder.iterdir())


def test_what_is_in_use_or_new_is_left(folder: Path) -> None:
    assert len(sweep(folder, 10, 0)) == 4
    used = str((folder / "0" / "a.png").resolve())
    assert sweep(folder, 4000, 0, kept=lambda: frozenset({used})) == ["a.png"]


def test_an_upload_that_does_not_fit_makes_room_or_is_refused(folder: Path) -> None:
    now = SimpleNamespace(s=time.time() + 100)
    watched = Disk(str(folder), 3600, 5_000, clock=lambda: now.s)
    watched.sweep()
    assert watched.bytes == 4000

    async def play() -> list[bool]:
        found = []
        for bytes_ in (900, 900, 6000):
            now.s += 5
            found.append(await watched.has_room(bytes_))
        return found

    assert asyncio.run(play()) == [True, True, False], "announced bytes that were never written are forgotten"


def test_the_pages_own_files_and_those_of_waiting_runs_are_in_use(tmp_path: Path) -> None:
    sent = [{"path": str(tmp_path / "a.png")}, [{"image": {"path": str(tmp_path / "b.png")}}], "text", {"path": "\0"}]
    events = {"1": SimpleNamespace(data=SimpleNamespace(data=sent)), "2": SimpleNamespace(data=None)}
    blocks = SimpleNamespace(
        blocks={0: SimpleNamespace(keep_in_cache={str(tmp_path / "first.jpg")}), 1: SimpleNamespace()},
        _queue=SimpleNamespace(event_ids_to_events=events),
    )
    assert disk.in_use(blocks) == {str((tmp_path / name).resolve()) for name in ("first.jpg", "a.png", "b.png")}
