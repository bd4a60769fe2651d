"""The loss curve: a run's costs as the rows of a line chart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nst import Costs
from nst.settings import STYLE_LAYER_WORDS

# Series -> colour, readable on a light and on a dark page: strong for the sums, from warm to cool for the layers.
SERIES_COLOURS: dict[str, str] = {
    "total J": "#7c3aed",
    "content": "#16a34a",
    "style": "#dc2626",
    "relu1_1": "#f59e0b",
    "relu2_1": "#ea8a3c",
    "relu3_1": "#db7093",
    "relu4_1": "#6b9ac4",
    "relu5_1": "#3f7cac",
}
COLUMNS = ("step", "log10 cost", "series")
SMALLEST_COST = 1e-12  # a cost of exactly 0 has no logarithm


def curve_rows(history: Sequence[Costs]) -> pd.DataFrame:
    """One row per step and series: total, content, style and each style layer, as log10 because the axis is linear."""
    rows = [
        (costs.step, math.log10(max(value, SMALLEST_COST)), name)
        for costs in history
        for name, value in _series(costs).items()
    ]
    types = dict(zip(COLUMNS, (int, float, str), strict=True))  # so that an empty curve has numeric axes, too
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def curve_of_csv(path: str) -> pd.DataFrame:
    """The same rows from a file that `python -m nst --costs` wrote."""
    table = pd.read_csv(path).rename(columns={"total": "total J"})
    rows = table.melt("step", list(SERIES_COLOURS), var_name=COLUMNS[2], value_name=COLUMNS[1])
    rows[COLUMNS[1]] = np.log10(rows[COLUMNS[1]].clip(lower=SMALLEST_COST))
    return rows[list(COLUMNS)]


def switches_css() -> str:
    """CSS by which each box in `#series` hides and shows its line of the chart, and has the line's colour.

    CSS, because it needs no call to the server and also works while a run streams rows into the chart.
    """
    rules = []
    for name, colour in SERIES_COLOURS.items():
        box = f'#series input[name="{name}"]'
        rules.append(f'#outputs:has({box}:not(:checked)) #curve path[stroke="{colour}"] {{ display: none; }}')
        rules.append(f"{box} {{ --checkbox-background-color-selected: {colour}; }}")
    return "\n".join(rules)


def _series(costs: Costs) -> dict[str, float]:
    layers = {layer: costs.style_layers[layer] for layer in STYLE_LAYER_WORDS}
    return {"total J": costs.total, "content": costs.content, "style": costs.style, **layers}
