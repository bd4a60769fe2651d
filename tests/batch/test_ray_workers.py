"""Batches on a Ray cluster: `cluster_tests.py` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_batches_on_a_cluster() -> None:
    """Ray leaves threads in a process that it was used in, which have ended that process at a later moment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    file = Path(__file__).with_name("cluster_tests.py")
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-m", "", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, cwd=file.parents[2], env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout or not os.environ.get("CI")
