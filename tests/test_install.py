"""The program as a stranger installs it: a wheel in an environment of its own, used from another folder.

The packages it needs are borrowed from the environment of the tests, so that nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

import httpx
import pytest
from PIL import Image

from nst.serve import ask_ourselves_directly
from nst.ui.server import files

ROOT = Path(__file__).resolve().parents[1]
IN_THE_WHEEL = ("clips", "photos", "styles", "results", "thumbnails", "studies", "lesson")  # folders of examples/
LEFT_OUT = ("README.md", "requirements.txt")  # of nst/: for readers and for pip
QUICK = ["--size", "64", "--steps", "2", "--no-pyramid"]


def run(*command: str | Path, **named: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=250, **named)


def files_of_the_repository(folder: str = ".") -> list[str]:
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder)
    names = run(*listed, cwd=ROOT, check=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the files in git, because a build leaves files in its folder."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in files_of_the_repository():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", built)
    done = run(sys.executable, "-m", "pip", "wheel", *options, source)
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = built.glob("*.whl")
    return found


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and a working folder with photo.png and style.png."""

    bin: Path
    packages: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GRADIO_SERVER_PORT")}
        return {**kept, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary), "GRADIO_TEMP_DIR": str(temporary)}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return run(self.bin / command[0], *command[1:], cwd=self.folder, env=self.environment)


