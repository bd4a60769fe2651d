"""The C library's heap, for tensors that come and go by the gigabyte. Does nothing where that library is not glibc."""

from __future__ import annotations

import contextlib
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # of mallopt, from glibc's malloc.h
OLD_LARGEST = 2**25  # bytes of a block that comes from the heap: the most that older versions take
LARGEST = 9 * 2**22  # activations of 512 x 512 px are a little over the above
NEVER = 2**31 - 1


def prepare() -> None:
    """One heap for all threads, which keeps what they free until `trim`. Call it early, in the program's main thread.

    Otherwise each thread that ever computed keeps what it once needed, and every step asks the system for its memory
    page by page, and gives it back: measured, a tenth of a step at 512 px.
    """
    _call("mallopt", ARENA_MAX, 1)
    for largest in (OLD_LARGEST, LARGEST):
        _call("mallopt", MMAP_THRESHOLD, largest)
    _call("mallopt", TRIM_THRESHOLD, NEVER)


def trim() -> None:
    """Give what is free back to the system."""
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: Windows has no library by no name
        getattr(ctypes.CDLL(None), function)(*arguments)
