"""What `bench busy` measures: steps of the last level only, programs without our variables, beside one busy process."""

import os
import time
from pathlib import Path

import pytest

from nst import openmp
from nst.bench import busy


def test_only_the_steps_of_the_last_level_count(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_text("step,seconds\n" + "".join(f"{n},{end}\n" for n, end in enumerate([1, 2, 10, 11.5, 13, 14.5], 1)))
    assert busy._of_curve(curve, 4) == pytest.approx(1.5)


def test_programs_start_without_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(openmp.SPIN_COUNT, "1000")
    with busy._untouched_environment():
        assert not set(openmp.VARIABLES) & set(os.environ)
    assert os.environ[openmp.SPIN_COUNT] == "1000"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's table of processes")
def test_busy_process_computes_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    original = busy.subprocess.Popen
    monkeypatch.setattr(busy.subprocess, "Popen", lambda *a, **k: started.append(original(*a, **k)) or started[-1])
    with busy._busy_process():
        time.sleep(0.4)
        user_ticks = int(Path(f"/proc/{started[0].pid}/stat").read_text().rpartition(")")[2].split()[11])
    assert user_ticks > 2
    assert started[0].poll() is not None
