"""What a batch has done so far, so that it can be stopped at any moment and go on later."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME = "manifest.jsonl"


class Manifest:
    """A line of JSON for each picture that was tried, beside the results. The last line about a file counts."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self.folder = folder
        self.keys: dict[str, str] = {}  # file name -> key of the picture in it
        self.entries: dict[str, Mapping[str, Any]] = {}  # key -> its last line
        known = path.read_bytes() if path.exists() else b""
        for line in known.splitlines():
            with contextlib.suppress(ValueError):  # a killed program may leave half a line
                self._note(json.loads(line))
        self.lines = path.open("ab", buffering=0)  # each line in one write, after whatever is there by then
        if known and not known.endswith(b"\n"):
            self.lines.write(b"\n")

    def add(self, entry: Mapping[str, Any]) -> None:
        """`output` is the file's name, `key` tells the picture, `error` is None when it was written."""
        self.lines.write(json.dumps(entry).encode() + b"\n")
        self._note(entry)

    def find(self, key: str, prefer: Path, beside: Sequence[str] = ()) -> Path | None:
        """A file that holds this picture, if there is one that also has files with these endings beside it."""
        names = [prefer.name, self.entries[key]["output"]] if key in self.entries else []
        holds = (self.folder / name for name in names if self.keys.get(name) == key)
        return next((f for f in holds if all(f.with_suffix(end).exists() for end in (f.suffix, *beside))), None)

    def close(self) -> None:
        self.lines.close()

    def _note(self, entry: Mapping[str, Any]) -> None:
        if entry["error"] is None:
            self.keys[entry["output"]] = entry["key"]
            self.entries[entry["key"]] = entry
