"""Properties that need a new process: the command line, effects of importing, and a fork."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nst import openmp
from tests.images.files import flat, heic
from tests.test_architecture import ROOT, SOURCES, floor_of, module_of, room_of
from tests.test_command_line import QUICK, assert_one_line

NEED_OTHER_PACKAGES = {"nst.features.triton_pool", "nst.batch.ray_workers"}  # Triton, Ray


IMPORT_ALL = """
import importlib, os, sys, torch
def started(*_): raise AssertionError("a device was asked for")
for module, names in ((torch.cuda, ("is_available", "device_count", "mem_get_info", "get_device_capability")),
                      (torch.cpu, ("get_capabilities",))):
    for name in names:
        setattr(module, name, started)
class Watched(dict):
    def __getitem__(self, key): return self.get(key)
    def get(self, key, default=None):
        assert not key.startswith(("NST_", "SPACES_", "SPACE_")), key + " was read"
        return dict.get(self, key, default)
usual, os.environ = os.environ, Watched(os.environ)
photo, *names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
os.environ = usual
from PIL import Image
assert "pillow_heif" not in sys.modules
assert "HEIF" not in Image.OPEN
sys.modules["pillow_heif"] = None
try:
    sys.modules["nst.images.pictures"].load(photo, "photo")
except ValueError as error:
    print(error)
"""


def test_importing_the_engine_asks_no_device_and_reads_no_setting_and_heic_waits_for_its_use(tmp_path: Path) -> None:
    """Only the page may read variables when it is imported: they are set when the program starts. HEIC is optional."""
    engine = [
        name for name in map(module_of, SOURCES) if floor_of(room_of(name)) <= 7 and name not in NEED_OTHER_PACKAGES
    ]
    assert len(engine) > 40
    command = [sys.executable, "-c", IMPORT_ALL, heic(tmp_path, flat("RGB", (200, 120, 30))), *engine]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the photo is not a picture this program reads; save it as PNG or JPEG\n"


# Prints how long threads may spin at the moment when torch would be loaded, and ends there. The page loads gradio
# before torch; it ends there, because to load gradio takes 3 s.
AT_TORCH = """
import importlib.abc, os, runpy, sys
class Torch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *_):
        if name in ("torch", "gradio"):
            print(os.environ.get("GOMP_SPINCOUNT"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Torch())
"""
PROGRAM = "sys.argv[1:] = {arguments}; runpy.run_module({module!r}, run_name='__main__')"
WAYS_IN = {
    "library": "import nst; nst.stylise",
    "settings of the library, then torch": "from nst import Settings; import torch",
    "module of the library": "import nst.images.pictures",
    "command": PROGRAM.format(module="nst", arguments=["photo.png", "style.png", "-o", "out.png"]),
    "batch": PROGRAM.format(module="nst", arguments=["batch", ".", "--style", ".", "-o", "out"]),
    "worker of a batch": "import nst.batch.workers",
    "page": PROGRAM.format(module="nst", arguments=["page"]),
    "app.py": "runpy.run_path('app.py', run_name='__main__')",
    "benchmark": PROGRAM.format(module="nst.bench", arguments=["step"]),
}


def without_limit(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in openmp.VARIABLES} | variables


@pytest.mark.parametrize("way", WAYS_IN)
def test_spinning_is_limited_before_torch_is_loaded(way: str) -> None:
    command = [sys.executable, "-c", AT_TORCH + WAYS_IN[way]]
    done = subprocess.run(command, cwd=ROOT, env=without_limit(), capture_output=True, text=True, timeout=100)
    assert done.stdout == f"{openmp.SPINS}\n", done.stderr


@pytest.mark.parametrize(
    ("variable", "printed"), [("GOMP_SPINCOUNT=7", "7"), ("OMP_WAIT_POLICY=passive", "None")], ids=str
)
def test_the_user_s_own_limit_stays(variable: str, printed: str) -> None:
    environment = without_limit(**dict([variable.split("=")]))
    command = [sys.executable, "-c", AT_TORCH + WAYS_IN["library"]]
    assert subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout == printed + "\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no libgomp")
@pytest.mark.parametrize(
    ("first", "variables", "too_late"),
    [("torch", {}, "True"), ("nst", {}, "False"), ("torch", {"GOMP_SPINCOUNT": "1000"}, "False")],
    ids=str,
)
def test_torch_before_nst_is_too_late_without_the_variable(first: str, variables: dict, too_late: str) -> None:
    loads = {"torch": "sys.modules['torch'] = sys", "nst": "import nst"}  # to load torch itself takes 2 s
    program = f"import sys; {loads.pop(first)}; {loads.popitem()[1]}; from nst import openmp; print(openmp.TOO_LATE)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=without_limit(**variables), capture_output=True, text=True)
    assert done.stdout == too_late + "\n", done.stderr


FORK = """
import os, signal, threading
from nst.cache import BoundedCache
cache, begun, may_end = BoundedCache(4), threading.Event(), threading.Event()
thread = threading.Thread(target=cache.get, args=("key", lambda: (begun.set(), may_end.wait(20))))
thread.start()
begun.wait(20)
if child := os.fork():
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    may_end.set()
    thread.join()
    os._exit(status)
signal.alarm(5)  # ends a child that waits
os._exit(cache.get("key", lambda: 42))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_forked_process_does_not_wait_for_the_other_s_threads() -> None:
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORK]).returncode == 42


