"""The panel *Show me options*: a grid of small pictures over one or two settings; a click takes their settings."""

from __future__ import annotations

import base64
import html
import io
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from nst import Settings, estimate
from nst.grid import NAMES, Axis, Cell, Grid, Painted, sheet, sheet_text, usual_values
from nst.images.encode import encode
from nst.job import levels_of
from nst.settings import STYLE_LAYER_WORDS, read_value
from nst.ui.server import given_files
from nst.ui.server.devices import may_measure, on_free_device
from nst.ui.server.events import Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise import zerogpu
from nst.ui.stylise.form import DEFAULTS, NOT_ON_PAGE, RunRequest, run_request
from nst.ui.stylise.handlers import PARAMETERS, with_sentences
from nst.ui.stylise.presets import beta_of, strength_of
from nst.ui.stylise.status_text import duration

STRENGTH, NOTHING = "strength", "nothing"
# Setting -> its name on the page, as on the control that sets it.
VARYING = {
    STRENGTH: "Strength",
    "style_scale": "Stroke size",
    "alpha": "alpha: content",
    "beta": "beta: style",
    **{layer: f"lambda {layer}: {words}" for layer, words in STYLE_LAYER_WORDS.items()},
    **{
        name: name.replace("_", " ").capitalize()
        for name in NAMES
        if name not in {"style_scale", "alpha", "beta", *STYLE_LAYER_WORDS, *NOT_ON_PAGE}
    },
}
FIRST = {"across": STRENGTH, "across_values": "20, 45, 65, 85", "down": "style_scale", "down_values": "0.6, 1.5"}
CHOICES = ("across", "across_values", "down", "down_values", "option_px", "option_quality")  # components of the panel
OPTION_PX = (96, 384)
UPDATE_S = 0.3  # between two updates of the grid, which hold all its pictures
TAKEN = ("status", *(f"lambda_{name}" if name in STYLE_LAYER_WORDS else name for name in VARYING))
# A click on a cell tells its settings, which the page wrote into it.
CLICKS = """element.addEventListener("click", event => {
    const cell = event.target.closest("button[data-settings]");
    if (cell) trigger("select", { settings: cell.dataset.settings, label: cell.title });
});"""


def fill(axis: str, name: str) -> Updates:
    """Values of a setting that are worth a look, for the box of the axis "across" or "down"."""
    if name == NOTHING:
        return {f"{axis}_values": ""}
    written = FIRST["across_values"] if name == STRENGTH else usual_values(name, DEFAULTS).replace(",", ", ")
    return {f"{axis}_values": written}


def needed_s(*values: Any) -> int:
    """Seconds of a ZeroGPU to ask for."""
    try:
        return zerogpu.START_S + round(_planned(*_given(values))[2])
    except ValueError:
        return zerogpu.UNKNOWN_S  # it will be refused


def show_estimate(*values: Any) -> Updates:
    """How many pictures the grid has and how long it will take; `values` are those of `CHOICES` and `stylise`."""
    try:
        grid, _, expected_s = _planned(*_given(values), watch=may_measure)
        takes = "about " + duration(expected_s) if expected_s else "the time is measured when nothing is painted"
        return {"options_expected": f"{len(grid.cells())} pictures, {takes}."}
    except ValueError as error:
        return {"options_expected": f"{str(error)[:1].upper()}{str(error)[1:]}."}


def paint(*values: Any) -> Iterator[Updates]:
    """Paint a grid; `values` are those of `CHOICES` and of `stylise`. Closing it ends the run."""
    yield from with_sentences(_painted(*_given(values)))


@on_free_device
def _painted(device: str, chosen: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Updates]:
    grid, request, expected_s = _planned(chosen, given, device=device)
    began_s = time.monotonic()
    count, finished, first = len(grid.cells()), {}, None
    buttons: dict[tuple[int, int], str] = {}
    yield {"options": _table(grid, buttons), "status": f"Painting {count} pictures, about {duration(expected_s)}."}
    last_s = 0.0
    for painted in grid.paint():
        if painted.result is None and time.monotonic() - last_s < UPDATE_S:
            continue
        last_s, place = time.monotonic(), (painted.cell.row, painted.cell.column)
        buttons[place] = _button(grid, painted, (chosen["across"], chosen["down"]))
        if painted.result:
            first = first or painted.result
            finished[place] = painted.picture
        # The first forecast stays until a picture is finished, so that the time left does not jump up.
        left_s = (last_s - began_s) / len(finished) * (count - len(finished)) if finished else expected_s
        status = f"Painting option {min(len(finished) + 1, count)} of {count}, {duration(left_s)} left."
        yield {"options": _table(grid, buttons), "status": status}
    took_s = time.monotonic() - began_s
    page = encode(sheet(grid, finished), "png", sheet_text(grid, first, request.fingerprints))
    path = given_files.give(page, "options.png")
    status = f"{count} options in {took_s:.1f} s. Choose one to take its settings, then press Stylise."
    yield {"options": _table(grid, buttons), "status": status, "options_file": gr.update(value=path, interactive=True)}


