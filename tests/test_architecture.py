"""The import rule of the design, checked from the source: imports point down, gradio and torch stay in their rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = [  # top to bottom; a module may import from lower rows only
    {"app"},
    {"nst.ui"},
    {"nst.__main__", "nst.bench"},
    {"nst.batch", "nst.cluster"},
    {"nst.workers", "nst.orders", "nst.estimate"},
    {"nst.options"},
    {"nst", "nst.transfer", "nst.explain", "nst.compare", "nst.recipe", "nst.address", "nst.timelapse"},
    {"nst.job", "nst.tiled"},
    {"nst.objective", "nst.painting"},
    {"nst.targets"},
    {"nst.inputs", "nst.memory"},
    {
        *("nst.features", "nst.images", "nst.encode", "nst.optimise", "nst.walk"),
        *("nst.receptive", "nst.channels", "nst.studies"),
    },
    {"nst.lbfgs", "nst.layers", "nst.statistic"},
    {
        *("nst.settings", "nst.events", "nst.weights", "nst.compute", "nst.schedule", "nst.tiles"),
        *("nst.costs", "nst.colour", "nst.masks", "nst.wasserstein", "nst.history", "nst.capture"),
        *("nst.decode", "nst.memo", "nst.manifest", "nst.heap", "nst.winograd", "nst.pool"),
    },
    {"nst.checks"},
]
SOURCES = [ROOT / "app.py", *sorted((ROOT / "nst").rglob("*.py"))]
PURE = {"costs", "colour", "masks", "schedule", "lbfgs", "history", "layers", "tiles", "wasserstein", "winograd"}
PURE_MAY_IMPORT = {
    "__future__",
    "collections.abc",
    "dataclasses",
    "functools",
    "itertools",
    "math",
    "typing",
    "torch",
    "torch.nn.functional",
    "nst.history",
    "nst.pool",
    "nst.winograd",
}


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return room_of(name)


def room_of(name: str) -> str:
    """A package of several modules, such as the page, is one room."""
    return next((room for room in ("nst.ui", "nst.bench") if name.startswith(room)), name)


def row_of(module: str) -> int:
    return next(index for index, row in enumerate(ROWS) if module in row)


def imported_modules(source: str) -> set[str]:
    """Every module that the source names in an import, `from nst import costs` counting as nst.costs."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in inside if any(room_of(name) in row for row in ROWS)}
            found |= known or {node.module}
    return {room_of(name) for name in found}


def upward_imports(module: str, source: str) -> set[str]:
    """Imports of our own modules that are not in a lower row; a room may use its own furniture (nst.ui)."""
    own = {name for name in imported_modules(source) if name == "nst" or name.startswith("nst.")}
    return {name for name in own - {module} if not is_below(name, module)}


def is_below(imported: str, module: str) -> bool:
    if module == "nst":  # the package's public names are those of its row and below
        return row_of(imported) >= row_of("nst")
    return row_of(imported) > row_of(module)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path) -> None:
    assert upward_imports(module_of(path), path.read_text()) == set()


def test_the_rule_sees_upward_and_sideways_imports() -> None:
    assert upward_imports("nst.costs", "from nst.settings import LIMITS") == {"nst.settings"}
    assert upward_imports("nst.optimise", "import nst.transfer") == {"nst.transfer"}
    assert upward_imports("nst.transfer", "def f():\n    from nst.ui import build") == {"nst.ui"}
    assert upward_imports("nst.transfer", "from nst import costs, images") == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_gradio_and_torch_stay_in_their_rooms(path: Path) -> None:
    packages = {name.split(".")[0] for name in imported_modules(path.read_text())}
    module = module_of(path)
    assert "gradio" not in packages or module in {"app", "nst.ui"}
    assert "torch" not in packages or module not in {"app", "nst.ui"}


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stem in PURE], ids=lambda path: path.stem)
def test_mathematics_does_no_input_or_output(path: Path) -> None:
    assert imported_modules(path.read_text()) <= PURE_MAY_IMPORT


def test_the_top_level_holds_what_the_design_allows() -> None:
    allowed = {"app.py", "requirements.txt", "nst", "examples", "tests", "README.md", "pyproject.toml", "LICENSE"}
    dotted = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert dotted - {"__pycache__"} == allowed


def test_app_is_thin() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) < 80
