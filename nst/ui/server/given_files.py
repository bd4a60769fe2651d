"""Files that the page gives out: each lies where its content says, and is never written while it is being read.

Two runs of the same pictures give the same files, so that one visitor may be loading what another's run writes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from gradio import processing_utils
from gradio.utils import get_upload_folder
from PIL import Image

from nst.images import encode


def give(content: bytes, name: str, folder: str | None = None) -> str:
    """The path of a file of this content and name, in gradio's folder if none is named.

    A file that is there is only touched, so that no sweep takes it for an old one.
    """
    path = Path(folder or get_upload_folder()).resolve() / processing_utils.hash_bytes(content) / name
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        if path.stat().st_size == len(content):
            return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encode.write(content, path)
    return str(path)


def give_pictures_whole() -> None:
    """Let gradio's components write their pictures by `give`: gradio 6.31 writes to a file although it is there."""
    processing_utils.save_pil_to_cache = _given_picture


def _given_picture(img: Image.Image, cache_dir: str, name: str = "image", format: str = "webp") -> str:
    return give(processing_utils.encode_pil_to_bytes(img, format), f"{name}.{format}", cache_dir)