def take(alpha: float, chosen: gr.EventData) -> Updates:
    """Set the controls by the cell that was clicked."""
    try:
        written = json.loads(chosen.settings)
        found = {name: _read(name, text) for name, text in written.items() if name in VARYING}
    except (ValueError, AttributeError, TypeError):
        raise gr.Error("This cell cannot be read; paint the grid again.", print_exception=False) from None
    updates = {f"lambda_{name}" if name in STYLE_LAYER_WORDS else name: value for name, value in found.items()}
    if STRENGTH in found:
        updates["beta"] = beta_of(found[STRENGTH], found.get("alpha", alpha))
    elif "beta" in found or "alpha" in found:
        updates["strength"] = strength_of(found.get("alpha", alpha), found.get("beta", DEFAULTS.beta))
    said = ", ".join(f"{VARYING[name].split(':')[0]} {written[name]}" for name in found)
    return {**updates, "status": f"Taken: {said}. Press Stylise to paint it at full size."}


def _given(values: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the panel says, and what the parameters of a run are."""
    names = (*CHOICES, *PARAMETERS)
    given = dict(zip(names, values, strict=True))
    return {name: given[name] for name in CHOICES}, {name: given[name] for name in PARAMETERS}


def _planned(
    chosen: Mapping[str, Any], given: Mapping[str, Any], watch: estimate.Watch = lambda: lambda: True, **changes: Any
) -> tuple[Grid, RunRequest, float | None]:
    """The grid, and its expected time in s, which is within the page's limit; None when it must not be measured now."""
    size, quality = int(chosen["option_px"] or 0), chosen["option_quality"]
    if not OPTION_PX[0] <= size <= OPTION_PX[1]:
        raise ValueError(f"{size} px is outside {OPTION_PX[0]} to {OPTION_PX[1]} px for a picture of the grid")
    changes |= {"quality": quality, "original_size": False, "max_seconds": None, "size": size}
    request = run_request(given, **changes)
    settings = request.settings
    across = _axis(chosen["across"], chosen["across_values"], settings)
    down = None if chosen["down"] == NOTHING else _axis(chosen["down"], chosen["down_values"], settings)
    more = request.masks, request.start, request.style_masks
    grid = Grid.of(request.photo, request.styles, settings, across, down, *more)
    most_s, expected_s = page_limits().run_s, _seconds(grid, watch)
    if expected_s is not None and expected_s > most_s:
        raise ValueError(
            f"these {len(grid.cells())} pictures take about {duration(expected_s)}, over this page's limit of "
            f"{duration(most_s)}; give fewer values, or smaller pictures"
        )
    return grid, request, expected_s


def _axis(name: str, written: str, settings: Settings) -> Axis:
    """The axis that the visitor asks for, with labels in the words of the page."""
    axis = Axis.of("beta" if name == STRENGTH else name, written.split(","))
    words = VARYING[name].split(":")[0]
    labels = tuple(f"{words} {label.rpartition(' ')[2]}" for label in axis.labels)
    if name != STRENGTH:
        return Axis(axis.name, axis.values, labels)
    if not all(0 <= strength <= 100 for strength in axis.values):
        raise ValueError(f"strength={written:.40} is outside 0 to 100; choose numbers inside")
    return Axis("beta", tuple(beta_of(strength, settings.alpha) for strength in axis.values), labels)


def _read(name: str, text: str) -> Any:
    if name == STRENGTH:
        return float(read_value("beta", text))
    return read_value("style_layers", f"{name}:{text}")[name] if name in STYLE_LAYER_WORDS else read_value(name, text)


def _seconds(grid: Grid, watch: estimate.Watch) -> float | None:
    """Expected time of all pictures, s; None when a pace is not known and must not be measured."""
    pace = zerogpu.PACE if zerogpu.is_active() else None
    cells = [(levels_of(grid.photo, cell.settings), cell.settings) for cell in grid.cells()]
    times = [estimate.seconds(levels, settings, pace=pace, watch=watch) for levels, settings in cells]
    return None if None in times else sum(times)


def _table(grid: Grid, buttons: Mapping[tuple[int, int], str]) -> str:
    """The grid as HTML: labelled axes, and a button for each picture that is there."""
    head = "".join(f"<th scope='col'>{html.escape(label)}</th>" for label in grid.across.labels)
    rows, columns = grid.shape
    labels = grid.down.labels if grid.down else ("",)
    body = ""
    for row in range(rows):
        cells = "".join(
            f"<td data-label='{html.escape(label, quote=True)}'>{buttons.get((row, column), '')}</td>"
            for column, label in enumerate(grid.across.labels)
        )
        body += f"<tr><th scope='row'>{html.escape(labels[row])}</th>{cells}</tr>"
    width, height = grid.photo.size
    style = f"--shape: {width} / {height}; --columns: {columns}"
    return f"<table class='grid' style='{style}'><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _button(grid: Grid, painted: Painted, names: tuple[str, str]) -> str:
    settings = html.escape(json.dumps(_written(grid, painted.cell, names)), quote=True)
    file = io.BytesIO()
    painted.picture.save(file, "JPEG", quality=80)
    source = base64.b64encode(file.getvalue()).decode()
    label = html.escape(painted.cell.label, quote=True)
    return (
        f"<button title='{label}' data-settings='{settings}'>"
        f"<img alt='{label}' src='data:image/jpeg;base64,{source}'></button>"
    )


def _written(grid: Grid, cell: Cell, names: tuple[str, str]) -> dict[str, str]:
    """The settings of a cell as text, by the names that the visitor chose for across and down."""
    axes = [(names[0], grid.across.labels[cell.column])]
    axes += [(names[1], grid.down.labels[cell.row])] if grid.down else []
    return {name: label.rpartition(" ")[2] for name, label in axes}
