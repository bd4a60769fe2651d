"""Settings into the page's address and out of it, and out of one of our pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import gradio as gr

from nst import Settings, recipe
from nst.settings import KINDS, read_value, write_value
from nst.ui.stylise.form import DEFAULTS, settings_of, values
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.presets import beta_of, strength_of

LONGEST_QUERY = 8_192  # characters; an address that names every layer has half of them
LONGEST_NOTICE = 480  # characters; one that lists every layer of a network has most of them

# In the browser: query -> this page's address with it. The page takes that address without loading again.
SHOW_LINK = """query => {
    const link = new URL(location.href);
    link.search = query;
    history.replaceState(null, "", link);
    return link.href;
}"""


def restore(path: str | None) -> tuple[object, ...]:
    """A picture's recipe in the controls -> (status, strength, one value for each of `RESTORED`)."""
    if path is None:
        return (gr.skip(),) * (2 + len(RESTORED))
    try:
        found = recipe.read(path)
    except ValueError as error:
        return (f"No settings restored: {error}.", gr.skip(), *(gr.skip(),) * len(RESTORED))
    missing = values(found.settings)[1]
    status = f"Settings restored: a picture of {found.width} x {found.height} px painted in {found.steps} steps."
    if missing:
        status += f" The page has no control for {', '.join(missing)}."
    if "start" in found.inputs:
        status += " It was painted on from another picture: give that one under Advanced."
    return status, *controls_of(found.settings)


def from_address(request: gr.Request) -> tuple[object, ...]:
    """The settings of the page's address, `?strength=70&style_scale=2`, in the controls -> the same as `restore`."""
    given = dict(request.query_params)
    changes, notices = from_query(given)
    if "strength" in given:
        notices += _by_strength(given["strength"], changes)
    if not changes and not notices:
        return (gr.skip(),) * (2 + len(RESTORED))
    settings = Settings(**changes)
    missing = [f"{name} in the address is ignored: the page has no control for it." for name in values(settings)[1]]
    return " ".join(["Settings taken from the address.", *notices, *missing]), *controls_of(settings)


def _by_strength(written: str, changes: dict[str, Any]) -> list[str]:
    """Add to `changes` the beta for the strength that the address gives in its place. Returns notices."""
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


def query_of(*given: Any) -> str:
    """The query for these parameters of `stylise`, in their order. Pictures cannot be part of an address."""
    try:
        settings = settings_of(dict(zip(PARAMETERS, given, strict=True)), shares=None)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    return to_query(settings)


def controls_of(settings: Settings) -> tuple[object, ...]:
    """The controls for these settings: strength, and a value for each of `RESTORED`."""
    given, _ = values(settings)
    return strength_of(settings.alpha, settings.beta), *(given[name] for name in RESTORED)


RESTORED = tuple(name for name in PARAMETERS if name in values(DEFAULTS)[0])


def to_query(settings: Settings) -> str:
    """What differs from the defaults, for the page's address: `beta=40&style_layers=relu1_1:0.3,relu2_1:0`."""
    changed = {name: getattr(settings, name) for name in KINDS if getattr(settings, name) != getattr(DEFAULTS, name)}
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
