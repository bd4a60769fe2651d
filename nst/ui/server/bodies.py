"""What a request's body asks for: the event that it names, and every file in it that is named by an address.

gradio (6.31) downloads an address in any file of any input, of any size, before the component sees it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive

LONGEST_SESSION = 100  # characters
DEEPEST = 50  # lists in lists; gradio walks through them by recursion
NOT_UPLOADED = "A picture can only be used after it was uploaded; upload it first."
GONE = "This file is gone, because files are kept for a limited time. Please upload it again."
TOO_LONG = "the request is too long; upload pictures first"
BROKEN = "the request is no JSON object with the parts that this address expects; the API page shows an example"


class Refused(Exception):  # noqa: N818, a refusal is no error of the program
    """A request that is answered with a sentence and a status, and that gradio never sees."""

    def __init__(self, sentence: str, status: int = 429, parameter: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.status, self.parameter = sentence, status, parameter


async def whole(receive: Receive, most_bytes: int) -> bytes:
    """The body of a request. `Refused` when it is too long, or when the connection broke before its end."""
    parts, length = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if message["type"] != "http.request" or length > most_bytes:
            raise Refused(TOO_LONG)
        if not message.get("more_body"):
            return b"".join(parts)


def again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more, and then what the connection says."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. `Refused` for anything else."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(BROKEN, 400) from None
    if not isinstance(request, dict) or _depth(request) > DEEPEST:
        raise Refused(BROKEN, 400)
    return request


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, `DEEPEST` + 1 at most."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level, depth = [part for items in inner for part in items], depth + 1
    return depth


def session_of(request: Mapping[str, Any]) -> str | None:
    """The session of a request. gradio keeps it, so its length is limited."""
    session = request.get("session_hash")
    if session is not None and not (isinstance(session, str) and len(session) <= LONGEST_SESSION):
        raise Refused(BROKEN, 400)
    return session


def function_of(blocks: Any, request: Mapping[str, Any], name: str) -> Any:
    """The function of the page that a request calls by its number, or by the name in the address."""
    number = request.get("fn_index")
    if number is None:
        found = [function for function in blocks.fns.values() if function.api_name == name]
    else:
        found = [blocks.fns[number]] if type(number) is int and number in blocks.fns else []
    # JavaScript alone has no function here; what a closing tab needs is called by gradio itself.
    if not found or found[0].fn is None or any(event == "unload" for _, event in found[0].targets):
        raise Refused("there is no such function; the API page lists them", 404)
    return found[0]


def check_values(function: Any, request: Mapping[str, Any], simple: bool) -> list[Any]:
    """The values for a function's inputs; `simple`: those of the page's State may be missing. `Refused` otherwise."""
    values = request.get("data")
    counts = {len(function.inputs)}
    if simple:
        counts.add(sum(not block.skip_api for block in function.inputs))
    if not isinstance(values, list) or len(values) not in counts or request.get("batched"):
        raise Refused(BROKEN, 400)
    return values


def check_choice(request: Mapping[str, Any]) -> None:
    """`Refused` when a request does not say which of several things was clicked."""
    chosen = request.get("event_data")
    index = chosen.get("index") if isinstance(chosen, dict) and "value" in chosen else None
    if type(index) is not int or index < 0:
        raise Refused(BROKEN, 400)


async def check_painting(blocks: Any, request: Request) -> None:
    """`Refused` unless a form is a message of the brush: the only function of a component that this page needs."""
    try:
        form = await request.form(max_files=1, max_fields=10)
    except (HTTPException, MultiPartException, KeyError):
        raise Refused(BROKEN, 400) from None
    named = {name: value for name, value in form.items() if isinstance(value, str)}
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    number = named.get("component_id", "")
    block = blocks.blocks.get(int(number)) if number.isascii() and number.isdecimal() and len(number) < 10 else None
    if not (isinstance(block, gr.ImageEditor) and named.get("fn_name") == "accept_blobs" and len(files) == 1):
        raise Refused(BROKEN, 400)
    if not {"id", "type", "index", "session_hash"} <= named.keys() or len(named["session_hash"]) > LONGEST_SESSION:
        raise Refused(BROKEN, 400)


def files_in(values: Any) -> Iterator[dict[str, Any]]:
    """Every file in a value, at any depth, with or without gradio's mark."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str) or isinstance(value.get("url"), str):
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def address_in(file: Mapping[str, Any]) -> str | None:
    """The address that a file is named by. The page's own files have a path, and a `url` that nothing loads."""
    path = file.get("path")
    named = path if isinstance(path, str) else file.get("url")
    return named if isinstance(named, str) and is_address(named) else None


def is_address(text: str) -> bool:
    return text.lstrip()[:8].lower().startswith(("http://", "https://"))


def check_files(values: Any, folder: str) -> None:
    """`Refused` unless every file that gradio would read was uploaded and is still there. gradio says neither."""
    for file in files_in(values):
        path, meta = file.get("path"), file.get("meta")
        if "meta" not in file or not isinstance(path, str):
            continue
        if not isinstance(meta, dict) or "\0" in path:
            raise Refused(BROKEN, 400)
        if not Path(path).resolve().is_relative_to(Path(folder).resolve()):
            raise Refused(NOT_UPLOADED, 400)
        if not os.path.isfile(path):
            raise Refused(GONE, 410)


def check_kinds(function: Any, values: Sequence[Any]) -> None:
    """`Refused` when a value is not of the kind of its component, for components whose kinds gradio declares."""
    if len(values) != len(function.inputs):
        return  # a program leaves out the page's State; those functions have no such values
    for block, value in zip(function.inputs, values, strict=True):
        model = getattr(block, "data_model", None)
        if model is not None and value is not None and not block.stateful:
            try:
                model.model_validate(value, context={"validate_meta": True})
            except (ValueError, RecursionError):
                name = getattr(block, "label", None) or "A value"
                raise Refused(f"{name} has a value of a wrong type; the API page says what it may be.", 400) from None


def refuse_addresses(values: Any, sentence: str) -> None:
    """`Refused` when any file in the values is named by an address."""
    if any(address_in(file) for file in files_in(values)):
        raise Refused(sentence, 400)
