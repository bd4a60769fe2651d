"""Standard output and error that break no run: where they are closed, break, or cannot print a file's name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside, printing raises nothing: what cannot be encoded is escaped, what cannot be delivered is dropped."""
    with contextlib.ExitStack() as stack:
        out, err = (_Lasting(stream or stack.enter_context(_nothing())) for stream in (sys.stdout, sys.stderr))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        try:
            yield
        finally:
            out.flush()
            err.flush()


def _nothing() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


class _Lasting:
    """A text stream that drops what its own stream refuses. All else is its own stream's."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        with contextlib.suppress(AttributeError, ValueError, OSError):  # no file, or a closed one
            if stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except (OSError, ValueError):
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Send the rest nowhere, what is still in buffers included: python would fail on that when it ends."""
        with contextlib.suppress(AttributeError, OSError, ValueError), _nothing() as nothing:
            os.dup2(nothing.fileno(), self.stream.fileno())
