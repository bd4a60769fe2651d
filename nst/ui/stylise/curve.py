"""The loss curve: a run's costs as the rows of a line chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from nst import Costs
from nst.settings import STYLE_LAYER_WORDS

# Series -> colour, readable on a light and on a dark page. Layers are dashed, so that no line is told by colour alone.
SERIES_COLOURS: dict[str, str] = {
    "total J": "#7c3aed",
    "content": "#16a34a",
    "style": "#dc2626",
    "relu1_1": "#d97706",
    "relu2_1": "#db2777",
    "relu3_1": "#0891b2",
    "relu4_1": "#64748b",
    "relu5_1": "#2563eb",
}
DASHES = dict(zip(STYLE_LAYER_WORDS, ("2 3", "5 3", "9 4", "9 3 2 3", "14 4"), strict=True))
SHOWN_AT_FIRST = ("total J", "content", "style")
LEVEL_COLOUR = "#9ca3af"  # of the vertical lines where a level begins; each is a series with the size as its name
COLUMNS = ("step", "log10 cost", "series")
SMALLEST_COST = 1e-12  # a cost of exactly 0 has no logarithm
DIGITS = 3  # after the point of a logarithm: 0.2 % of a cost


def curve_rows(history: Sequence[Costs]) -> pd.DataFrame:
    """One row per step and series: total, content, style and each style layer, as log10 because the axis is linear."""
    rows = [
        (costs.step, round(math.log10(max(value, SMALLEST_COST)), DIGITS), name)
        for costs in history
        for name, value in _series(costs).items()
    ]
    rows += _marks([(costs.step, max(costs.size)) for costs in history], [row[1] for row in rows])
    types = dict(zip(COLUMNS, (int, float, str), strict=True))  # so that an empty curve has numeric axes, too
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def level_mark(px: int) -> str:
    """The series that marks the beginning of a level, by the longer side of its picture."""
    return f"{px} px"


def _marks(steps: Sequence[tuple[int, int]], values: Sequence[float]) -> list[tuple[int, float, str]]:
    """Rows of a vertical line at each step, with its longer side in px, on which a level begins.

    The first level has a single row, which draws no line: it only says where its size is written (see `page.js`).
    """
    firsts = [now for before, now in pairwise(steps) if now[1] != before[1]]
    marks = [(step, max(values), level_mark(px)) for step, px in steps[:1]]
    return marks + [(step, at, level_mark(px)) for step, px in firsts for at in (max(values), min(values))]


def curve_of_csv(path: str) -> pd.DataFrame:
    """The same rows from a file that `python -m nst --costs` wrote."""
    table = pd.read_csv(path).rename(columns={"total": "total J"})
    rows = table.melt("step", list(SERIES_COLOURS), var_name=COLUMNS[2], value_name=COLUMNS[1])
    rows[COLUMNS[1]] = np.log10(rows[COLUMNS[1]].clip(lower=SMALLEST_COST)).round(DIGITS)
    marks = _marks(list(zip(table["step"], table["size"], strict=True)), list(rows[COLUMNS[1]]))
    return pd.concat([rows[list(COLUMNS)], pd.DataFrame(marks, columns=list(COLUMNS))])


def switches_css() -> str:
    """CSS by which each box in `#series` hides and shows its line of the chart, and has the line's colour.

    CSS, because it needs no call to the server and also works while a run streams rows into the chart.
    """
    rules = []
    for name, colour in SERIES_COLOURS.items():
        box = f'#series input[name="{name}"]'
        rules.append(f'#outputs:has({box}:not(:checked)) #curve path[stroke="{colour}"] {{ display: none; }}')
        rules.append(f"{box} {{ --checkbox-background-color-selected: {colour}; }}")
        if name in DASHES:
            rules.append(f'#curve path[stroke="{colour}"] {{ stroke-dasharray: {DASHES[name]}; }}')
    rules.append(f'#curve path[aria-label$=" px"] {{ stroke: {LEVEL_COLOUR}; stroke-dasharray: 1 3; }}')
    return "\n".join(rules)


def _series(costs: Costs) -> dict[str, float]:
    layers = {layer: costs.style_layers[layer] for layer in STYLE_LAYER_WORDS}
    return {"total J": costs.total, "content": costs.content, "style": costs.style, **layers}