LOADED_ONCE = """
import gc, json, os, runpy, sys
import nst.command_line

gc.freeze()  # else each fork looks through all that is loaded when it ends
codes = {{}}
for case, prepare in {cases!r}.items():
    child = os.fork()
    if not child:
        os.chdir(case)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
        exec(prepare)
        sys.argv[1:] = {arguments!r}
        runpy.run_module("nst", run_name="__main__")
    codes[case] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(codes))
"""
CASES = {
    "cannot print the name": "sys.stdout.reconfigure(encoding='ascii', errors='strict')",  # as PYTHONIOENCODING does
    "full": "full = os.open('/dev/full', os.O_WRONLY); os.dup2(full, 1); os.dup2(full, 2)",
    "broken pipe": "reading, writing = os.pipe(); os.close(reading); os.dup2(writing, 1); os.dup2(writing, 2)",
    "no photo": "os.remove('photo.png')",
}
ARGUMENTS = ["photo.png", "style.png", "-o", "\u7ed3\u679c.png", "--device", "cpu", *QUICK]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a fork, a shell and /dev/full")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, photo: Image.Image, style: Image.Image) -> tuple[Path, dict]:
    """The folder in which each case has one, and exit codes of `nst` by case, run in forks of one process.

    They end as other processes do. To load torch takes most of the time of a process that paints a small picture.
    """
    place = tmp_path_factory.mktemp("cases")
    for case in CASES:
        (place / case).mkdir()
        photo.save(place / case / "photo.png")
        style.save(place / case / "style.png")
    command = [sys.executable, "-W", "ignore", "-c", LOADED_ONCE.format(cases=CASES, arguments=ARGUMENTS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return place, json.loads(done.stdout)


@LINUX
@pytest.mark.parametrize("case", ["cannot print the name", "full", "broken pipe"])
def test_picture_is_painted_whatever_the_streams_are(case: str, ended: tuple[Path, dict]) -> None:
    folder, codes = ended
    complaints = (folder / case / "err").read_text()
    assert codes[case] == 0, complaints
    assert "Exception" not in complaints
    assert (folder / case / "\u7ed3\u679c.png").exists()


@LINUX
def test_the_process_says_one_line_and_ends_with_two(ended: tuple[Path, dict]) -> None:
    folder, codes = ended
    assert codes["no photo"] == 2
    assert_one_line((folder / "no photo" / "err").read_text())
    assert (folder / "no photo" / "out").read_text() == ""


@LINUX
def test_picture_is_painted_when_all_streams_are_closed(folder: Path) -> None:
    """From the start of the process, so that Python has no streams at all."""
    command = shlex.join([sys.executable, "-m", "nst", *ARGUMENTS]) + " <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(["sh", "-c", command], env=environment, timeout=100).returncode == 0
    assert (folder / "\u7ed3\u679c.png").exists()
