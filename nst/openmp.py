"""OpenMP's waiting threads, which torch computes with on Linux: let them spin only briefly.

A thread that waits for the others of its team spins, so that it notices their end at once. On a machine where another
program wants the core, spinning takes the time that the awaited thread needs. The library, libgomp, reads its
variables once, while torch is loaded.
"""

from __future__ import annotations

import os
import sys

SPIN_COUNT = "GOMP_SPINCOUNT"
VARIABLES = (SPIN_COUNT, "OMP_WAIT_POLICY")  # each decides how long threads spin
# Rounds of the waiting loop. libgomp's own default is 300,000 (its manual, GOMP_SPINCOUNT).
SPINS = "1000"


def limit_spinning() -> bool:
    """Set the variable for this process and for those it starts, unless the user did -> whether this comes too late.

    It does when torch was loaded before, without the variable. Other systems than Linux load another library.
    """
    if any(name in os.environ for name in VARIABLES):
        return False
    os.environ[SPIN_COUNT] = SPINS
    return "torch" in sys.modules and sys.platform.startswith("linux")


TOO_LATE = limit_spinning()  # when it is imported, because afterwards any import may load torch
