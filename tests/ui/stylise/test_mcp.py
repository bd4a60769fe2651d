"""The same endpoint as a tool for assistants, through a real client of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from nst.ui.server.limits import page_limits
from nst.ui.stylise.handlers import PARAMETERS


def in_session(address: str, talk: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        async with (
            streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await talk(session)

    with ThreadPoolExecutor(1) as thread:  # this thread may have Playwright's event loop
        return thread.submit(asyncio.run, connected()).result()


def test_assistants_find_one_well_described_tool(address: str) -> None:
    tools = in_session(address, lambda session: session.list_tools()).tools
    assert [tool.name for tool in tools] == ["repaint"]
    (tool,) = tools
    assert tool.description.startswith("Repaint a photo in the style of another picture.")
    assert set(tool.inputSchema["properties"]) == set(PARAMETERS)
    words = {name: schema.get("description", "") for name, schema in tool.inputSchema["properties"].items()}
    assert [name for name in PARAMETERS if len(words[name]) < 10] == []
    assert not tool.inputSchema.get("required"), "every parameter has a default, the pictures those of the page"


def test_a_picture_is_painted_for_an_assistant(address: str) -> None:
    photo = io.BytesIO()
    Image.linear_gradient("L").resize((160, 120)).save(photo, "PNG")
    sent = f"data:image/png;base64,{base64.b64encode(photo.getvalue()).decode()}"
    given = {"photo": sent, "size": 64, "quality": "draft"}
    answer = in_session(address, lambda session: session.call_tool("repaint", given))
    assert not answer.isError, answer.content
    (content,) = [content for content in answer.content if content.type == "image"]
    assert Image.open(io.BytesIO(base64.b64decode(content.data))).size == (64, 48)


def test_an_assistant_is_told_what_was_wrong(address: str) -> None:
    answer = in_session(address, lambda session: session.call_tool("repaint", {"size": 3000}))
    assert answer.isError
    sentence = f"Size=3000 px is over this page's limit of {page_limits().size} px; choose a smaller one."
    assert answer.content[0].text == sentence
