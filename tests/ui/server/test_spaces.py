"""Hugging Face Spaces: the front matter, what would be pushed, and runs in ZeroGPU's forked processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from serving import serve

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
MOST_MB = 10  # of a file outside Git LFS


def front_matter(readme: str) -> dict[str, str | list[str]]:
    """Of the simple YAML that ours is: `key: value`, and lists of words."""
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
    """Names of what Spaces would not accept, or would run with other versions than ours."""
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


def test_what_would_be_pushed_is_small_and_starts_alone(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    space, temporary = tmp_path / "space", tmp_path / "temporary"
    temporary.mkdir()
    for name in filter(None, listed.stdout.split("\0")):
        assert (ROOT / name).stat().st_size <= MOST_MB * 1e6, name
        (space / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, space / name)
    server, address = serve(temporary, space, PYTHONPATH="", SYSTEM="spaces")
    try:
        page = httpx.get(address).text
        assert "Neural style transfer" in page
        assert "/stylise" in httpx.get(f"{address}gradio_api/info").json()["named_endpoints"]
    finally:
        server.kill()
        server.wait()


FAKE_SPACES = '''
"""Does what ZeroGPU does to a handler: a process is forked for each call, and all that comes and goes is pickled."""
import functools, multiprocessing, os, pickle

asked = []

def GPU(duration):
    def wrap(handler):
        @functools.wraps(handler)
        def call(*values):
            import torch
            assert not torch.cuda.is_initialized(), "CUDA before the fork"
            asked.append(duration(*values))
            sent = pickle.dumps(values)
            fork = multiprocessing.get_context("fork")
            here, there = fork.Pipe(duplex=False)

            def work():
                try:
                    for shown in handler(*pickle.loads(sent)):
                        there.send_bytes(pickle.dumps((os.getpid(), shown)))
                except Exception as error:
                    there.send_bytes(pickle.dumps((os.getpid(), error)))
                there.send_bytes(b"")
                os._exit(0)

            child = fork.Process(target=work)
            child.start()
            there.close()
            while content := here.recv_bytes():
                pid, shown = pickle.loads(content)
                assert pid != os.getpid()
                if isinstance(shown, Exception):
                    raise shown
                yield shown
            child.join()
        return call
    return wrap
'''

RUN_IN_FORK = """
import json, sys
import spaces
sys.path.insert(0, "tests")
from serving import usual_values
from nst.ui import build
from nst.ui.server import examples
from nst.ui.stylise import expected_time, handlers, variants, zerogpu
from nst.ui.stylise.handlers import PARAMETERS

page = build()
handlers_of_page = [getattr(function.fn, "__wrapped__", None) for function in page.fns.values()]
wrapped = [handler.__name__ for handler in handlers_of_page if hasattr(handler, "__wrapped__")]
given = {**usual_values(*examples.first_sight()[:2]), "size": 64, "other_layers": []}
assert expected_time.show_expected(None, *given.values())["expected"].startswith("About")
paint, go_on, stylise, repaint, grid = (
    zerogpu.on_zerogpu(handler, PARAMETERS)
    for handler in (handlers.paint, handlers.go_on, handlers.stylise, handlers.repaint, variants.paint)
)
*_, painted = paint(*given.values())
*_, again = go_on(painted["kept"], *given.values())
*_, public = stylise(*given.values())
variants.VARIANTS = variants.VARIANTS[:1]
*_, options = grid(*given.values())
statuses = [updates["status"] for updates in (painted, again, public)]
large = zerogpu.needed_s({**given, "size": 1024, "quality": "fine"})
try:
    refused = [updates["status"] for updates in paint(*{**given, "photo": None}.values())]
except Exception as error:
    refused = str(error)
import torch
print(json.dumps([sorted(set(wrapped)), painted["picture"].size, statuses, len(options["options"]), spaces.asked, large,
    refused, torch.cuda.is_initialized()]))
"""


def test_runs_work_in_zerogpus_forked_processes(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text(FAKE_SPACES)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SPACES_ZERO_GPU": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN_IN_FORK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    wrapped, size, statuses, painted, asked, large, refused, initialised = json.loads(done.stdout.splitlines()[-1])
    assert wrapped == [
        *("go_on", "paint", "paint_bigger", "paint_contents", "paint_playground", "paint_textures"),
        *("repaint", "stylise"),
    ]
    assert max(size) == 64
    assert all(words.startswith("Finished: 64 x") for words in statuses)
    assert painted == 1
    assert all(10 <= seconds <= 15 for seconds in asked[:-1]), "little is asked for a small picture"
    assert asked[-1] == 30
    assert max(asked[:-1]) < large < 30, "more for a large one"
    assert "There is no photo yet" in refused, "a refusal crosses, too"
    assert not initialised


def test_without_the_package_or_a_pool_handlers_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(zerogpu, "spaces", raising=False)
    assert zerogpu.on_zerogpu(handlers.paint, handlers.PARAMETERS) is handlers.paint
    inactive = SimpleNamespace(GPU=lambda duration: lambda handler: handler)  # as the real package does
    monkeypatch.setattr(zerogpu, "spaces", inactive, raising=False)
    assert zerogpu.on_zerogpu(handlers.paint, handlers.PARAMETERS) is handlers.paint
