"""Soak test of the page: what its process holds after many runs, a fourth of which are abandoned."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from nst.bench.engine import Row
from nst.bench.visitor import PHOTO, STYLE, served

EVERY = 10  # runs between two censuses, all by one visitor
LONGEST_S = 1  # limit of a run's time
ABANDONED = 4  # every n-th run is abandoned in the middle
SETTLE_S = 1.5  # time for sockets to close and abandoned runs to end


def soak(quick: bool) -> Iterator[Row]:
    """Threads, files, sockets and memory of `nst page` after each ten short runs; `grown`: since the first row."""
    yield from censuses(30 if quick else 300)


def censuses(runs: int, every: int = EVERY) -> Iterator[Row]:
    """A census after each group of `every` runs through the API."""
    many = {"NST_STARTS_PER_MINUTE": "100000", "NST_UPLOADS_PER_MINUTE": "100000"}
    with served(**many, NST_MAX_SIZE="256") as (address, pid):
        first: Row = {}
        for done in range(every, runs + 1, every):
            visit(address, every)
            time.sleep(SETTLE_S)
            row = {"runs": done, **census(pid)}
            first = first or row
            yield {**row, "grown": row["resident_mib"] / first["resident_mib"] - 1}


def visit(address: str, runs: int, size: int = 128) -> None:
    """Do `runs` runs as one visitor, one after another."""
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    inputs = {"photo": handle_file(PHOTO), "style": handle_file(STYLE), "size": size, "api_name": "/stylise"}
    for number in range(1, runs + 1):
        job = client.submit(**inputs, quality="draft", max_seconds=LONGEST_S)
        if number % ABANDONED:
            job.result()
        else:
            while len(job.outputs()) < 2:
                time.sleep(0.02)
            job.cancel()
    client.close()


def census(pid: int) -> Row:
    """Number of threads, open files and sockets of a process, and its resident memory, MiB (Linux)."""
    process = Path(f"/proc/{pid}")
    open_files = []
    for link in (process / "fd").iterdir():
        try:
            open_files.append(os.readlink(link))
        except FileNotFoundError:  # it has been closed since it was listed
            continue
    sockets = sum(target.startswith("socket:") for target in open_files)
    resident_mib = int((process / "status").read_text().split("VmRSS:")[1].split()[0]) / 1024
    threads = sum(1 for _ in (process / "task").iterdir())
    return {"threads": threads, "files": len(open_files) - sockets, "sockets": sockets, "resident_mib": resident_mib}
