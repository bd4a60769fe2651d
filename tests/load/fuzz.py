"""Fuzz test of the page: thousands of damaged files, and requests with wrong values."""

from __future__ import annotations

import io
import json
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from nst import recipe
from nst.bench.engine import Row
from nst.bench.visitor import served, upload, usual_request
from nst.images import pictures

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "MPO", "PPM", "ICO", "TGA", "SGI", "PCX", "DDS", "EPS")
FILES, REQUESTS = 4500, 750  # numbers of a full run
WRONG = [
    *(None, "", "abc", "relu9_9", "../../etc/passwd", "\0", "1e999", "NaN", True, False, -1, 0, 0.5, 1e308, -1e308),
    *(10**400, float("nan"), float("inf"), float("-inf"), 2**63, [], [[]], [[None, None, None]], [["relu1_2", "x", 0]]),
    *({}, {"path": None}, {"path": 7}, {"path": "/etc/passwd"}, {"headers": [], "data": 3}, {"__type__": "state"}),
]
INTERNALS = ("Traceback", 'File \\"', "site-packages", str(Path(__file__).parents[2]))  # must not be in an answer


def fuzz(quick: bool) -> Iterator[Row]:
    """Mutated files of every format, then requests with wrong values: counts of outcomes, and the slowest refusal."""
    yield _fuzz_files(FILES // 90 if quick else FILES)
    yield _fuzz_requests(REQUESTS // 50 if quick else REQUESTS)


def _fuzz_files(count: int) -> Row:
    """Read `count` mutated files in another process, because a crash of a decoder would end this one."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=100) as pool:
        ends, slowest_s = Counter(), 0.0
        for number in range(count):
            try:
                end, seconds = pool.apply_async(_open, (number,)).get(timeout=60)
            except multiprocessing.TimeoutError:  # the process has crashed and gives no answer
                end, seconds = "crashed", 60.0
            ends[end] += 1
            slowest_s = max(slowest_s, seconds if end != "accepted" else 0.0)
    return _row("files", count, ends, slowest_s)


def _row(what: str, count: int, ends: Counter[str], slowest_s: float) -> Row:
    faults = {"faults": ends["fault"], "crashes": ends["crashed"]}
    return {"inputs": what, "tried": count, "accepted": ends["accepted"], "refused": ends["refused"], **faults,
            "slowest_refusal_s": slowest_s}  # fmt: skip


def _open(number: int) -> tuple[str, float]:
    """Read one mutated file with each function by which the page reads a file -> outcome, seconds."""
    content = mutated(number)
    began = time.perf_counter()
    end = "refused"
    for read in (pictures.load, pictures.to_mask, lambda file: recipe.read(io.BytesIO(file))):
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
    """The file of a small picture, damaged at random; `number` is the seed and chooses the format."""
    chance = random.Random(number)
    size = chance.randint(20, 90), chance.randint(20, 90)
    content = bytearray(_file(FORMATS[number % len(FORMATS)], size))
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        at = chance.randrange(len(content) if chance.random() < 0.5 else min(len(content), 120))  # half in the header
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
    """Raw calls of the endpoint of a served page, with up to three wrong values and sometimes a mutated file."""
    import httpx

    ends, slowest_s = Counter(), 0.0
    environment = {"NST_STARTS_PER_MINUTE": "100000", "NST_UPLOADS_PER_MINUTE": "100000", "NST_MAX_SECONDS": "1"}
    environment["NST_MAX_SIZE"] = "256"
    with served(**environment) as (address, _), httpx.Client(base_url=address, timeout=90) as client:
        usual = usual_request(client)
        ends[_end_of(client, usual)] += 1  # a legal request, which should be accepted
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


def _with_wrong_values(usual: dict[str, Any], chance: random.Random, client: Any) -> dict[str, Any]:
    asked = dict(usual)
    for name in chance.sample(sorted(asked), chance.randint(0, 3)):
        asked[name] = chance.choice(WRONG)
    if chance.random() < 0.2:
        (asked["photo"],) = upload(client, mutated(chance.randrange(10**6)))
    return asked


def _end_of(client: Any, asked: dict[str, Any]) -> str:
    """Call the endpoint -> "accepted", "refused" or "fault"."""
    body = json.dumps({"data": list(asked.values())})
    sent = client.post("/gradio_api/call/stylise", content=body, headers={"Content-Type": "application/json"})
    answer = sent.text
    if sent.status_code == 200:
        answer = client.get(f"/gradio_api/call/stylise/{sent.json()['event_id']}").text
    if sent.status_code >= 500 or any(word in answer for word in INTERNALS) or "went wrong on the server" in answer:
        print(f"{asked}: {answer[-300:]}", file=sys.stderr)
        return "fault"
    return "accepted" if "event: complete" in answer else "refused"
