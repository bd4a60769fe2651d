"""Memory that threads share."""

from __future__ import annotations

import contextlib
import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def share() -> None:
    """One heap for all threads where the C library is glibc, which has one for each: what one frees another may use.

    Runs take turns, but not always in the same thread; each of these would keep what a run once needed. Call it early.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(ARENA_MAX, 1)
