"""Load test of the page: many clients that arrive within a minute."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from nst.bench.engine import Row
from nst.bench.visitor import served, usual_request

CLIENTS, ARRIVE_S = 50, 60.0
PATIENCE_S = 1200.0  # time after which a client that has no answer counts as hung


def load(quick: bool) -> Iterator[Row]:
    """Clients arrive within a minute and ask for a default picture; a third of them leave while theirs is painted."""
    clients = 4 if quick else CLIENTS
    environment = {"NST_SESSIONS_PER_ADDRESS": "1000", "NST_QUEUE": str(2 if quick else 20)}
    if quick:
        environment["NST_MAX_SECONDS"] = "2"
    size = 128 if quick else 384
    with served(**environment) as (address, _):
        yield asyncio.run(_crowd(address, clients, ARRIVE_S * clients / CLIENTS, size))


async def _crowd(address: str, clients: int, arrive_s: float, size: int) -> Row:
    import httpx

    with httpx.Client(base_url=address) as client:
        usual = {**usual_request(client), "size": size}
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S, limits=httpx.Limits()) as client:
        stop = asyncio.Event()
        watch = asyncio.create_task(static_seconds(client, stop))
        marks: list[tuple[float, str, int]] = []
        visits = [_visit(client, usual, number, arrive_s * number / clients, marks) for number in range(clients)]
        ends = Counter(await asyncio.gather(*visits))
        stop.set()
        seconds = await watch
    frees = _seconds_to_free(marks)
    return {
        "clients": clients, **{end: ends[end] for end in ("picture", "vanished", "refused", "hung")},
        "saw_position": sum(what == "position" for _, what, _ in marks),
        "static_p95_ms": 1000 * statistics.quantiles(seconds, n=20)[-1], "most_to_free_s": max(frees, default=0.0),
    }  # fmt: skip


async def _visit(client: Any, usual: dict[str, Any], number: int, wait_s: float, marks: list) -> str:
    """One client from arrival to its end: "picture", "vanished", "refused" or "hung". Events are added to `marks`."""
    await asyncio.sleep(wait_s)
    info = (await client.get("/config")).json()
    fn = next(item["id"] for item in info["dependencies"] if item["api_name"] == "stylise")
    session = f"crowd{number}"
    body = {"data": list(usual.values()), "fn_index": fn, "session_hash": session}
    joined = await client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return "refused" if joined.status_code == 429 and "Busy" in joined.text else "hung"
    try:
        return await asyncio.wait_for(follow(client, session, number, marks), PATIENCE_S)
    except asyncio.TimeoutError:
        return "hung"


async def follow(client: Any, session: str, number: int, marks: list) -> str:
    """Read the stream of one run until it ends -> how. Every third client leaves at its third frame."""
    frames, saw_position = 0, False
    async with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        async for line in stream.aiter_lines():
            message = json.loads(line[6:]) if line.startswith("data: ") else {"msg": ""}
            kind, now = message["msg"], time.monotonic()
            if kind == "estimation" and not saw_position and message["rank"] > 0:
                saw_position = True
                marks.append((now, "position", number))
            if kind == "process_starts":
                marks.append((now, "start", number))
            frames += kind == "process_generating"
            if frames == 3 and number % 3 == 0:
                marks.append((now, "vanished", number))
                return "vanished"
            if kind == "process_completed":
                marks.append((now, "end", number))
                return "picture" if message["success"] else "refused"
    return "hung"


async def static_seconds(client: Any, stop: asyncio.Event) -> list[float]:
    """Times in which a small static file is answered, until `stop` is set, s."""
    seconds = []
    while not stop.is_set():
        began = time.perf_counter()
        (await client.get("/theme.css")).raise_for_status()
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(0.2)
    return seconds


def _seconds_to_free(marks: Sequence[tuple[float, str, int]]) -> list[float]:
    """Seconds from each departure to the start of the next run; departures without a later start do not count."""
    ordered = sorted(marks)
    gaps = []
    for index, (when, what, _) in enumerate(ordered):
        following = [later for later, kind, _ in ordered[index + 1 :] if kind == "start"]
        if what == "vanished" and following:
            gaps.append(following[0] - when)
    return gaps
