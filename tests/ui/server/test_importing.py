"""Importing the page starts nothing: it looks for no device and reads no variable until the page is built."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nst.ui import build
from nst.ui.server.limits import page_limits

ROOT = Path(__file__).resolve().parents[3]

IMPORT_ALL = """
import importlib, pkgutil
import torch

def asked(*_, **__):
    raise AssertionError("CUDA was asked")

for name in ("is_available", "device_count", "init"):
    setattr(torch.cuda, name, asked)
import nst.ui
modules = [item.name for item in pkgutil.walk_packages(nst.ui.__path__, "nst.ui.")]
for name in modules:
    importlib.import_module(name)
print(len(modules))
try:
    nst.ui.build()
except ValueError as error:
    print(error)
"""


def test_a_wrong_variable_and_the_devices_matter_only_when_the_page_is_built() -> None:
    environment = {**os.environ, "NST_MAX_SIZE": "rubbish"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    count, sentence = done.stdout.splitlines()
    assert int(count) > 20
    assert sentence == "NST_MAX_SIZE='rubbish' is no whole number from 256 to 8192; give one, or unset it"


@pytest.fixture
def small_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NST_MAX_SIZE", "300")
    monkeypatch.setenv("NST_QUEUE", "3")
    yield
    monkeypatch.undo()
    page_limits.cache_clear()


def test_a_page_has_the_limits_of_the_environment_it_is_built_in(small_page: None) -> None:
    page = build()
    (slider,) = [block for block in page.blocks.values() if getattr(block, "label", None) == "Size"]
    assert slider.maximum == 300
    assert page._queue.max_size == 4
