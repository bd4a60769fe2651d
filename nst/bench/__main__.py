"""The command `python -m nst.bench [SECTION ...] [--quick]`: a table per section, then everything as one JSON line."""

from __future__ import annotations

import argparse
import json
import platform
import sys

import torch

from nst.bench import crowd, engine, figure, fuzz, many, size, soak, visitor
from nst.compute import choose

SECTIONS = {
    "step": engine.step,
    "quality": engine.quality,
    "picture": visitor.picture,
    "clock": visitor.clock,
    "memory": visitor.memory,
    "growth": visitor.growth,
    "ablation": engine.ablation,
    "threads": engine.threads,
    "figure": figure.figure,
    "batch": many.many,
    "crews": many.crews,
    "tiles": size.tiles,
    "soak": soak.soak,
    "fuzz": fuzz.fuzz,
    "load": crowd.load,
}
QUICK_SECTIONS = ("step", "quality", "fuzz", "load")
QUICK_RATIO = 5.0  # a check of direction, not of figures


def main() -> int:
    """Run the sections asked for; 1 when a quick run is not clearly faster than the textbook, or something broke."""
    parser = argparse.ArgumentParser(prog="python -m nst.bench", description="Measure speed and memory.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="small sizes; fails unless the ratio is over 5")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"{min(unknown)!r} is no section; choose from {', '.join(SECTIONS)}")
    sections = options.sections or (QUICK_SECTIONS if options.quick else list(SECTIONS))
    machine = {"compute": str(choose()), "threads": torch.get_num_threads(), "python": platform.python_version()}
    print(f"{machine['compute']}; {machine['threads']} threads; torch {torch.__version__}")
    report = {name: _table(name, SECTIONS[name](options.quick)) for name in sections}
    print(json.dumps({**machine, "torch": torch.__version__, **report}))
    slowest = min((row["ratio"] for row in report.get("quality", [])), default=float("inf"))
    rows = [row for section in report.values() for row in section]
    broken = any(row.get(what) for row in rows for what in ("faults", "crashes", "hung"))
    broken |= any(row.get("picture") == 0 for row in rows)  # of the crowd, nobody got one
    return 1 if broken or (options.quick and slowest < QUICK_RATIO) else 0


def _table(name: str, rows) -> list[engine.Row]:
    """Print the rows as they come, under their names, and return them."""
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
