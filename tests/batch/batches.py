"""Shared by tests of batches: the command, its manifest, and single runs to compare with."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path

from nst.batch.manifest import NAME
from nst.batch.work_list import WorkItem, read
from nst.command_line import _batch_parser, main

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--size", "64", "--quality", "draft", "--steps", "3", "--init", "noise", "--seed", "7"]
QUICK += ["--device", "cpu", "--precision", "float32"]


def arguments(*more: str) -> list[str]:
    return ["batch", "in", "--style", "style.png", "-o", "out", *QUICK, *more]


def lines(place: str | Path = "out") -> list[dict]:
    """The lines of the manifest, without incomplete ones."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in (Path(place) / NAME).read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def painted(place: str | Path = "out") -> Counter:
    return Counter(line["output"] for line in lines(place) if line["error"] is None)


def assert_like_single_runs(photos: list[str]) -> None:
    """Every picture in `out` equals a single run of the command line with its photo."""
    for stem in photos:
        assert main([f"in/{stem}.png", "style.png", "-o", "single.png", *QUICK]) == 0
        assert Path(f"out/{stem}.png").read_bytes() == Path("single.png").read_bytes(), stem


GOOD = [*(f"p{number}" for number in range(9)), "p11 again"]


def asked(*given: str) -> list[WorkItem]:
    """The work list that these arguments ask for."""
    return read(_batch_parser().parse_args([*given, "-o", "out"]))