@pytest.fixture(scope="module")
def installed(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, photo: Image.Image, style: Image.Image
) -> Installed:
    place, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere")
    venv.create(place, with_pip=False)
    paths = sysconfig.get_paths(scheme="venv", vars={"base": str(place), "platbase": str(place)})
    packages = Path(paths["purelib"])
    borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "borrowed.pth").write_text("\n".join(borrowed))
    options = ("--no-deps", "--no-index", "--force-reinstall")
    done = run(sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", *options, wheel)
    assert done.returncode == 0, done.stderr[-3000:]
    photo.save(folder / "photo.png")
    style.save(folder / "style.png")
    return Installed(place / "bin", packages, folder)


def pins(path: Path) -> set[str]:
    """Pinned requirements such as `torch==2.11.0`, without comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return {line for line in lines if line}


def test_the_metadata_lists_what_the_requirements_pin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held_files:
        (name,) = [name for name in held_files.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_string(held_files.read(name).decode())
    required = metadata.get_all("Requires-Dist")
    assert {item for item in required if ";" not in item} == pins(ROOT / "requirements.txt")
    extra = {item.partition(";")[0].strip() for item in required if 'extra == "ray"' in item}
    assert extra == pins(ROOT / "nst" / "batch" / "requirements.txt")
    assert metadata["Requires-Python"] == "<3.13,>=3.10"
    assert metadata["License-Expression"] == "MIT"


def test_the_wheel_has_every_package_and_every_file_that_the_page_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held_files:
        held = {name for name in held_files.namelist() if name.startswith("nst/")}
    source = {name for name in files_of_the_repository("nst") if Path(name).name not in LEFT_OUT}
    shown = {f"nst/{name}" for folder in IN_THE_WHEEL for name in files_of_the_repository(f"examples/{folder}")}
    assert held == source | shown


def test_the_command_paints_from_another_folder(installed: Installed) -> None:
    done = installed.run("nst", "photo.png", "style.png", "-o", "out.png", *QUICK)
    assert done.returncode == 0, done.stderr[-3000:]
    with Image.open(installed.folder / "out.png") as picture:
        assert picture.size == (64, 48)


def test_what_loads_torch_is_loaded_on_first_use_and_from_the_packages(installed: Installed) -> None:
    """`nst page` sets variables that torch reads while it loads."""
    code = (
        "import sys, nst.serve; print('torch' in sys.modules, 'gradio' in sys.modules); "
        "print(nst.costs.style_matrix.__name__, nst.stylise.__name__, 'torch' in sys.modules, hasattr(nst, 'nothing'))"
        "; import nst.bench.engine as engine; print(nst.__file__, engine.EXAMPLES)"
    )
    *printed, package, examples = installed.run("python", "-c", code).stdout.split()
    assert printed == [*("False", "False", "style_matrix", "stylise", "True", "False")]
    for path in (package, examples):
        assert Path(path).is_relative_to(installed.packages), "the tests looked at the repository instead"


@contextmanager
def served(installed: Installed, **more: str) -> Iterator[str]:
    """`nst page` of the installed program: its address, once the page answers."""
    port = free_port()
    environment = {**installed.environment, **more}
    command = [installed.bin / "nst", "page", "--port", str(port)]
    with (installed.folder / "log").open("w+") as log:
        server = subprocess.Popen(command, cwd=installed.folder, env=environment, stdout=log, stderr=log)
        try:
            yield answering(server, f"http://127.0.0.1:{port}/", Path(log.name))
        finally:
            server.terminate()
            server.wait(timeout=20)


def answering(server: subprocess.Popen, address: str, log: Path) -> str:
    with httpx.Client(trust_env=False) as client:
        for _ in range(900):
            assert server.poll() is None, log.read_text()[-3000:]
            try:
                client.get(address)
                if "Running on" in log.read_text():  # printed once gradio has asked its own address
                    return address
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise AssertionError("the page did not come within 90 s")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_the_page_shows_its_examples_from_another_folder_behind_a_proxy(installed: Installed) -> None:
    """The folder of its files is not there before."""
    folder = installed.folder / "not" / "there"
    environment = {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": "", "GRADIO_TEMP_DIR": str(folder)}
    with (
        served(installed, **environment) as address,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        assert list(folder.iterdir())
        config = client.get("config").json()
        text = json.dumps(config)
        for path in sorted((ROOT / "examples" / "photos").glob("*.jpg")):
            assert f"/{path.name}" in text
        (button,) = [part["id"] for part in config["components"] if part["props"].get("value") == "coffee"]
        (click,) = [d["id"] for d in config["dependencies"] if [button, "click"] in d["targets"]]
        body = {"data": [], "fn_index": click, "session_hash": "visitor"}
        brought, _ = client.post("gradio_api/run/predict", json=body).json()["data"]  # and the status
        picture = client.get(f"gradio_api/file={brought['path']}").content
        assert picture == (ROOT / "examples" / "photos" / "coffee.jpg").read_bytes()


@pytest.mark.parametrize("given", ["--port", "GRADIO_SERVER_PORT"])
def test_a_taken_port_is_a_sentence(installed: Installed, given: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        named = {"env": {**installed.environment, "GRADIO_SERVER_PORT": port}} if given != "--port" else {}
        options = ["--port", port] if given == "--port" else []
        done = run(installed.bin / "nst", "page", *options, cwd=installed.folder, **named)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nst page: port {port} is taken; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--port", "0"], "--port '0' is no whole number from 1 to 65535"),
        (["--port", "seven"], "--port 'seven' is no whole number"),
        (["--port", "8" * 5000], "is no whole number"),
        (["--host", "203.0.113.7", "--port", "7999"], "host '203.0.113.7', port 7999 cannot be served"),
    ],
)
def test_a_place_where_nothing_can_be_served_is_a_sentence(installed: Installed, option: list[str], words: str) -> None:
    done = installed.run("nst", "page", *option)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_temporary_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"GRADIO_TEMP_DIR '.*' cannot be used \(Not a directory\); name another"):
        files.new_folder(str(tmp_path / "file" / "folder"))


@pytest.mark.parametrize(
    ("lower", "upper", "host", "expected"),
    [
        (None, None, "127.0.0.1", "127.0.0.1,localhost"),
        ("a.example, localhost", None, "127.0.0.1", "a.example,localhost,127.0.0.1"),
        (None, "b.example", "[::1]", "b.example,127.0.0.1,localhost,::1"),
    ],
)
def test_this_machine_is_asked_without_the_proxy(
    monkeypatch: pytest.MonkeyPatch, lower: str | None, upper: str | None, host: str, expected: str
) -> None:
    for name, value in (("no_proxy", lower), ("NO_PROXY", upper)):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "") if value is None else monkeypatch.setenv(name, value)
    ask_ourselves_directly(host)
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == expected
