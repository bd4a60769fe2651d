"""The addresses of the page's server, and what each may be used for. A test compares the list with gradio's routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Literal

import gradio as gr
from gradio.utils import get_type_hints

from nst.ui.server.events import AT_ONCE_ID, DEVICE_ID, SMALL_WORK_ID

Door = Literal["open", "event", "direct event", "named event", "upload", "painting", "assistant", "at once", "closed"]
Work = Literal["start", "live", "small work", "at once"]

API, LOGIN = "/gradio_api/", "/login"
# What a POST below `API` is. What is in no line is closed.
POSTS: dict[str, Door] = {
    r"queue/join/?": "event",
    r"call/[^/]+/?": "event",
    r"call/v2/[^/]+/?": "named event",  # its body has values by name
    r"(run|api)/[^/]+/?": "direct event",  # past the queue
    r"upload": "upload",
    r"component_server/?": "painting",  # the brush sends its layers there
    r"mcp(/.*)?": "assistant",
    r"cancel": "at once",
    r"reset/?": "at once",
    # Not used by this page: cameras that stream, a recorder of the screen, gradio's editor and its profiler.
    r"stream/.*": "closed",
    r"process_recording": "closed",
    r"(undo-)?vibe-(edit|code|starter-queries)/?": "closed",
    r"run-history/.*": "closed",
    r"profiling/.*": "closed",
}
# What is not open to a GET: a file that the server would load from elsewhere, and a copy of a session on the disk.
CLOSED_GETS = re.compile(r"file[=/]\s*https?:|proxy=|deep_link|vibe-|run-history/|profiling/", re.IGNORECASE)
READS = ("GET", "HEAD", "OPTIONS", "DELETE")  # DELETE: an assistant leaves

QUEUED = ("start", "live")  # what runs on a device
WORK: dict[str, Work] = {DEVICE_ID: "start", SMALL_WORK_ID: "small work", AT_ONCE_ID: "at once"}


def door_of(method: str, path: str) -> Door:
    """What a request for this path is. Where the page is below a path of another app, that comes first."""
    if method in READS:
        return "closed" if CLOSED_GETS.match(path.partition(API)[2]) else "open"
    return next(_doors(path), "closed")


def is_listed(path: str) -> bool:
    """Whether a path of a POST is in the list."""
    return any(_doors(path)) or path.rstrip("/") == LOGIN


def _doors(path: str) -> Iterator[Door]:
    below = path.partition(API)[2]
    return (door for pattern, door in POSTS.items() if re.fullmatch(pattern, below))


def work_of(function: Any) -> Work:
    """The class of work of one of the page's functions; what says none is small work."""
    if getattr(function.fn, "gives_way", False):
        return "live"
    return WORK.get(function.concurrency_id, "small work")


def needs_choice(function: Any) -> bool:
    """Whether a function answers a click on one of several things."""
    return gr.SelectData in get_type_hints(function.fn).values()


def names_of(function: Any) -> list[str]:
    """Names of a function's parameters, in the order of its inputs."""
    return list(inspect.signature(function.fn).parameters)


def picture_parameters(function: Any) -> dict[int, str]:
    """Position -> name of the pictures that programs and assistants may name by an address."""
    if function.api_visibility != "public":
        return {}
    names = names_of(function)
    return {place: names[place] for place, block in enumerate(function.inputs) if isinstance(block, gr.Image)}
