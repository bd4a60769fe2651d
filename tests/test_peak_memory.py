"""The estimate of memory, held to the peak of a process that does nothing else."""

import subprocess
import sys

import pytest
import torch

from nst import Settings, memory

MEASURE = """
import sys, nst, torch
from nst import malloc
from pathlib import Path
from PIL import Image
def kib(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0])
size, tile, styles, parts = int(sys.argv[1]), int(sys.argv[2]) or None, int(sys.argv[3]), sys.argv[4]
noise = Image.effect_noise((size, size * 3 // 4), 90).convert("RGB")
malloc.prepare()  # as our programs do
idle = kib("VmRSS")
given = dict(size=size, tile_px=tile, style_parts=parts, pyramid=False, steps=2, device="cpu", precision="float32")
settings = nst.Settings(**given)
nst.stylise(noise, [noise] * styles, settings)
print((kib("VmHWM") - idle) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("longer", "tile_px", "styles", "parts"),
    [(64, None, 1, "recurring"), (320, None, 4, "all"), (384, 128, 2, "all")],
)
def test_estimate_is_near_the_measured_peak(longer: int, tile_px: int | None, styles: int, parts: str) -> None:
    given = map(str, (longer, tile_px or 0, styles, parts))
    run = subprocess.run([sys.executable, "-c", MEASURE, *given], capture_output=True, text=True)
    settings = Settings(size=longer, tile_px=tile_px, style_parts=parts, pyramid=False, steps=2, precision="float32")
    size = longer * 3 // 4, longer
    expected = memory.plan_memory(settings, size, torch.device("cpu"), torch.float32, styles).mib
    rel = 0.25 if parts == "all" else 0.15  # the guide's share of the small run is a fifth
    assert float(run.stdout) == pytest.approx(expected, rel=rel)


SHORT_OF_MEMORY = """
import resource, nst
from nst import malloc
from pathlib import Path
from PIL import Image
malloc.prepare()
noise = Image.effect_noise((640, 480), 90).convert("RGB")
shallow = dict(content_layers={"relu1_2": 1.0}, style_layers={"relu2_1": 1.0})
given = dict(steps=2, pyramid=False, device="cpu", precision="float32", **shallow)
nst.stylise(noise, noise, nst.Settings(size=32, **given))  # loads libraries and weights
used_kib = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used_kib * 1024 + (500 << 20),) * 2)
for event in nst.stylise_events(noise, noise, nst.Settings(size=640, **given)):
    if isinstance(event, nst.Degraded):
        print(event.reason)
print(event.result.stopped)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space")
def test_cpu_without_memory_goes_on_in_tiles() -> None:
    """Nothing is injected: the process may have 500 MiB more, of which the whole picture needs 700."""
    run = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True)
    *told, stopped = run.stdout.splitlines()
    assert stopped == "completed", run.stderr
    assert told
    assert all(line.startswith("Goes on in tiles of ") for line in told)
