"""Hostile load of the page: requests over all its routes, while ordinary visitors ask for pictures."""

from __future__ import annotations

import asyncio
import io
import json
import random
import statistics
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from nst.bench.engine import Row
from nst.bench.visitor import served, upload, usual_request
from nst.ui.server.disk import files_of
from tests.load.crowd import PATIENCE_S, follow, static_seconds

REQUESTS, VISITORS = 500, 50
ATTACKERS = 5  # addresses that the hostile requests come from
WAITING_MOST = 25  # hostile requests on the way at the same time
DISK_MB = 100  # limit of this page
MOST_STATIC_MS, MOST_MIB = 500.0, 2500.0  # limits of the report; the memory is that of the whole process
LAYERS = [f"relu{block}_{number}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for number in range(1, count + 1)]
WRONG = [None, "", "abc", "\0", "NaN", True, -1, 1e308, 10**400, [], [[]], {}, {"path": 7}, {"path": "/etc/passwd"}]
CLOSED = ("stream/1", "process_recording", "vibe-edit/", "run-history/connect", "call/none", "run/none", "queue/none")
READS = ("file={url}", "proxy={url}", "deep_link?session_hash=a", "file=/etc/passwd", "file=app.py", "queue/data")


def hostile(quick: bool) -> Iterator[Row]:
    """Counts of how visitors and hostile requests ended, and the most that the page took of memory and disk."""
    requests, visitors = (66, 4) if quick else (REQUESTS, VISITORS)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log, _elsewhere() as (url, asked):
        environment = {"NST_DISK_MB": str(DISK_MB), "GRADIO_TEMP_DIR": folder, "NST_MAX_SECONDS": "2"}
        with served(log.fileno(), **environment) as (address, pid):
            row = asyncio.run(_attack(address, url, requests, visitors, lambda: _taken(pid, folder)))
        log.seek(0)
        written = log.read().decode(errors="replace")
        row |= {"tracebacks": written.count("Traceback"), "downloads": len(asked)}
        over = (row["static_p95_ms"] > MOST_STATIC_MS, row["peak_mib"] > MOST_MIB, row["disk_mb"] > 1.5 * DISK_MB)
        yield {**row, "over_limit": sum(over)}
        if row["tracebacks"]:
            print(written[-3000:])


class _elsewhere:  # noqa: N801, a context manager
    """A server that the page must not load anything from -> an address there, and the paths that were asked for."""

    def __enter__(self) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/a.png", asked

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _taken(pid: int, folder: str) -> tuple[float, float]:
    """Resident memory of a process, MiB, and bytes of all files below a folder, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024, sum(file.bytes for file in files_of(folder)) / 10**6


async def _attack(address: str, url: str, requests: int, visitors: int, taken: Any) -> Row:
    import httpx

    with httpx.Client(base_url=address) as client:
        usual = {**usual_request(client), "size": 128}
        (bomb,) = upload(client, _large_png())
        config = client.get("/config").json()
    many = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S, limits=many) as client:
        stop, most = asyncio.Event(), [0.0, 0.0]
        watches = [asyncio.create_task(static_seconds(client, stop)), asyncio.create_task(_watch(taken, most, stop))]
        door = asyncio.Semaphore(WAITING_MOST)
        attack = Attack(client, config, usual, url, bomb)
        hostile_ends = asyncio.gather(*(attack.send(number, door) for number in range(requests)))
        visitor_ends = asyncio.gather(*(_visit(client, config, usual, number) for number in range(visitors)))
        statuses, ends = Counter(await hostile_ends), Counter(await visitor_ends)
        stop.set()
        seconds, _ = await asyncio.gather(*watches)
    return {
        "requests": requests, **{f"{kind}xx": statuses[kind] for kind in "245"}, "silent": statuses["silent"],
        "visitors": visitors, **{end: ends[end] for end in ("picture", "told", "hung")},
        "static_p95_ms": 1000 * statistics.quantiles(seconds, n=20)[-1], "peak_mib": most[0], "disk_mb": most[1],
    }  # fmt: skip


async def _watch(taken: Any, most: list[float], stop: asyncio.Event) -> None:
    """Keep the most of memory and disk in `most`, until `stop` is set."""
    while not stop.is_set():
        most[:] = map(max, most, await asyncio.to_thread(taken))
        await asyncio.sleep(0.5)


async def _visit(client: Any, config: dict[str, Any], usual: dict[str, Any], number: int) -> str:
    """An ordinary visitor, who asks for a picture -> "picture", "told" (a sentence says why not) or "hung"."""
    await asyncio.sleep(number * 0.5)
    fn = next(item["id"] for item in config["dependencies"] if item["api_name"] == "stylise")
    session = f"visitor{number}"
    body = {"data": list(usual.values()), "fn_index": fn, "session_hash": session}
    joined = await client.post("/gradio_api/queue/join", json=body, headers={"X-Forwarded-For": f"10.0.0.{number}"})
    if joined.status_code != 200:
        return "told" if joined.json().get("detail") else "hung"
    try:
        end = await asyncio.wait_for(follow(client, session, 1, []), PATIENCE_S)
    except asyncio.TimeoutError:
        return "hung"
    return "told" if end == "refused" else end


class Attack:
    """Hostile requests; the number of one is its seed."""

    def __init__(self, client: Any, config: dict[str, Any], usual: dict[str, Any], url: str, bomb: Any) -> None:
        self.client, self.usual, self.bomb = client, usual, bomb
        self.file = {"path": url, "meta": {"_type": "gradio.FileData"}}
        self.functions = config["dependencies"]
        self.kinds = [self.address, self.flood, self.wrong, self.decode, self.start, self.upload, self.painting,
                      self.assistant, self.closed, self.read, self.forecast]  # fmt: skip

    async def send(self, number: int, door: asyncio.Semaphore) -> str:
        """Send one request -> the first digit of the answer's status; "silent": an error without a sentence."""
        chance = random.Random(number)
        async with door:
            answer = await self.kinds[number % len(self.kinds)](
                chance, {"X-Forwarded-For": f"9.9.9.{number % ATTACKERS}"}
            )
        said = answer.text if answer.status_code >= 500 else "."
        return "silent" if said in ("", '{"error":null}', "Internal Server Error") else str(answer.status_code)[0]

    async def call(self, item: dict[str, Any], values: list[Any], chance: random.Random, headers: dict) -> Any:
        """Call a function of the page, in or past the queue."""
        route = chance.choice(("queue/join", "run/predict", "api/predict", "run/predict"))
        body = {"data": values, "fn_index": item["id"], "session_hash": f"hostile{chance.randrange(40)}",
                "event_data": {"index": 0, "value": None}}  # fmt: skip
        content = json.dumps(body)
        return await self.client.post(f"/gradio_api/{route}", content=content, headers={**headers, **JSON})

    def named(self, chance: random.Random, *names: str) -> dict[str, Any]:
        """One of the functions with these names in the API."""
        return chance.choice([item for item in self.functions if item["api_name"].rstrip("_0123456789") in names])

    async def address(self, chance: random.Random, headers: dict) -> Any:
        item = chance.choice(self.functions)
        values = [chance.choice((self.file, [[{"image": self.file}]], None)) for _ in item["inputs"]]
        return await self.call(item, values, chance, headers)

    async def forecast(self, chance: random.Random, headers: dict) -> Any:
        rows = [[chance.choice(LAYERS), 1, 0] for _ in range(3)]
        given = {**self.usual, "other_layers": {"headers": ["layer", "lambda", "content"], "data": rows}}
        return await self.call(self.named(chance, "show_expected"), [None, *given.values()], chance, headers)

    async def flood(self, chance: random.Random, headers: dict) -> Any:
        kept = [None] * 3  # by the server for a session: the kind of matrix and the pair
        values = [None, "style", chance.choice(LAYERS), *kept, self.usual["photo"], self.usual["style"], None]
        return await self.call(self.named(chance, "show_layer"), values, chance, headers)

    async def decode(self, chance: random.Random, headers: dict) -> Any:
        return await self.call(self.named(chance, "show_canvas"), [self.bomb], chance, headers)

    async def wrong(self, chance: random.Random, headers: dict) -> Any:
        item = chance.choice(self.functions)
        values = [chance.choice(WRONG) for _ in item["inputs"]][: chance.choice((None, None, 1))]
        return await self.call(item, values, chance, headers)

    async def start(self, chance: random.Random, headers: dict) -> Any:
        name = chance.choice(("call/stylise", "call/repaint", "call/v2/stylise"))
        given = {**self.usual, "photo": chance.choice((self.file, self.usual["photo"]))}
        body = given if "v2" in name else {"data": list(given.values())}
        return await self.client.post(f"/gradio_api/{name}", json=body, headers=headers)

    async def upload(self, chance: random.Random, headers: dict) -> Any:
        files = [
            ("files", (f"{n}.png", chance.randbytes(chance.choice((10, 10**6))))) for n in range(chance.choice((1, 9)))
        ]
        return await self.client.post("/gradio_api/upload", files=files, headers=headers)

    async def painting(self, chance: random.Random, headers: dict) -> Any:
        form = {"component_id": str(chance.randrange(200)), "session_hash": "a", "fn_name": "accept_blobs", "id": "a"}
        form |= {"type": "layer", "index": str(chance.choice((0, 10**9)))}
        content = {"file": chance.randbytes(chance.choice((10, 5 * 10**6)))}
        return await self.client.post("/gradio_api/component_server", data=form, files=content, headers=headers)

    async def assistant(self, chance: random.Random, headers: dict) -> Any:
        arguments = {"photo": chance.choice((self.file["path"], "data:image/png;base64,***", "data:,", 7))}
        call = {"jsonrpc": "2.0", "id": 1, "method": chance.choice(("tools/call", "tools/list", "none"))}
        body = chance.choice(({**call, "params": {"name": "repaint", "arguments": arguments}}, [], {"id": 1}))
        accept = {"Accept": "application/json, text/event-stream"}
        return await self.client.post("/gradio_api/mcp/", json=body, headers={**headers, **accept})

    async def closed(self, chance: random.Random, headers: dict) -> Any:
        return await self.client.post(f"/gradio_api/{chance.choice(CLOSED)}", json={"data": []}, headers=headers)

    async def read(self, chance: random.Random, headers: dict) -> Any:
        return await self.client.get(
            f"/gradio_api/{chance.choice(READS).format(url=self.file['path'])}", headers=headers
        )


JSON = {"Content-Type": "application/json"}


def _large_png() -> bytes:
    """A small file of a picture of 40 megapixels."""
    file = io.BytesIO()
    Image.new("L", (8000, 5000)).save(file, "PNG")
    return file.getvalue()
