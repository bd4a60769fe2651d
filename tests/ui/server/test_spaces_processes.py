"""Hugging Face Spaces, as processes: the pushed files start alone, and run in ZeroGPU's forked processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from tests.serving import serve

ROOT = Path(__file__).resolve().parents[3]
MOST_MB = 10  # limit for a file outside Git LFS


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
"""Treats a handler as ZeroGPU does: forks a process for each call, and pickles arguments and results."""
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
import inspect
import json
import spaces
from nst.settings import QUALITIES
from nst.ui import build
from nst.ui.server import examples
from nst.ui.stylise import after_run, expected_time, handlers, variants, zerogpu
from nst.ui.stylise.form import run_request
from nst.ui.stylise.visit import Visit
from tests.serving import usual_values

page = build()
runs = [function.fn.__wrapped__ for function in page.fns.values() if hasattr(function.fn, "__wrapped__")]
stoppable = [inspect.getclosurevars(run).nonlocals.get("handler") for run in runs if inspect.isfunction(run)]
wrapped = [handler.__name__ for handler in stoppable if hasattr(handler, "__wrapped__")]
given = {**usual_values(*examples.first_sight()[:2]), "size": 64, "other_layers": []}
QUALITIES["draft"] = (2, 2, 2)
visit = Visit()
assert expected_time.show_expected(visit, *given.values())["expected"].startswith("About")
def run(handler, given=given):
    return list(handler(visit, after_run.show_waiting(visit)["number"], "png", *given.values()))[-1]
painted, again = run(handlers.paint), run(handlers.go_on)
*_, public = handlers.stylise(*given.values())
grid = zerogpu.on_zerogpu(variants.paint, variants.needed_s)
*_, options = grid("beta", "10", "nothing", "", 96, "draft", *given.values())
statuses = [updates["status"] for updates in (painted, again, public)]
large = zerogpu.needed_s(run_request({**given, "size": 1024, "quality": "fine"}))
asked = list(spaces.asked)
try:
    refused = run(handlers.paint, {**given, "photo": None})
except Exception as error:
    refused = str(error)
import torch
painted_options = options["options"].count("<img")
print(json.dumps([sorted(set(wrapped)), painted["picture"].size, statuses, painted_options, asked, large,
    len(spaces.asked) - len(asked), str(refused), torch.cuda.is_initialized()]))
"""


def test_runs_work_in_zerogpus_forked_processes(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text(FAKE_SPACES)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SPACES_ZERO_GPU": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN_IN_FORK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    wrapped, size, statuses, painted, asked, large, asked_later, refused, initialised = json.loads(
        done.stdout.splitlines()[-1]
    )
    assert wrapped == ["paint", "paint_contents", "paint_playground", "paint_textures"], "and `handlers.run_events`"
    assert max(size) == 64
    assert all(words.startswith("Finished: 64 x") for words in statuses)
    assert painted == 1
    assert len(asked) == 4
    assert all(10 <= seconds <= 15 for seconds in asked), "little is asked for a small picture"
    assert max(asked) < large < 30, "more for a large one"
    assert "There is no photo yet" in refused
    assert asked_later == 0, "nothing is asked for a run that is refused"
    assert not initialised
