"""A process that loads the page, as Hugging Face's ZeroGPU does: loading starts nothing, and runs are in forks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[3]

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


LOAD_ALL = """
import importlib, json, os, pkgutil, sys
import spaces, torch

def asked(*_, **__):
    raise AssertionError("CUDA was asked")

usual = {name: getattr(torch.cuda, name) for name in ("is_available", "device_count", "init")}
for name in usual:
    setattr(torch.cuda, name, asked)
os.environ["NST_MAX_SIZE"] = "rubbish"
import nst.ui
modules = [item.name for item in pkgutil.walk_packages(nst.ui.__path__, "nst.ui.")]
for name in modules:
    importlib.import_module(name)
try:
    nst.ui.build()
    sentence = None
except ValueError as error:
    sentence = str(error)
for name, function in usual.items():
    setattr(torch.cuda, name, function)
"""


RUN_IN_FORK = """
import inspect
from nst import grid
from nst.settings import QUALITIES
from nst.ui.server import examples
from nst.ui.stylise import after_run, expected_time, handlers, variants, zerogpu
from nst.ui.stylise.form import run_request
from nst.ui.stylise.visit import Visit
from tests.serving import usual_values

os.environ.update(SPACES_ZERO_GPU="true", NST_MAX_SIZE="1100", NST_QUEUE="3")
page = nst.ui.build()
(slider,) = [block for block in page.blocks.values() if getattr(block, "label", None) == "Size"]
runs = [function.fn.__wrapped__ for function in page.fns.values() if hasattr(function.fn, "__wrapped__")]
stoppable = [inspect.getclosurevars(run).nonlocals.get("handler") for run in runs if inspect.isfunction(run)]
wrapped = [handler.__name__ for handler in stoppable if hasattr(handler, "__wrapped__")]
given = {**usual_values(*examples.first_sight()[:2]), "size": 64, "other_layers": []}
QUALITIES["draft"], grid.STEPS_OF_ONE_LEVEL = (1, 1, 1), 1
visit = Visit()
assert expected_time.show_expected(visit, *given.values())["expected"].startswith("About")
def run(handler, given=given):
    return list(handler(visit, after_run.show_waiting(visit)["number"], "png", *given.values()))[-1]
painted, again = run(handlers.paint), run(handlers.go_on)
*_, public = handlers.stylise(*given.values())
paint_variants = zerogpu.on_zerogpu(variants.paint, variants.needed_s)
*_, options = paint_variants("beta", "10", "nothing", "", 96, "draft", *given.values())
large = zerogpu.needed_s(run_request({**given, "size": 1024, "quality": "fine"}))
asked_for = list(spaces.asked)
try:
    refused = run(handlers.paint, {**given, "photo": None})
except Exception as error:
    refused = str(error)
print(json.dumps({
    "modules": len(modules), "sentence": sentence,
    "most_size": slider.maximum, "most_waiting": page._queue.max_size,
    "wrapped": sorted(set(wrapped)), "size": painted["picture"].size,
    "statuses": [updates["status"] for updates in (painted, again, public)],
    "options": options["options"].count("<img"), "asked": asked_for, "large": large, "refused": str(refused),
    "asked_later": len(spaces.asked) - len(asked_for), "initialised": torch.cuda.is_initialized(),
}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What a process saw that loaded every module of the page, built it and let it paint.

    One for all tests, because to load torch and gradio takes longer than anything it does.
    """
    folder = tmp_path_factory.mktemp("packages")
    (folder / "spaces.py").write_text(FAKE_SPACES)
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOAD_ALL + RUN_IN_FORK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return SimpleNamespace(**json.loads(done.stdout.splitlines()[-1]))


def test_a_wrong_variable_and_the_devices_matter_only_when_the_page_is_built(seen: SimpleNamespace) -> None:
    """The process ends with an error when a device is asked for while modules are loaded."""
    assert seen.modules > 20
    assert seen.sentence == "NST_MAX_SIZE='rubbish' is no whole number from 256 to 8192; give one, or unset it"


def test_a_page_has_the_limits_of_the_environment_it_is_built_in(seen: SimpleNamespace) -> None:
    assert seen.most_size == 1100
    assert seen.most_waiting == 4


def test_runs_work_in_zerogpus_forked_processes(seen: SimpleNamespace) -> None:
    assert seen.wrapped == ["paint", "paint_contents", "paint_playground", "paint_textures"], "and `run_events`"
    assert max(seen.size) == 64
    assert all(words.startswith("Finished: 64 x") for words in seen.statuses)
    assert seen.options == 1
    assert len(seen.asked) == 4
    assert all(10 <= seconds <= 15 for seconds in seen.asked), "little is asked for a small picture"
    assert max(seen.asked) < seen.large < 30, "more for a large one"
    assert "There is no photo yet" in seen.refused
    assert seen.asked_later == 0, "nothing is asked for a run that is refused"
    assert not seen.initialised
