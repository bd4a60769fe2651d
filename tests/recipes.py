"""Shared by tests of recipes: an independent writer of checksums and PNG chunks."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image

from nst import Settings, recipe


def made(settings: Settings | None = None, **fields: Any) -> recipe.Recipe:
    known = {
        "settings": settings or Settings(),
        "inputs": {"photo": "0" * 64, "style 1": "a" * 64, "style 2": "b" * 64},
        "versions": {"python": "3.11.7", "torch": "2.11.0+cu130"},
        "compute": "cpu, float32 (no CUDA GPU, CPU has no native bfloat16)",
        "stopped": "completed",
        "steps": 90,
        "costs": {"total": 0.1 + 0.2, "content": 5e-324, "style": 1e300, "relu1_1": 1 / 3},
        "height": 288,
        "width": 384,
    }
    return recipe.Recipe(**{**known, **fields})


def forged(change: Mapping[str, Any], leave_out: str = "", settings: Mapping[str, Any] | None = None) -> str:
    """A forged recipe with a right checksum."""
    body = json.loads(recipe.text(made())["nst"])
    body = {name: value for name, value in {**body, **change}.items() if name not in ("sha256", leave_out)}
    body["settings"] = {**body["settings"], **settings} if settings else body.get("settings")
    return sealed(json.dumps(body, separators=(",", ":")))


def sealed(text: str) -> str:
    return text[:-1] + f',"sha256":"{hashlib.sha256(text.encode()).hexdigest()}"' + "}"


def holding(text: str) -> Image.Image:
    """A picture as Pillow hands it over after reading this recipe."""
    picture = Image.new("RGB", (8, 8))
    picture.info["nst"] = text
    return picture


def png(*chunks: tuple[bytes, bytes], after: tuple[bytes, bytes] | None = None, side: int = 1) -> bytes:
    """A PNG with one black pixel and more chunks, before the pixel or after it."""
    header = (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    pixels = (b"IDAT", zlib.compress(bytes(4)))
    parts = [header, *chunks, pixels, *([after] if after else []), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def refusal(source: Any) -> str:
    """The message with which a source is refused."""
    with pytest.raises(ValueError, match=r"^\S") as caught:
        recipe.read(source)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message
