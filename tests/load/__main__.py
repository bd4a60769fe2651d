"""The command `python -m tests.load [SECTION ...] [--quick]`: attacks on a page that it starts itself."""

from __future__ import annotations

import sys

from nst.bench.__main__ import measured
from tests.load import crowd, fuzz, hostile, soak, visits

SECTIONS = {
    "fuzz": fuzz.fuzz,
    "load": crowd.load,
    "hostile": hostile.hostile,
    "soak": soak.soak,
    "visits": visits.visits,
}
QUICK_SECTIONS = ("fuzz", "load", "hostile")
FAULTS = ("faults", "crashes", "hung", "tracebacks", "downloads", "silent", "over_limit")  # counts that must be 0


def main() -> int:
    """Run the requested sections -> exit code: 1 when a fault was counted, or no client of the crowd got a picture."""
    report, _ = measured("python -m tests.load", "Attack the page.", SECTIONS, QUICK_SECTIONS)
    rows = [row for section in report.values() for row in section]
    broken = any(row.get(what) for row in rows for what in FAULTS) or any(row.get("picture") == 0 for row in rows)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
