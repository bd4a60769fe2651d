"""Assistants, who reach the page through gradio's MCP server: who they are, and the pictures that they send.

The MCP server (gradio 6.31) calls the page over HTTP with one session for all assistants. It passes on the headers of
an assistant's request, so the gate can put a secret there and recognise the call.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, unquote

from starlette.types import Scope

from nst.ui.server import given_files
from nst.ui.server.bodies import Refused
from nst.ui.server.visitors import Visitor

HEADER = b"x-nst-assistant"


class Assistants:
    """Marks the calls that gradio's MCP server makes for an assistant, with a secret of this process."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.prefix = f"https://{secret}.invalid"  # of an address that stands for a file of the page

    def recognised(self, scope: Scope) -> tuple[Scope, Visitor | None]:
        """The request without the mark, and for whom the MCP server sends it; None: anyone else."""
        values = [value for name, value in scope["headers"] if name.lower() == HEADER]
        if not values:
            return scope, None
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != HEADER]
        secret, _, address = values[-1].decode("latin1").partition(" ")
        return {**scope, "headers": headers}, Visitor(address, assistant=True) if secret == self.secret else None

    def marked(self, scope: Scope, visitor: Visitor) -> Scope:
        """The request of an assistant, with a mark that the MCP server will pass on."""
        value = f"{self.secret} {visitor.address}".encode("latin1", "replace")
        return {**scope, "headers": [*scope["headers"], (HEADER, value)]}

    def pictures_in(self, request: dict[str, Any], names: Collection[str]) -> dict[str, str]:
        """The pictures that a call holds as text ("data:image/png;base64,..."), by parameter."""
        given = _arguments(request)
        return {name: text for name, text in given.items()
                if name in names and isinstance(text, str) and text.startswith("data:")}  # fmt: skip

    async def write(self, request: dict[str, Any], pictures: dict[str, str], most_bytes: int) -> None:
        """Write these pictures to the folder of uploads, and put addresses for them into the request.

        gradio would write them to another folder, and send them to itself as uploads of nobody.
        """
        for name, text in pictures.items():
            path = await asyncio.to_thread(_written, name, text, most_bytes)
            _arguments(request)[name] = f"{self.prefix}{quote(path)}"

    def path_of(self, address: str) -> str | None:
        """The file that an address of `write` stands for; None for any other address."""
        return unquote(address.removeprefix(self.prefix)) if address.startswith(f"{self.prefix}/") else None


def tool_error(request: dict[str, Any], sentence: str) -> dict[str, Any] | None:
    """The answer to a call of a tool that failed, by the protocol (JSON-RPC); None for other messages."""
    if request.get("method") != "tools/call" or "id" not in request:
        return None
    result = {"content": [{"type": "text", "text": sentence}], "isError": True}
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


def _arguments(request: dict[str, Any]) -> dict[str, Any]:
    given = request.get("params")
    given = given.get("arguments") if isinstance(given, dict) else None
    return given if isinstance(given, dict) else {}


def _written(name: str, text: str, most_bytes: int) -> str:
    """Write a picture from text -> path."""
    try:
        content = base64.b64decode(text.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{name} is no picture in base64; send data:image/png;base64,... or an address.", 400) from None
    if len(content) > most_bytes:
        raise Refused(f"{name} has over {most_bytes // 10**6} MB, the limit of this page; send a smaller one.", 413)
    return given_files.give(content, "picture.png")
