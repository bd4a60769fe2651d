"""The manifest of a batch: a record of each picture, so that an interrupted batch can continue."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME = "manifest.jsonl"
WRITER = "batch-"  # begins the names of parts of files that a batch is writing


class Manifest:
    """A file beside the results with a line of JSON for each attempt. The last line about a file counts."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self.folder = folder
        for part in folder.glob(f".{WRITER}*.part"):  # of a batch that was killed while it wrote
            part.unlink(missing_ok=True)
        self.keys: dict[str, str] = {}  # file name -> key of the picture in it
        self.entries: dict[str, Mapping[str, Any]] = {}  # key -> its last line
        known = path.read_bytes() if path.exists() else b""
        for line in known.splitlines():
            with contextlib.suppress(ValueError, RecursionError):  # a program that was killed may leave half a line
                self._note(_entry(json.loads(line)))
        self.lines = path.open("ab", buffering=0)  # unbuffered: each line is appended by a single write
        if known and not known.endswith(b"\n"):
            self.lines.write(b"\n")

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append a line: `output` is the file's name, `key` is `Task.key`, `error` is None when the file is written."""
        self.lines.write(json.dumps(entry).encode() + b"\n")
        self._note(entry)

    def find(self, key: str, prefer: Path, beside: Sequence[str] = ()) -> Path | None:
        """An existing file that holds the picture of this key, `prefer` if possible; None without one.

        `beside` lists the suffixes of further files, such as ".csv", that must exist with the same name.
        """
        names = [prefer.name, self.entries[key]["output"]] if key in self.entries else []
        holds = (self.folder / name for name in names if self.keys.get(name) == key)
        return next((f for f in holds if all(f.with_suffix(end).exists() for end in (f.suffix, *beside))), None)

    def close(self) -> None:
        self.lines.close()

    def _note(self, entry: Mapping[str, Any]) -> None:
        if entry["error"] is None:
            self.keys[entry["output"]] = entry["key"]
            self.entries[entry["key"]] = entry


def _entry(found: Any) -> Mapping[str, Any]:
    """An entry as `Manifest.add` writes it. `ValueError` for other JSON, also for an output outside the folder."""
    if not isinstance(found, dict) or not {"output", "key", "error"} <= found.keys():
        raise ValueError("no entry of a manifest")
    output, key = found["output"], found["key"]
    if not (isinstance(output, str) and isinstance(key, str) and output == Path(output).name not in ("", "..")):
        raise ValueError("no file name or no key")
    return found
