"""Soak test of visits: pages that are opened, used as a browser uses them, and closed, each with its own session."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

from nst.bench.engine import Row
from nst.bench.visitor import served, usual_request
from tests.load.soak import census

VISITS, EVERY = 300, 20
AT_ONCE = 4  # visits that overlap
LONGEST_S = 120.0  # for one event; a visit that takes longer counts as hung


def visits(quick: bool) -> Iterator[Row]:
    """Memory of `nst page` after each twenty visits of random events that keep pictures; `grown`: since the second row.

    The visits of the last minute are still kept, within the budget.
    """
    count = 40 if quick else VISITS
    limits = {"NST_STARTS_PER_MINUTE": "100000", "NST_SESSIONS_PER_ADDRESS": "1000", "NST_QUEUE": "100"}
    with served(**limits, NST_MAX_SIZE="256", NST_KEEP_MB="64") as (address, pid):
        rows: list[Row] = []
        for done in range(EVERY, count + 1, EVERY):
            faults = asyncio.run(_some(address, range(done - EVERY, done)))
            row = {"visits": done, **census(pid), "faults": faults}
            rows.append(row)
            yield {**row, "grown": row["resident_mib"] / rows[min(1, len(rows) - 1)]["resident_mib"] - 1}


async def _some(address: str, numbers: range) -> int:
    """These visits, a few at a time -> how many of them failed."""
    import httpx

    with httpx.Client(base_url=address) as client:
        usual = {**usual_request(client), "size": 128, "quality": "draft", "max_seconds": 1}
        config = client.get("/config").json()
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=address, timeout=LONGEST_S, limits=httpx.Limits()) as client:

        async def one(number: int) -> bool:
            async with places:
                return await asyncio.wait_for(_Tab(client, config, usual, number).visit(), 5 * LONGEST_S)

        ends = await asyncio.gather(*map(one, numbers), return_exceptions=True)
    return sum(end is not True for end in ends)


class _Tab:
    """A tab that sends what gradio's page sends: calls of its dependencies, in one session with a heartbeat."""

    def __init__(self, client: Any, config: dict[str, Any], usual: dict[str, Any], number: int) -> None:
        self.client, self.config, self.usual = client, config, usual
        self.session, self.chance = f"visit{number}", random.Random(number)
        self.numbers: list[int] = []

    def _dependency(self, name: str) -> dict[str, Any]:
        return next(item for item in self.config["dependencies"] if item["api_name"] == name)

    async def visit(self) -> bool:
        """Open, paint, do a few things, leave -> whether all was answered."""
        heart = asyncio.create_task(self._heartbeat())
        try:
            await self._at_once("open_tab", [None, "navigate "])
            for _ in range(self.chance.randrange(1, 4)):
                action = self.chance.choice(["paint", "go_on", "paint"] if self.numbers else ["paint"])
                if not await self._run(action, stop=self.chance.random() < 0.3):
                    return False
                await self._at_once("recolour", [None, self.chance.choice(["luminance", "style"]), 1.0, "after"])
            await self._at_once("show_film", [None, "webp", False])
            return True
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)

    async def _heartbeat(self) -> None:
        async with self.client.stream("GET", f"/gradio_api/heartbeat/{self.session}") as stream:
            async for _ in stream.aiter_lines():
                pass

    def _call(self, name: str, data: list[Any]) -> dict[str, Any]:
        return {"fn_index": self._dependency(name)["id"], "data": data, "session_hash": self.session}

    async def _at_once(self, name: str, data: list[Any]) -> list[Any]:
        answer = await self.client.post("/gradio_api/run/predict", json=self._call(name, data))
        answer.raise_for_status()
        return answer.json()["data"]

    async def _run(self, name: str, stop: bool) -> bool:
        """A run from the click to its last display -> whether it left a picture to download."""
        waiting = self._dependency("show_waiting")
        place = waiting["outputs"].index(self._dependency(name)["inputs"][1])
        number = (await self._at_once("show_waiting", [None]))[place]
        self.numbers.append(number)
        body = self._call(name, [None, number, "png", *self.usual.values()])
        (await self.client.post("/gradio_api/queue/join", json=body)).raise_for_status()
        frames = 0
        async with self.client.stream("GET", f"/gradio_api/queue/data?session_hash={self.session}") as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line[6:]) if line.startswith("data: ") else {"msg": ""}
                frames += message["msg"] == "process_generating"
                if stop and frames == 3:
                    stop = False
                    await self._at_once("stop", [None])
                if message["msg"] == "process_completed":
                    return message["success"]
        return False
