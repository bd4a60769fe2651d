"""ASGI middleware before gradio's routes: each request is of a class of work, counted per visitor, or refused.

gradio (6.31) calls a handler only when it is its turn, and counts nothing per visitor: too late to refuse. And a
handler outside the queue computes at once, in one of the forty threads that runs and file answers share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import secrets
from collections.abc import AsyncIterator
from typing import Any

from gradio.utils import get_upload_folder
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst.ui.server import bodies, disk
from nst.ui.server.assistants import Assistants, tool_error
from nst.ui.server.bodies import Refused
from nst.ui.server.devices import devices
from nst.ui.server.doors import QUEUED, Door, door_of, names_of, needs_choice, picture_parameters, work_of
from nst.ui.server.fetch import AT_ONCE, MOST_S, Fetcher, is_public
from nst.ui.server.limits import PageLimits, page_limits
from nst.ui.server.visitors import Full, Line, Visitor, Windows

MB = 10**6
MOST_BYTES = 2 * MB  # of a request without pictures; pictures are uploaded before
PAINTING_BYTES = 4 * MB  # of one message of the brush, whose canvas has 512 px
USUAL_RUN_S = 15.0  # assumed until this process has finished a run
AT_WORK, IN_LINE, LINE_S = 2, 100, 20.0  # small work: at a time, waiting with it, the longest wait
PLACES = 6  # of a session in that line; after a run the page asks for three things at once
NO_FETCH = "This page loads no pictures from other servers. Upload the file instead."
ONLY_HERE = "An address can stand for a picture of stylise and repaint only. Upload the file instead."
CLOSED = "This page has nothing at this address."


class Gate:
    """What stands between visitors and gradio. `may_connect` says from which servers a picture may be loaded."""

    may_connect = staticmethod(is_public)

    def __init__(self, app: ASGIApp, windows: Windows | None = None) -> None:
        self.app, self.windows = app, windows or Windows()
        self.line = Line(AT_WORK, IN_LINE, LINE_S)
        self.fetching = Line(AT_ONCE, 3 * AT_ONCE, MOST_S)
        self.assistants = Assistants(secrets.token_hex(16))
        self.disk: disk.Disk | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self._watch_the_disk(scope["app"].get_blocks())
        scope, visitor = self.assistants.recognised(scope)
        door = door_of(scope["method"], scope["path"])
        try:
            await self._through(door, visitor or Visitor.of(scope), scope, receive, send)
        except Refused as refusal:
            await _answer(refusal, scope)(scope, receive, send)

    async def _through(self, door: Door, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or raise `Refused` before gradio sees it."""
        match door:
            case "closed":
                raise Refused(CLOSED, 404)
            case "upload":
                receive = await self._counted_upload(visitor, scope, receive)
            case "painting":
                receive = await self._counted_painting(visitor, scope, receive)
            case "at once":
                receive = bodies.again(await bodies.whole(receive, MOST_BYTES), receive)
            case "assistant":
                await self._assistant(visitor, scope, receive, send)
                return
            case "event" | "named event" | "direct event":
                await self._event(door, visitor, scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _event(self, door: Door, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        """A call of one of the page's functions."""
        body = await bodies.whole(receive, MOST_BYTES)
        request, blocks = bodies.parsed(body), scope["app"].get_blocks()
        function = _called(door, scope, request)
        if door != "named event":
            visitor = visitor.in_session(bodies.session_of(request))
        work = work_of(function)
        if work in QUEUED:
            self._count_start(blocks, visitor, live=work == "live")
            if await self._load_pictures(function, request, door, visitor):
                body = json.dumps(request).encode()
        else:
            self._count("small requests", page_limits().work, visitor, page_limits())
            bodies.refuse_addresses(request, ONLY_HERE)
        bodies.check_files(request, get_upload_folder())
        bodies.check_kinds(function, [request.get(name) for name in names_of(function)]
                           if door == "named event" else request["data"])  # fmt: skip
        if work == "start":
            devices().asked()
        async with self._place(visitor, self.line, PLACES) if work == "small work" else contextlib.nullcontext():
            await self.app(scope, bodies.again(body, receive), send)

    def _count_start(self, blocks: Any, visitor: Visitor, live: bool) -> None:
        """Count a run, or refuse it when the queue is full or the visitor has started too many.

        Runs of Live have an allowance of their own.
        """
        limits = page_limits()
        waiting, run_s = _queue_of(blocks)
        if waiting >= limits.queue:
            minutes = max(1, round(waiting * run_s / 60))
            raise Refused(f"Busy: {waiting} runs waiting, about {minutes} min. Please try again later.")
        self._count(*(("runs of Live", limits.live) if live else ("runs", limits.starts)), visitor, limits)

    @contextlib.asynccontextmanager
    async def _place(self, visitor: Visitor, line: Line, places: int) -> AsyncIterator[None]:
        """A place at work, once it is free; a session may have some at the same time."""
        try:
            async with line.place(visitor.names("places", places, page_limits().address_factor)):
                yield
        except Full:
            raise Refused("The page is busy with other requests. Please try again in some seconds.") from None

    def _count(self, what: str, most: int, visitor: Visitor, limits: PageLimits, amount: int = 1) -> None:
        wait_s = self.windows.wait_s(visitor.names(what, most, limits.address_factor), amount)
        if wait_s:
            raise Refused(f"That was {most} {what} in a minute. Please wait {math.ceil(wait_s)} s and try again.")

    async def _counted_upload(self, visitor: Visitor, scope: Scope, receive: Receive) -> Receive:
        """Count an upload's bytes, which must be announced, and its files while they arrive."""
        await self._count_files(visitor, 1, _length_of(scope))
        end, first = b"", True

        async def counted() -> Message:
            nonlocal end, first
            message = await receive()
            seen = end + message.get("body", b"")
            files = seen.count(b"filename=") - end.count(b"filename=")
            end = seen[-8:]  # shorter than what is counted
            more = max(0, files - first)
            first = first and not files
            if more:
                try:
                    limits = page_limits()
                    self._count("files", limits.uploads, visitor, limits, more)
                except Refused as refusal:  # gradio has begun to read: it makes this an answer
                    raise HTTPException(refusal.status, refusal.sentence) from None
            return message

        return counted

    async def _count_files(self, visitor: Visitor, files: int, length: int) -> None:
        """Count files and their bytes, or refuse them when the visitor or the disk has too many."""
        limits = page_limits()
        self._count("files", limits.uploads, visitor, limits, files)
        self._count("MB of files", _mb_per_minute(limits), visitor, limits, -(-length // MB))
        if not await self.disk.has_room(length):
            raise Refused(disk.FULL, 507)

    async def _counted_painting(self, visitor: Visitor, scope: Scope, receive: Receive) -> Receive:
        """Count a message of the brush, which stays in memory until its event."""
        limits = page_limits()
        self._count("small requests", limits.work, visitor, limits)
        body = await bodies.whole(receive, PAINTING_BYTES)
        await bodies.check_painting(scope["app"].get_blocks(), Request(scope, bodies.again(body, receive)))
        return bodies.again(body, receive)

    async def _assistant(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        """A message to gradio's MCP server, which calls the page itself: that call is counted for this visitor."""
        limits = page_limits()
        body = await bodies.whole(receive, MOST_BYTES + limits.upload_mb * MB * 4 // 3)
        request = bodies.parsed(body)
        try:
            self._count("small requests", limits.work, visitor, limits)
            names = {name for function in scope["app"].get_blocks().fns.values()
                     for name in picture_parameters(function).values()}  # fmt: skip
            files = self.assistants.pictures_in(request, names)
            if files:
                await self._count_files(visitor, len(files), sum(map(len, files.values())))
            await self.assistants.write(request, files, limits.upload_mb * MB)
        except Refused as refusal:
            told = tool_error(request, refusal.sentence)
            if not told or "/messages" in scope["path"]:  # the older transport answers elsewhere
                raise
            await JSONResponse(told)(scope, receive, send)
            return
        scope = self.assistants.marked(scope, visitor)
        await self.app(scope, bodies.again(json.dumps(request).encode(), receive), send)

    async def _load_pictures(self, function: Any, request: dict[str, Any], door: Door, visitor: Visitor) -> bool:
        """Load the pictures of a run that are named by addresses, and put their paths there -> whether there are any.

        Any other address in the request is refused.
        """
        named = picture_parameters(function)
        values = request if door == "named event" else request["data"]
        places = named.values() if door == "named event" else named
        pictures = {place: value for place, value in _items(values)
                    if place in places and isinstance(value, dict) and bodies.address_in(value)}  # fmt: skip
        bodies.refuse_addresses([value for place, value in _items(values) if place not in pictures], ONLY_HERE)
        addresses = {place: bodies.address_in(value) for place, value in pictures.items()}
        paths = {place: self.assistants.path_of(address) for place, address in addresses.items()}
        missing = [place for place, path in paths.items() if path is None]
        try:
            loaded = await self._fetched([addresses[place] for place in missing], visitor)
        except ValueError as error:
            raise Refused(str(error), 422, str(named.get(missing[0], missing[0]))) from None
        paths |= dict(zip(missing, loaded, strict=True))
        for place, path in paths.items():
            values[place] = {"path": path, "meta": {"_type": "gradio.FileData"}}
        return bool(paths)

    async def _fetched(self, addresses: list[str], visitor: Visitor) -> list[str]:
        """Paths of the pictures at these addresses. `ValueError` with a sentence when one cannot be loaded."""
        limits = page_limits()
        if not addresses:
            return []
        if not limits.fetch:
            raise ValueError(NO_FETCH)
        await self._count_files(visitor, len(addresses), MB)
        fetcher = Fetcher(get_upload_folder(), limits.upload_mb * MB, self.may_connect)
        async with self._place(visitor, self.fetching, 1):
            paths = await fetcher.load(addresses)
        loaded = sum(disk.size_of(path) for path in paths)
        names = visitor.names("MB of files", _mb_per_minute(limits), limits.address_factor)
        self.windows.count(names, loaded // MB)
        return paths

    def _watch_the_disk(self, blocks: Any) -> None:
        """Begin to sweep the folder of visitors' files, at the first request."""
        if self.disk is None:
            limits = page_limits()
            self.disk = disk.Disk(get_upload_folder(), limits.keep_s, limits.disk_mb * MB, lambda: disk.in_use(blocks))
            self.sweeping = asyncio.create_task(self.disk.sweep_for_ever())


def _called(door: Door, scope: Scope, request: dict[str, Any]) -> Any:
    """The function that a request calls, if it may be called like this."""
    name = scope["path"].rstrip("/").rsplit("/", 1)[1]
    function = bodies.function_of(scope["app"].get_blocks(), {} if door == "named event" else request, name)
    if door == "named event":
        if function.api_visibility != "public" or not request.keys() <= set(names_of(function)):
            raise Refused(bodies.BROKEN, 400)
    else:
        bodies.check_values(function, request, simple="/call/" in scope["path"])
    if needs_choice(function):
        bodies.check_choice(request)
    if (work_of(function) in QUEUED) == (door == "direct event"):
        raise Refused("This function does not answer at this address; the API page shows the right one.", 404)
    return function


def _items(values: dict[str, Any] | list[Any]) -> list[tuple[Any, Any]]:
    return list(values.items() if isinstance(values, dict) else enumerate(values))


def _mb_per_minute(limits: PageLimits) -> int:
    return max(limits.uploads_mb, limits.upload_mb + 1)  # one file always fits


def _length_of(scope: Scope) -> int:
    """The announced bytes of a request; the server cuts what is longer."""
    written = dict(scope["headers"]).get(b"content-length", b"")
    if not written.isdigit():
        raise Refused("The request must say its length in the header Content-Length.", 411)
    return int(written)


def _queue_of(blocks: Any) -> tuple[int, float]:
    """Number of runs that wait, and the mean time of a run on this machine in seconds."""
    times = [time for function, time in blocks._queue.process_time_per_fn.items() if work_of(function) == "start"]
    count, seconds = sum(item.count for item in times), sum(item.process_time for item in times)
    return len(blocks._queue), seconds / count if count else USUAL_RUN_S


def _answer(refusal: Refused, scope: Scope) -> JSONResponse:
    """The refusal as the caller reads it: gradio's clients for programs show sentences about parameters only."""
    program = dict(scope["headers"]).get(b"x-gradio-user") in (b"api", b"mcp")
    if refusal.status == 422 or program:
        about = {"parameter_name": refusal.parameter or "request", "message": refusal.sentence}
        detail = [{"__type__": "validate", "is_valid": False, **about}]
        return JSONResponse({"detail": detail, "error": refusal.sentence}, 422)
    return JSONResponse({"detail": refusal.sentence, "error": refusal.sentence}, refusal.status)
