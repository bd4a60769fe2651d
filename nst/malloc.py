"""Settings of the C library's heap for gigabytes of short-lived tensors. They do nothing where it is not glibc."""

from __future__ import annotations

import contextlib
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # of mallopt, from glibc's malloc.h
# Largest block, bytes, that comes from the heap: the most that older versions accept, and a little more than that, for
# the activations of 512 x 512 px.
OLD_LARGEST = 2**25
LARGEST = 9 * 2**22
NEVER = 2**31 - 1


def prepare() -> None:
    """One heap for all threads, which keeps freed memory until `trim`. Call it early, in the program's main thread.

    Without it, each thread keeps a heap as large as its largest need, and every step takes its memory from the system
    page by page and gives it back, which was measured as a tenth of a step at 512 px.
    """
    _call("mallopt", ARENA_MAX, 1)
    for largest in (OLD_LARGEST, LARGEST):
        _call("mallopt", MMAP_THRESHOLD, largest)
    _call("mallopt", TRIM_THRESHOLD, NEVER)


def trim() -> None:
    """Give freed memory back to the system."""
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: Windows has no library by no name
        getattr(ctypes.CDLL(None), function)(*arguments)
