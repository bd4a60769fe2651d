"""Keep visitors' files in a folder of this process, and remove the folder when the process ends."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

TRIES = 20  # to remove a folder
TERMINATED = 128 + signal.SIGTERM  # exit status after a signal, by the convention of shells


def keep_apart() -> str:
    """Give gradio a folder of its own, removed at exit and on SIGTERM. Call this before the page is built.

    SIGTERM also ends a run at once: Python would otherwise wait for the thread that computes.
    """
    folder = new_folder(os.environ.get("GRADIO_TEMP_DIR"))
    os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = folder  # also for the parts of an upload that breaks off
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() != owner:  # a forked child must not remove it
            return
        for _ in range(TRIES):  # a thread that still computes may write a frame meanwhile
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):
                return

    def leave(*_: object) -> None:
        remove()
        os._exit(TERMINATED)

    atexit.register(remove)
    signal.signal(signal.SIGTERM, leave)
    return folder


def new_folder(parent: str | None) -> str:
    """An empty folder in `parent`, which is made if it is not there; None: where the system has such folders."""
    try:
        if parent:
            os.makedirs(parent, exist_ok=True)
        return tempfile.mkdtemp(prefix="nst-", dir=parent or None)
    except OSError as error:
        raise ValueError(f"GRADIO_TEMP_DIR {parent!r} cannot be used ({error.strerror}); name another folder") from None
