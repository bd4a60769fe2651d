"""What a public address meets: broken files and values by the thousand, and a crowd that arrives within a minute."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from nst import images, recipe
from nst.bench.engine import Row
from nst.bench.visitor import PHOTO, STYLE, served

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "MPO", "PPM", "ICO", "TGA", "SGI", "PCX", "DDS", "EPS")
FILES, REQUESTS = 4500, 750  # of a full fuzz run
SLOW_S = 5.0  # no bad input may take longer
WRONG = [
    *(None, "", "abc", "relu9_9", "../../etc/passwd", "\0", "1e999", "NaN", True, False, -1, 0, 0.5, 1e308, -1e308),
    *(10**400, float("nan"), float("inf"), float("-inf"), 2**63, [], [[]], [[None, None, None]], [["relu1_2", "x", 0]]),
    *({}, {"path": None}, {"path": 7}, {"path": "/etc/passwd"}, {"headers": [], "data": 3}, {"__type__": "state"}),
]
INSIDE = ("Traceback", 'File \\"', "site-packages", str(Path(__file__).parents[2]))  # must not be in an answer
CLIENTS, ARRIVE_S = 50, 60.0
PATIENCE_S = 1200.0  # in which every client must have been served


def fuzz(quick: bool) -> Iterator[Row]:
    """Mutated files of every format, and requests with wrong values: how they end, and the slowest refusal."""
    yield _fuzz_files(FILES // 15 if quick else FILES)
    yield _fuzz_requests(REQUESTS // 15 if quick else REQUESTS)


def _fuzz_files(count: int) -> Row:
    """In a process of their own, which a crash of a decoder would end."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=100) as pool:
        ends, slowest_s = Counter(), 0.0
        for number in range(count):
            try:
                end, seconds = pool.apply_async(_open, (number,)).get(timeout=60)
            except multiprocessing.TimeoutError:  # that process is gone
                end, seconds = "crashed", 60.0
            ends[end] += 1
            slowest_s = max(slowest_s, seconds if end != "accepted" else 0.0)
    return _row("files", count, ends, slowest_s)


def _row(what: str, count: int, ends: Counter[str], slowest_s: float) -> Row:
    faults = {"faults": ends["fault"], "crashes": ends["crashed"]}
    return {"inputs": what, "tried": count, "accepted": ends["accepted"], "refused": ends["refused"], **faults,
            "slowest_refusal_s": slowest_s}  # fmt: skip


def _open(number: int) -> tuple[str, float]:
    """Read one mutated file everywhere that the page reads a file -> how it ended, seconds."""
    content = mutated(number)
    began = time.perf_counter()
    end = "refused"
    for read in (images.load, images.to_mask, lambda file: recipe.read(io.BytesIO(file))):
        try:
            read(content)
            end = "accepted"
        except ValueError:
            pass
        except Exception as error:
            print(f"file {number}: {type(error).__name__}: {error}", file=sys.stderr)
            return "fault", time.perf_counter() - began
    return end, time.perf_counter() - began


def mutated(number: int) -> bytes:
    """A small picture's file in one of many formats, damaged in one of many ways, by this seed."""
    chance = random.Random(number)
    size = chance.randint(20, 90), chance.randint(20, 90)
    content = bytearray(_file(FORMATS[number % len(FORMATS)], size))
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        at = chance.randrange(len(content) if chance.random() < 0.5 else min(len(content), 120))  # headers twice
        length = chance.choice((1, 2, 4, 40))
        match chance.randrange(6):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                content[at : at + length] = chance.randbytes(length)
            case 2:
                content[at : at + length] = chance.choice((b"\xff", b"\0", b"\x7f")) * length
            case 3:
                del content[at : at + length]
            case 4:
                content[at:at] = content[at : at + 8 * length]
            case 5:
                del content[max(12, at) :]
        if len(content) < 2:
            break
    return bytes(content)


