"""Harmful files are read in a new process, and its memory does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.images.hostile import harmless, refused, saved

ROOT = Path(__file__).resolve().parents[2]
MOST_GROWTH_MIB = 40  # of peak memory while all hostile files are refused; the smallest bomb alone would need 99


MEASURE = """
import json, sys
from pathlib import Path
from nst.images import pictures

def peak_mib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

pictures.load(sys.argv[1] + "/warm")  # what any picture needs
before, answers = peak_mib(), {}
for path in sorted(Path(sys.argv[1]).glob("*.file")):
    try:
        answers[path.stem] = str(pictures.load(path).size)
    except ValueError as error:
        answers[path.stem] = f"refused: {error}"
    answers[path.stem] += f" | {peak_mib() - before:.1f}"
print(json.dumps(answers))
"""


def test_hostile_files_end_in_a_sentence_with_flat_memory(tmp_path: Path) -> None:
    files = {**refused(), **harmless()}
    (tmp_path / "warm").write_bytes(saved("JPEG"))
    for name, content in files.items():
        assert len(content) < 300_000, "small to send"
        (tmp_path / f"{name}.file").write_bytes(content)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    print(*answers.items(), sep="\n")
    assert set(answers) == set(files)
    growth_mib = max(float(answer.split("| ")[1]) for answer in answers.values())
    assert growth_mib < MOST_GROWTH_MIB, answers
    for name in refused():
        assert answers[name].startswith("refused: the picture "), (name, answers[name])
        assert "; " in answers[name], "and what to do"
        assert str(tmp_path) not in answers[name]


MEGAPIXELS = 16  # of the large pictures here; memory grows with their pixels
MOST_BYTES = {  # of memory per pixel of a legal picture; some 60 MiB of a figure do not grow with the picture
    "photo, style, start": 9,
    "photo, style, start with transparency": 14,
    "photo, style, start of 16 bits, grey": 12,
    "fingerprint for a recipe": 14,
    "mask": 10,
    "masks of two styles": 16,
    "recipe PNG": 5,
}
MOST_MIB = {"brush": 48}  # of inputs whose limit is their own
SLACK_MIB = 24
MOST_REFUSED_MIB = 8


def test_each_input_takes_bounded_memory() -> None:
    """In a new process; `python -m tests.images.decoding_memory 100` gives the figures of the page's README."""
    command = [sys.executable, "-m", "tests.images.decoding_memory", str(MEGAPIXELS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found)
    most = {name: limit * MEGAPIXELS * 1e6 / 2**20 + SLACK_MIB for name, limit in MOST_BYTES.items()} | MOST_MIB
    for name, mib in found.items():
        assert mib < most.get(name, MOST_REFUSED_MIB), (name, found)
    assert {name for name in found if "refused" not in name} == set(most)
