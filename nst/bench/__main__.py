"""The command `python -m nst.bench [SECTION ...] [--quick]`: a table per section, then everything as one JSON line."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping

import torch

from nst.bench import busy, engine, faults, figure, film, ghosts, many, qualities, size, visitor
from nst.bench.engine import Row
from nst.device import choose_device

Section = Callable[[bool], Iterator[Row]]  # quick or not -> the rows of a table
Report = dict[str, list[Row]]

SECTIONS: dict[str, Section] = {
    "step": engine.step,
    "quality": engine.quality,
    "picture": visitor.picture,
    "clock": visitor.clock,
    "live": visitor.live,
    "memory": visitor.memory,
    "growth": visitor.growth,
    "ablation": engine.ablation,
    "threads": engine.threads,
    "busy": busy.busy,
    "figure": figure.figure,
    "batch": many.many,
    "crews": many.crews,
    "tiles": size.tiles,
    "ghosts": ghosts.ghosts,
    "film": film.film,
    "faults": faults.faults,
    "qualities": qualities.qualities,
}
QUICK_SECTIONS = ("step", "quality")
QUICK_RATIO = 3.0  # measured in busy minutes without native bfloat16: 4.5 to 5.6. It is for regressions alone


def main() -> int:
    """Run the requested sections -> exit code: 1 when the ratio of a quick run is below `QUICK_RATIO`, else 0."""
    report, quick = measured("python -m nst.bench", "Measure speed and memory.", SECTIONS, QUICK_SECTIONS)
    slowest = min((row["ratio"] for row in report.get("quality", [])), default=float("inf"))
    return int(quick and slowest < QUICK_RATIO)


def measured(
    program: str, description: str, sections: Mapping[str, Section], quick_sections: tuple[str, ...]
) -> tuple[Report, bool]:
    """Read the command line and run the sections it names, printing their tables -> (rows by section, quick or not)."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(sections)}; all when none is named")
    parser.add_argument(
        "--quick", action="store_true", help=f"small sizes; only {', '.join(quick_sections)} by default"
    )
    options = parser.parse_args()
    if unknown := set(options.sections) - set(sections):
        parser.error(f"{min(unknown)!r} is no section; choose from {', '.join(sections)}")
    names = options.sections or (quick_sections if options.quick else list(sections))
    machine = {"compute": str(choose_device()), "threads": torch.get_num_threads(), "python": platform.python_version()}
    print(f"{machine['compute']}; {machine['threads']} threads; torch {torch.__version__}")
    report = {name: _table(name, sections[name](options.quick)) for name in names}
    print(json.dumps({**machine, "torch": torch.__version__, **report}))
    return report, options.quick


def _table(name: str, rows: Iterator[Row]) -> list[Row]:
    """Print each row as soon as it is measured, below the names of the columns; return all rows."""
    done = []
    for row in rows:
        if not done:
            print(f"\n{name}\n" + "  ".join(f"{column:>14}" for column in row))
        print("  ".join(f"{_text(value):>14}" for value in row.values()), flush=True)
        done.append(row)
    return done


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
