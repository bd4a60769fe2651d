"""Shared functions of the page's tests: run `python app.py` in a new process, and values for its endpoint."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

import nst
from nst.ui.stylise import handlers

ROOT = Path(__file__).resolve().parents[1]
# One for many requests, because a new one reads all certificates in 40 ms. Each request has a connection of its own.
VISITOR = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))


def serve(folder: Path, root: Path = ROOT, log: int | None = None, **more: str) -> tuple[subprocess.Popen, str]:
    """Start `python app.py` with its temporary files in `folder` -> process and address, once its page answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "TMPDIR": str(folder),
        "GRADIO_TEMP_DIR": str(folder),
        **more,
    }
    command = [sys.executable, "app.py"]
    server = subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        assert server.poll() is None, "the program has ended"
        try:
            VISITOR.get(address)
            return server, address
        except httpx.TransportError:
            time.sleep(0.1)
    server.kill()
    raise AssertionError("the page did not come within a minute")


def usual_values(photo: object, style: object) -> dict[str, object]:
    """Legal values of the endpoint's parameters by name; `photo` and `style` are paths or uploads."""
    names = inspect.signature(handlers.stylise).parameters
    given = {name: None if item.default is item.empty else item.default for name, item in names.items()}
    given |= {name: 0.2 for name in names if name.startswith("lambda_")}
    given |= {"photo": photo, "style": style, "content_layer": "relu4_2", "size": 128, "seed": 0, "alpha": 1, "beta": 9}
    given |= {"quality": "draft", "optimiser": "lbfgs", "init": "content", "total_variation": 0}
    return {**given, "other_layers": {"headers": ["layer", "lambda", "content"], "data": []}}


class CountedRun:
    """Takes the place of `stylise_events`: the events of a run so far, and whether it has ended or was closed."""

    def __init__(self, usual: Callable[..., Iterator[nst.Event]]) -> None:
        self.usual = usual
        self.events: list[nst.Event] = []
        self.ended = threading.Event()

    def __call__(self, *arguments: object, **options: object) -> Iterator[nst.Event]:
        try:
            for event in self.usual(*arguments, **options):
                self.events.append(event)
                yield event
        finally:
            self.ended.set()
