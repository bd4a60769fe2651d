"""Style matrices and their costs as Plotly figures.

Plotly, because gradio shows it without a request to another server, a cell shows its value under the pointer and can be
clicked, and half a million cells stay quick. gradio's own plots have no heat map; matplotlib's are not interactive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nst.explain.compare import Comparison

HEIGHT_PX = 460
SMALL_HEIGHT_PX = 300
SMALLEST_SHARE = 1e-6  # of the largest entry: smaller entries have the colour of zero on the logarithmic scale


def _logarithm(values: np.ndarray) -> np.ndarray:
    """Decades above the smallest share, with the sign of the entry; zero for smaller entries."""
    least = SMALLEST_SHARE * (np.abs(values).max() or 1)
    return np.sign(values) * np.log10(np.maximum(np.abs(values), least) / least)


# Scale -> what maps entries to colours. With linear colours a few channels with large entries hide all others.
SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "square root": lambda values: np.sign(values) * np.sqrt(np.abs(values)),
    "logarithm": _logarithm,
    "linear": lambda values: values,
}


def matrix_figure(entries: np.ndarray, channels: np.ndarray, scale: str) -> go.Figure:
    """A matrix (C, C) with rows and columns in the order of these channels; a cell shows k, k' and its value."""
    figure = go.Figure(_heatmap(entries, channels, scale))
    _square(figure, len(channels))
    figure.update_layout(**_layout(HEIGHT_PX))
    return figure


def comparison_figure(matrices: Mapping[str, np.ndarray], channels: np.ndarray, scale: str) -> go.Figure:
    """Several matrices (C, C) side by side, by title; the last is a difference, with a colour range of its own."""
    titles = list(matrices)
    figure = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.02)
    *same, last = titles
    bounds = max(np.abs(SCALES[scale](matrices[title])).max() for title in same)
    for column, title in enumerate(titles, start=1):
        heatmap = _heatmap(matrices[title], channels, scale)
        heatmap.showscale = False
        if title != last:
            heatmap.zmin, heatmap.zmax = (-bounds if heatmap.zmin < 0 else 0), bounds
        figure.add_trace(heatmap, 1, column)
    _square(figure, len(channels), labels=False)
    figure.update_layout(**_layout(SMALL_HEIGHT_PX))
    return figure


def costs_figure(comparison: Comparison, before: str, after: str) -> go.Figure:
    """A pair of bars for each layer: J_style[l] before and after."""
    layers = list(comparison.layers)
    figure = go.Figure(
        [
            go.Bar(
                name=before, x=layers, y=[comparison.layers[layer].before for layer in layers], marker_color="#a8a29e"
            ),
            go.Bar(
                name=after, x=layers, y=[comparison.layers[layer].after for layer in layers], marker_color="#c2410c"
            ),
        ]
    )
    figure.update_yaxes(type="log", title="J_style[l], 1 = nothing matches")
    figure.update_layout(**_layout(SMALL_HEIGHT_PX), legend={"orientation": "h", "y": 1.15})
    return figure


def _heatmap(entries: np.ndarray, channels: np.ndarray, scale: str) -> go.Heatmap:
    ordered = entries[np.ix_(channels, channels)].astype(np.float32)
    names = [str(channel) for channel in channels]
    coloured = SCALES[scale](ordered).astype(np.float32)
    signed = bool(ordered.min() < 0)
    bound = float(np.abs(coloured).max()) or 1.0
    return go.Heatmap(
        z=coloured,
        x=names,
        y=names,
        customdata=ordered,
        hovertemplate="k = %{y}, k' = %{x}<br>%{customdata:.4g}<extra></extra>",
        colorscale="RdBu_r" if signed else "Viridis",
        zmin=-bound if signed else 0,
        zmax=bound,
        colorbar={"title": scale, "thickness": 12},
    )


def _square(figure: go.Figure, count: int, labels: bool = True) -> None:
    """Row 0 on top, square cells; channels are categories, because their order is not numeric."""
    common = {"type": "category", "showticklabels": labels, "nticks": 12, "constrain": "domain"}
    figure.update_xaxes(**common)
    figure.update_yaxes(**common, range=[count - 0.5, -0.5], scaleanchor="x")


def _layout(height_px: int) -> dict[str, object]:
    """Options of a figure's layout, readable on a light and on a dark page."""
    return {
        "height": height_px,
        "margin": {"l": 40, "r": 10, "t": 30, "b": 30},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "#78716c"},
    }
