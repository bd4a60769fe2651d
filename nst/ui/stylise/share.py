"""Settings read from one of our pictures or from the page's address, and the address that holds settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import gradio as gr

from nst import Settings, recipe
from nst.events import early_end
from nst.settings import KINDS, read_value, write_value
from nst.ui.server import examples
from nst.ui.server.events import Updates
from nst.ui.stylise.controls import colour_update
from nst.ui.stylise.form import DEFAULTS, PAGE_DEFAULTS, PICTURES, parameters_of, settings_of
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.presets import beta_of, strength_of

LONGEST_QUERY = 8_192  # characters; an address that names every layer has half of them
LONGEST_NOTICE = 480  # characters; one that lists every layer of a network has most of them

# Query -> this page's address with it, which the browser then shows without loading the page again.
SHOW_LINK = """query => {
    const link = new URL(location.href);
    link.search = query;
    history.replaceState(null, "", link);
    return link.href;
}"""


EXAMPLES = {"photo": examples.photos, "style": examples.styles}  # what an address may name
RESTORED = ("strength", *(name for name in PARAMETERS if name not in PICTURES))  # the controls that settings set


def restore(path: str | None) -> Updates:
    """Set the controls by the recipe in one of our PNGs; the status says what it could not set."""
    if path is None:
        return {}
    try:
        found = recipe.read(path)
    except ValueError as error:
        return {"status": f"No settings restored: {error}."}
    missing = parameters_of(found.settings)[1]
    status = f"Settings restored: a picture of {found.width} x {found.height} px painted in {found.steps} steps."
    if missing:
        status += f" The page has no control for {', '.join(missing)}."
    if early := early_end(found.stopped, found.steps):
        status += f" That run {early}."
    if "start" in found.inputs:
        status += " The run started from another picture: choose that picture under Advanced."
    return {"status": status, **controls_of(found.settings)}


def from_address(request: gr.Request) -> Updates:
    """Set the controls by the page's address, such as `?strength=70&style_scale=2`."""
    given = dict(request.query_params)
    shown = {name: known[given[name]] for name, of in EXAMPLES.items() if given.get(name) in (known := of())}
    changes, notices = from_query(given)
    if "strength" in given:
        notices += _by_strength(given["strength"], changes)
    if not changes and not notices:
        return {"status": "Pictures taken from the address.", **shown} if shown else {}
    settings = replace(PAGE_DEFAULTS, **changes)
    missing = parameters_of(settings)[1]
    notices += [f"{name} in the address is ignored: the page has no control for it." for name in missing]
    return {"status": " ".join(["Settings taken from the address.", *notices]), **shown, **controls_of(settings)}


def _by_strength(written: str, changes: dict[str, Any]) -> list[str]:
    """Add to `changes` the beta of a strength, which an address may hold instead -> notices."""
    try:
        strength = float(written)
        if not 0 <= strength <= 100:
            raise ValueError
    except ValueError:
        return [f"strength in the address is ignored: {written!r:.20} is no number from 0 to 100."]
    if "beta" in changes:
        return ["strength in the address is ignored: beta is there, too."]
    changes["beta"] = beta_of(strength, changes.get("alpha", DEFAULTS.alpha))
    return []


def show_query(*values: Any) -> Updates:
    """The controls' settings as the query of an address, with the names of example pictures.

    `values` are those of `stylise`. A visitor's own pictures stay with the visitor, and the status says so.
    """
    given = dict(zip(PARAMETERS, values, strict=True))
    try:
        settings = settings_of(given, shares=None)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    found = {name: _example_of(name, given[name]) for name in EXAMPLES}
    own = [name for name, example in found.items() if example is None]
    at_first = {"photo": examples.FIRST_PHOTO, "style": examples.FIRST_STYLE}  # the page opens with them
    names = {name: example for name, example in found.items() if example not in (None, at_first[name])}
    words = "It also brings your example pictures."
    if own:
        words = f"Send the {' and the '.join(own)} with it: a link holds no pictures."
    query = "&".join(filter(None, [urlencode(names, quote_via=quote), to_query(settings, PAGE_DEFAULTS)]))
    return {"link": query, "status": f"The link holds the settings. {words}"}


def _example_of(name: str, path: str | None) -> str | None:
    """The name of the example that this picture is."""
    if path is None:
        return None
    content = Path(path).read_bytes()
    return next((known for known, of in EXAMPLES[name]().items() if Path(of).read_bytes() == content), None)


def controls_of(settings: Settings) -> Updates:
    """A value for each of `RESTORED`."""
    given, _ = parameters_of(settings)
    return {**given, "strength": strength_of(settings.alpha, settings.beta), "colour": colour_update(settings.colour)}


def to_query(settings: Settings, usual: Settings = DEFAULTS) -> str:
    """What differs from the usual settings, for an address: `beta=40&style_layers=relu1_1:0.3,relu2_1:0`."""
    changed = {name: getattr(settings, name) for name in KINDS if getattr(settings, name) != getattr(usual, name)}
    written = {name: write_value(name, value) for name, value in changed.items()}
    return urlencode(written, safe=":,", quote_via=quote)


def from_query(query: str | Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """An address's query, or its parts by name -> fields of `Settings` that are legal together, and notices.

    Never raises: each bad value is left out with a sentence that quotes it. Unknown names are left out without one,
    because other programs add their own to an address.
    """
    whole = isinstance(query, str)
    pairs = dict(parse_qsl(query[:LONGEST_QUERY].removeprefix("?"), keep_blank_values=True)) if whole else query
    given = {name: str(pairs[name]) for name in KINDS if name in pairs}
    if (len(query) if whole else sum(map(len, given.values()))) > LONGEST_QUERY:
        return {}, [f"The settings in the address are ignored: they have over {LONGEST_QUERY} characters."]
    values, reasons = {}, {}
    for name, written in given.items():
        try:
            values[name] = read_value(name, written)
        except ValueError as error:
            reasons[name] = str(error)
    legal, illegal = _legal_together(values)
    notices = [f"{name} in the address is ignored: {reason}" for name, reason in {**reasons, **illegal}.items()]
    return legal, [f"{notice:.{LONGEST_NOTICE}}." for notice in notices]


def _legal_together(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that make legal settings together, and for each of the others the reason why not.

    Repeated until no more can be added: alpha=0 and beta=0, for example, are legal only beside a total variation.
    """
    legal, reasons, waiting = {}, {}, list(values)
    while waiting:
        reasons = {}
        for name in waiting:
            try:
                Settings(**legal, **{name: values[name]})
                legal[name] = values[name]
            except ValueError as error:
                reasons[name] = str(error)
        if len(reasons) == len(waiting):
            break
        waiting = list(reasons)
    return legal, reasons
