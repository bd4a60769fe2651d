"""The notebook of the exercise, executed with its solutions; its checks refuse what is not solved, or wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "style_cost.ipynb"
FUNCTIONS = ("compute_content_cost", "gram_matrix", "compute_layer_style_cost", "compute_style_cost", "total_cost")


def cells() -> list[tuple[dict, str]]:
    """Metadata and source of the code cells."""
    found = json.loads(NOTEBOOK.read_text())["cells"]
    return [(cell["metadata"], "".join(cell["source"])) for cell in found if cell["cell_type"] == "code"]


def execute(monkeypatch: pytest.MonkeyPatch, **changed: str) -> dict:
    """Run the cells in order, with the solutions (or what is given for one) in place of the exercises."""
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    solutions = {metadata["solution"]: source for metadata, source in cells() if "solution" in metadata} | changed
    names: dict = {"__name__": "notebook"}
    for metadata, source in cells():
        if "solution" not in metadata:
            exec(compile(solutions.get(metadata.get("exercise"), source), str(NOTEBOOK), "exec"), names)
    return names


def test_the_notebook_with_its_solutions_paints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    names = execute(monkeypatch)
    told = capsys.readouterr().out
    assert all(f"{name}: right" in told for name in FUNCTIONS)
    assert names["history"][-1] < 0.7 * names["history"][0]
    assert names["painted"].size == (96, 64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_reader_writes_each_function_and_a_mistake_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exercises = [source for metadata, source in cells() if metadata.get("exercise") == name]
    assert ["your turn" in source for source in exercises] == [True]
    solution = next(source for metadata, source in cells() if metadata.get("solution") == name)
    wrong = (
        f"{solution}\nright_{name} = {name}\ndef {name}(*given, **named):\n    return 2 * right_{name}(*given, **named)"
    )
    with pytest.raises(AssertionError, match=r"not yet. The sum of your numbers is 2 times"):
        execute(monkeypatch, **{name: wrong})
