"""The import rule of the house, checked from the source: imports point down, gradio and torch stay in their rooms."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (  # from the ground up: a room imports from itself and from lower floors only
    {"nst.setting_kinds", "nst.openmp"},
    {
        *("nst.settings", "nst.events", "nst.schedule", "nst.device", "nst.malloc", "nst.torch_private"),
        *("nst.cache", "nst.console", "nst.costs", "nst.files"),
    },
    {"nst.images", "nst.features", "nst.optimise"},
    {"nst.scaled_pictures", "nst.recipe"},
    {"nst.objective", "nst.explain"},
    {"nst.memory", "nst.job"},
    {"nst.transfer", "nst"},
    {"nst.estimate", "nst.batch", "nst.grid"},
    {"nst.film"},
    {"nst.ui", "nst.command_line", "nst.bench"},
    {"app"},
)
ROOMS = set().union(*FLOORS)
# Files that are one room without a folder: how settings are read and written, and the programs.
ONE_ROOM = {"nst.setting_kinds": "nst.settings", "nst.openmp": "nst.device", "nst.serve": "app", "nst.__main__": "app"}
SOURCES = [ROOT / "app.py", *sorted((ROOT / "nst").rglob("*.py"))]
MATHEMATICS = {
    *("nst.costs", "nst.schedule", "nst.images.colour", "nst.images.masks", "nst.features.layers"),
    *("nst.features.winograd", "nst.objective.tiles", "nst.objective.wasserstein"),
    *("nst.optimise.lbfgs", "nst.optimise.lbfgs_pairs"),
}
MATHEMATICS_MAY_IMPORT = {
    *("__future__", "collections", "dataclasses", "functools", "itertools", "math", "typing", "torch"),
    *("nst.costs", "nst.torch_private", "nst.features", "nst.optimise"),
}
OPENS_PICTURES = {("Image", "open"), ("ImageFile", "Parser")}
LONGEST_FILE, SHORTEST_FILE = 400, 30  # lines
LONGEST_FUNCTION = 45  # lines


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """`nst.features.layers` is in the room `nst.features`; a name of the package itself is in `nst`."""
    parts = module.split(".")
    return ONE_ROOM.get(module) or next((room for end in (2, 1) if (room := ".".join(parts[:end])) in ROOMS), module)


def floor_of(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS, start=1) if room in floor)


@functools.cache
def imported_modules(source: str) -> frozenset[str]:
    """Every module that runs an import of the source; `from nst import costs` counts as nst.costs."""
    found = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # no import when the program runs
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in inside if name in ROOMS} or {node.module}
    return frozenset(found)


def upward_imports(room: str, source: str) -> set[str]:
    """Rooms that the source of this room imports from, and that are not on a lower floor."""
    own = {room_of(name) for name in imported_modules(source) if name.split(".")[0] in ("nst", "app", "tests")}
    return {other for other in own - {room} if other not in ROOMS or not is_below(other, room)}


def is_below(imported: str, room: str) -> bool:
    if room == "nst":  # the package's `__init__` exports names of its own floor
        return floor_of(imported) <= floor_of("nst")
    return floor_of(imported) < floor_of(room)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_down(path: Path) -> None:
    assert upward_imports(room_of(module_of(path)), path.read_text()) == set()


def test_the_rule_sees_upward_and_sideways_imports() -> None:
    assert upward_imports("nst.costs", "from nst.settings import LIMITS") == {"nst.settings"}
    assert upward_imports("nst.optimise", "import nst.transfer") == {"nst.transfer"}
    assert upward_imports("nst.transfer", "def f():\n    from nst.ui import build") == {"nst.ui"}
    assert upward_imports("nst.features", "from nst.objective.tiles import Place") == {"nst.objective"}
    assert upward_imports("nst.bench", "from tests.load import fuzz") == {"tests.load"}
    assert upward_imports("nst.transfer", "from nst import costs, memory\nfrom nst.images import pictures") == set()
    assert upward_imports("nst.events", "if TYPE_CHECKING:\n    from nst.settings import Settings") == set()


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_gradio_and_torch_stay_in_their_rooms(path: Path) -> None:
    packages = {name.split(".")[0] for name in imported_modules(path.read_text())}
    room = room_of(module_of(path))
    assert "gradio" not in packages or room == "nst.ui"
    assert "torch" not in packages or room not in {"app", "nst.ui", "nst"}


@pytest.mark.parametrize("module", sorted(MATHEMATICS))
def test_mathematics_does_no_input_or_output(module: str) -> None:
    imported = imported_modules((ROOT / (module.replace(".", "/") + ".py")).read_text())
    assert {room_of(name) if name.startswith("nst") else name.split(".")[0] for name in imported} <= (
        MATHEMATICS_MAY_IMPORT
    )


@pytest.mark.parametrize("path", [path for path in SOURCES if "__" not in path.stem], ids=module_of)
def test_files_and_functions_have_a_size_one_can_read(path: Path) -> None:
    source = path.read_text()
    lines = source.count("\n")
    assert lines <= LONGEST_FILE, "split the file by concepts"
    assert lines >= SHORTEST_FILE or path.name == "app.py", "let it join the file whose thought it completes"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            signature = node.body[0].lineno - node.lineno + len(ast.get_docstring(node) or "") // 60
            assert node.end_lineno - node.lineno - signature <= LONGEST_FUNCTION, (
                f"{node.name} does not fit on a screen"
            )


def test_one_function_opens_pictures() -> None:
    """So that no picture is decoded before the limits are checked."""
    opened = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and (getattr(node.value, "id", ""), node.attr) in OPENS_PICTURES:
                opened.append(path.relative_to(ROOT).as_posix())
            if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
                assert "open" not in [name.name for name in node.names], path
    assert opened == ["nst/images/pictures.py"]


def test_the_top_level_holds_what_the_design_allows() -> None:
    allowed = {"app.py", "requirements.txt", "nst", "examples", "tests", "README.md", "pyproject.toml", "LICENSE"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.suffix != ".egg-info"}
    assert found - {"__pycache__", "build"} == allowed  # `pip install .` leaves `build` and `*.egg-info`


def test_app_is_thin() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) < 80
