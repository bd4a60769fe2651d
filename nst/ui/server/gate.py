"""Refuse a start with a sentence when its visitor starts too many runs, or when the queue is full.

The gate stands before gradio's own routes, because gradio calls a handler only when it is its turn: too late to refuse.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst.ui.server.limits import page_limits

WINDOW_S = 60.0
MOST_VISITORS = 10_000  # in memory; the least recent one is forgotten first
MOST_BYTES = 2_000_000  # of a request to start a run; pictures are uploaded before
LONGEST_NAME = 100  # characters of an address or a session
USUAL_RUN_S = 15.0  # assumed until this process has finished a run
STARTS = re.compile(r"/gradio_api/(queue/join|call/(v2/)?[^/]+)/?$")


class Windows:
    """The starts of the last minute, by visitor, in bounded memory. Safe with several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_visitors: int = MOST_VISITORS) -> None:
        self.clock, self.most_visitors = clock, most_visitors
        self.lock = threading.Lock()
        self.starts: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, allowed: Mapping[str, int]) -> float:
        """Count a start and return 0, or return the seconds that the visitor must wait and count nothing.

        `allowed` holds the starts per minute for each name of the visitor; a start must be within all of them.
        """
        with self.lock:
            now = self.clock()
            wait_s = max((self._wait_s(name, most, now) for name, most in allowed.items()), default=0.0)
            if wait_s == 0:
                for name in allowed:
                    self.starts.setdefault(name, deque()).append(now)
                    self.starts.move_to_end(name)
                while len(self.starts) > self.most_visitors:
                    self.starts.popitem(last=False)
            return wait_s

    def _wait_s(self, name: str, most: int, now: float) -> float:
        starts = self.starts.get(name, deque())
        while starts and starts[0] <= now - WINDOW_S:
            starts.popleft()
        return starts[-most] + WINDOW_S - now if len(starts) >= most else 0.0


class Gate:
    """ASGI middleware: count each request that starts a run, or refuse it with status 429; let all others pass."""

    def __init__(self, app: ASGIApp, windows: Windows | None = None) -> None:
        self.app, self.windows = app, windows or Windows()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not STARTS.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        body = await _body_of(receive)
        refusal = "the request is too long; upload pictures first" if body is None else self.refusal(scope, body)
        if refusal:
            await JSONResponse({"detail": refusal}, 429)(scope, receive, send)
            return

        async def again() -> Message:
            nonlocal body
            if body is None:
                return await receive()  # later messages, for example that the visitor has left
            message, body = {"type": "http.request", "body": body, "more_body": False}, None
            return message

        await self.app(scope, again, send)

    def refusal(self, scope: Scope, body: bytes) -> str | None:
        """A sentence that says why this start is refused, or None."""
        limits = page_limits()
        waiting, run_s = _queue_of(scope["app"].get_blocks())
        if waiting >= limits.queue:
            minutes = max(1, round(waiting * run_s / 60))
            return f"Busy: {waiting} runs waiting, about {minutes} min. Please try again later."
        wait_s = self.windows.wait_s(_names(scope, body))
        if wait_s:
            return f"That was {limits.starts} runs in a minute. Please wait {math.ceil(wait_s)} s and try again."
        return None


def _names(scope: Scope, body: bytes) -> dict[str, int]:
    """Names that a visitor is counted by -> starts per minute: session, and address, which an office may share."""
    limits = page_limits()
    headers = {name.lower(): value for name, value in scope["headers"]}
    host, *_ = scope.get("client") or ("nowhere",)
    address = headers.get(b"x-forwarded-for", host.encode()).decode("latin1").split(",")[0].strip()
    names = {f"address {address:.{LONGEST_NAME}}": limits.starts * limits.address_factor}
    try:
        session = json.loads(body).get("session_hash")
    except (ValueError, AttributeError, RecursionError):
        session = None
    if isinstance(session, str):
        names[f"session {session:.{LONGEST_NAME}}"] = limits.starts
    return names


def _queue_of(blocks: Any) -> tuple[int, float]:
    """Number of runs that wait, and the mean time of a run on this machine in seconds."""
    times: Iterable[Any] = blocks._queue.process_time_per_fn.values()
    count, seconds = sum(item.count for item in times), sum(item.process_time for item in times)
    return len(blocks._queue), seconds / count if count else USUAL_RUN_S


async def _body_of(receive: Receive) -> bytes | None:
    """The body of a request; None when it is too long, or when the connection broke before its end."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > MOST_BYTES:
            return None
        if not message.get("more_body"):
            return body
