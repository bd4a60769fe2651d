"""Where visitors' files are while this process lives, and that they go when it goes."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

TERMINATED = 128 + signal.SIGTERM  # exit status, as shells count it


def keep_apart() -> str:
    """Give gradio a folder of this process alone, removed at exit and on SIGTERM. Call it before the page is built.

    SIGTERM also ends a run at once: python would otherwise wait for the thread that paints.
    """
    folder = new_folder(os.environ.get("GRADIO_TEMP_DIR"))
    os.environ["GRADIO_TEMP_DIR"] = folder
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # and not a forked child
            shutil.rmtree(folder, ignore_errors=True)

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