def _file(form: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    picture = Image.effect_noise(size, 90).convert("RGB")
    if form == "MPO":
        picture.save(buffer, form, save_all=True, append_images=[picture])
    else:
        picture.save(buffer, form)
    return buffer.getvalue()


def _fuzz_requests(count: int) -> Row:
    """Raw calls of the endpoint on a served page, each with some values of a wrong kind or a mutated file."""
    import httpx

    ends, slowest_s = Counter(), 0.0
    environment = {"NST_STARTS_PER_MINUTE": "100000", "NST_MAX_SECONDS": "1", "NST_MAX_SIZE": "256"}
    with served(**environment) as (address, _), httpx.Client(base_url=address, timeout=90) as client:
        usual = _usual(client)
        ends[_end_of(client, usual)] += 1  # to be accepted
        for number in range(count):
            asked = _with_wrong_values(usual, random.Random(number), client)
            began = time.perf_counter()
            end = _end_of(client, asked)
            seconds = time.perf_counter() - began
            ends[end] += 1
            slowest_s = max(slowest_s, seconds if end != "accepted" else 0.0)
        if client.get("/").status_code != 200:
            ends["crashed"] += 1
    return _row("requests", count, ends, slowest_s)


def _usual(client: Any) -> dict[str, Any]:
    """Legal values of the endpoint's parameters, as a page sends them."""
    described = client.get("/gradio_api/info").json()["named_endpoints"]["/stylise"]["parameters"]
    values = {item["parameter_name"]: item.get("parameter_default") for item in described}
    photo, style = _upload(client, PHOTO.read_bytes(), STYLE.read_bytes())
    return {**values, "photo": photo, "style": style, "size": 128, "quality": "draft"}


def _upload(client: Any, *contents: bytes) -> list[dict[str, Any]]:
    files = [("files", ("picture.png", content)) for content in contents]
    paths = client.post("/gradio_api/upload", files=files).json()
    return [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]


def _with_wrong_values(usual: dict[str, Any], chance: random.Random, client: Any) -> dict[str, Any]:
    asked = dict(usual)
    for name in chance.sample(sorted(asked), chance.randint(0, 3)):
        asked[name] = chance.choice(WRONG)
    if chance.random() < 0.2:
        (asked["photo"],) = _upload(client, mutated(chance.randrange(10**6)))
    return asked


def _end_of(client: Any, asked: dict[str, Any]) -> str:
    """How a call ends."""
    body = json.dumps({"data": list(asked.values())})
    sent = client.post("/gradio_api/call/stylise", content=body, headers={"Content-Type": "application/json"})
    answer = sent.text
    if sent.status_code == 200:
        answer = client.get(f"/gradio_api/call/stylise/{sent.json()['event_id']}").text
    if sent.status_code >= 500 or any(word in answer for word in INSIDE) or "went wrong on the server" in answer:
        print(f"{asked}: {answer[-300:]}", file=sys.stderr)
        return "fault"
    return "accepted" if "event: complete" in answer else "refused"


def load(quick: bool) -> Iterator[Row]:
    """Clients who arrive within a minute for a default picture, a third of whom vanish while theirs is painted."""
    clients = 6 if quick else CLIENTS
    environment = {"NST_SESSIONS_PER_ADDRESS": "1000", "NST_QUEUE": str(3 if quick else 20)}
    size = 128 if quick else 384
    with served(**environment) as (address, _):
        yield asyncio.run(_crowd(address, clients, ARRIVE_S * clients / CLIENTS, size))


async def _crowd(address: str, clients: int, arrive_s: float, size: int) -> Row:
    import httpx

    with httpx.Client(base_url=address) as client:
        usual = {**_usual(client), "size": size}
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S, limits=httpx.Limits()) as client:
        stop = asyncio.Event()
        watch = asyncio.create_task(_static_seconds(client, stop))
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
    """One client from arrival to the end -> how it ended. Every third leaves at its first painted picture."""
    await asyncio.sleep(wait_s)
    info = (await client.get("/config")).json()
    fn = next(item["id"] for item in info["dependencies"] if item["api_name"] == "stylise")
    session = f"crowd{number}"
    body = {"data": list(usual.values()), "fn_index": fn, "session_hash": session}
    joined = await client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return "refused" if joined.status_code == 429 and "Busy" in joined.text else "hung"
    try:
        return await asyncio.wait_for(_follow(client, session, number, marks), PATIENCE_S)
    except asyncio.TimeoutError:
        return "hung"


async def _follow(client: Any, session: str, number: int, marks: list) -> str:
    frames, told = 0, False
    async with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        async for line in stream.aiter_lines():
            message = json.loads(line[6:]) if line.startswith("data: ") else {"msg": ""}
            kind, now = message["msg"], time.monotonic()
            if kind == "estimation" and not told and message["rank"] > 0:
                told = True
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


async def _static_seconds(client: Any, stop: asyncio.Event) -> list[float]:
    """Of a small static file, asked for again and again."""
    seconds = []
    while not stop.is_set():
        began = time.perf_counter()
        (await client.get("/theme.css")).raise_for_status()
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(0.2)
    return seconds


def _seconds_to_free(marks: Sequence[tuple[float, str, int]]) -> list[float]:
    """From each client that vanished to the next one's start; the queue was not empty then."""
    ordered = sorted(marks)
    gaps = []
    for index, (when, what, _) in enumerate(ordered):
        following = [later for later, kind, _ in ordered[index + 1 :] if kind == "start"]
        if what == "vanished" and following:
            gaps.append(following[0] - when)
    return gaps
