"""Hugging Face Spaces: the front matter, the files that are pushed, and runs in ZeroGPU's forked processes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from nst.ui.server import files
from nst.ui.stylise import handlers, zerogpu

ROOT = Path(__file__).resolve().parents[3]
KEYS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license"),
    *("short_description", "tags", "models", "pinned", "suggested_hardware", "startup_duration_timeout"),
    "disable_embedding",
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
PYTHONS = {"3.10.13", "3.12.12"}  # of ZeroGPU
TORCHES = {"2.8.0", "2.9.1", "2.10.0", "2.11.0"}  # of ZeroGPU


def front_matter(readme: str) -> dict[str, str | list[str]]:
    """Parse the simple YAML that we use: `key: value`, and lists of words."""
    lines = re.match(r"---\n(.*?)\n---\n", readme, re.DOTALL)[1].splitlines()
    found: dict[str, str | list[str]] = {}
    key = ""
    for line in lines:
        if item := re.fullmatch(r"  - ([\w-]+)", line):
            found[key].append(item[1])
        else:
            key, value = re.fullmatch(r"(\w+):\s*(.*)", line).groups()
            assert key not in found, f"{key} is given twice"
            found[key] = value or []
    return found


def wrong_with(found: dict[str, str | list[str]], pinned: dict[str, str]) -> list[str]:
    """Keys that Spaces would not accept, or that ask for other versions than ours."""
    checks = {
        "keys": set(found) <= KEYS,
        "title": 0 < len(found["title"]) <= 80,
        "emoji": len(found["emoji"]) in (1, 2) and not found["emoji"].isascii(),
        "colours": {found["colorFrom"], found["colorTo"]} <= COLOURS,
        "sdk": found["sdk"] == "gradio",
        "sdk_version": found["sdk_version"] == pinned["gradio"],
        "python_version": found["python_version"] in {f'"{version}"' for version in PYTHONS},  # quoted, or 3.10 is 3.1
        "torch": pinned["torch"] in TORCHES,
        "app_file": (ROOT / found["app_file"]).is_file(),
        "license": found["license"] == "mit",
        "short_description": len(found["short_description"]) <= 60,
        "hardware": found["suggested_hardware"] in ("cpu-basic", "zero-a10g"),
    }
    return [name for name, holds in checks.items() if not holds]


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = (re.match(r"([\w-]+)(?:\[\w+\])?==(\S+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_the_front_matter_is_one_that_spaces_accepts() -> None:
    assert wrong_with(front_matter((ROOT / "README.md").read_text()), pins()) == []


def locked(text: str) -> dict[str, list[tuple[str, int]]]:
    """Package -> its versions, which may differ between Pythons, and how many hashes each has."""
    found: dict[str, list[tuple[str, int]]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", text):
        if match := re.match(r"([\w.-]+)(?:\[\w+\])?==([^\s;\\]+)", entry):
            found.setdefault(match[1], []).append((match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry))))
    return found


def test_the_lock_has_our_versions_and_a_hash_for_everything() -> None:
    text = (ROOT / "tests" / "lock.txt").read_text()
    found = locked(text)
    assert len(found) > 60
    for name, version in pins().items():
        assert {given for given, _ in found[name]} == {version}, f"{name} changed; make tests/lock.txt again"
    assert all(hashes for versions in found.values() for _, hashes in versions)
    assert not re.search(r"index-url|file:| @ ", text), "packages come from the index that is set"
    assert locked("numpy==1.0\ntorch==2.0 \\\n    --hash=sha256:" + "0" * 64) == {
        "numpy": [("1.0", 0)],
        "torch": [("2.0", 1)],
    }


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("sdk_version", "6.0.0", "sdk_version"),
        ("python_version", "3.12.12", "python_version"),
        ("colorTo", "orange", "colours"),
        ("short_description", "x" * 61, "short_description"),
        ("hardware", "t4", "keys"),
    ],
)
def test_the_check_sees_what_spaces_would_refuse(key: str, value: str, wrong: str) -> None:
    found = {**front_matter((ROOT / "README.md").read_text()), key: value}
    assert wrong_with(found, pins()) == [wrong]


def test_without_the_package_or_a_pool_handlers_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(zerogpu, "spaces", raising=False)
    assert zerogpu.on_zerogpu(handlers.paint) is handlers.paint
    inactive = SimpleNamespace(GPU=lambda duration: lambda handler: handler)  # as the real package does
    monkeypatch.setattr(zerogpu, "spaces", inactive, raising=False)
    assert zerogpu.on_zerogpu(handlers.paint) is handlers.paint


@pytest.fixture
def kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Callable[[], None]]:
    """The folder of this process, and what removes it at exit."""
    at_exit = []
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(files.tempfile, "tempdir", None)  # `keep_apart` sets it
    monkeypatch.setattr(files.atexit, "register", at_exit.append)
    monkeypatch.setattr(files.signal, "signal", lambda *_: None)
    folder = Path(files.keep_apart())
    (remove,) = at_exit
    return folder, remove


def test_a_forked_process_leaves_the_folder_to_its_owner(kept_apart, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, remove = kept_apart
    owner = os.getpid()
    monkeypatch.setattr(files.os, "getpid", lambda: owner + 1)
    remove()
    assert folder.is_dir()
    monkeypatch.setattr(files.os, "getpid", lambda: owner)
    remove()
    assert not folder.exists()


def test_a_frame_that_a_run_writes_meanwhile_is_removed_too(kept_apart, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, remove = kept_apart
    usual, frames = files.shutil.rmtree, ["first", "second"]

    def rmtree(path: str, **how: object) -> None:
        usual(path, **how)
        if frames:
            (folder / frames.pop()).mkdir(parents=True)

    monkeypatch.setattr(files.shutil, "rmtree", rmtree)
    remove()
    assert not folder.exists()
