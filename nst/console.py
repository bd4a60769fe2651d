"""What commands share: output streams that break no run, an end by signal, and a progress bar."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

from tqdm import tqdm


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


class Stopped(BaseException):
    """SIGINT or SIGTERM, so that both end in the same tidy way."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise `Stopped`."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class PaceBar(tqdm):
    """A progress bar that gives the pace per minute and the time that is left."""

    def __init__(self, **options: object) -> None:
        form = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{per_minute} per minute, {remaining} left]"
        super().__init__(bar_format=form, **options)

    @property
    def format_dict(self) -> dict[str, object]:
        """tqdm's way to add a figure: https://tqdm.github.io/docs/tqdm/#description-and-additional-stats."""
        known = super().format_dict
        pace = (known["n"] - known["initial"]) / known["elapsed"] * 60 if known["elapsed"] else 0
        return {**known, "per_minute": f"{pace:.1f}"}
