"""Settings that come back from one of our pictures, and travel in the page's address."""

from __future__ import annotations

from typing import Any

import gradio as gr

from nst import Settings, address, recipe
from nst.ui.form import DEFAULTS, settings_of, values
from nst.ui.handlers import PARAMETERS
from nst.ui.strength import beta_of, strength_of

# Query -> the address of this page with it, which becomes the page's own, without loading it again.
SHOW_LINK = """query => {
    const link = new URL(location.href);
    link.search = query;
    history.replaceState(null, "", link);
    return link.href;
}"""


def restore(path: str | None) -> tuple[object, ...]:
    """The controls of a picture's recipe -> (status, strength, one value for each of `RESTORED`)."""
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
    """The controls as the page's address says, such as `?strength=70&style_scale=2` -> those of `restore`."""
    given = dict(request.query_params)
    changes, notices = address.from_query(given)
    if "strength" in given:
        notices += _by_strength(given["strength"], changes)
    if not changes and not notices:
        return (gr.skip(),) * (2 + len(RESTORED))
    settings = Settings(**changes)
    missing = [f"{name} in the address is ignored: the page has no control for it." for name in values(settings)[1]]
    return " ".join(["Settings taken from the address.", *notices, *missing]), *controls_of(settings)


def _by_strength(written: str, changes: dict[str, Any]) -> list[str]:
    """Give `changes` the beta of a strength, which an address may say instead; notices."""
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
    """What an address says of the controls, which are those of `stylise`. Pictures cannot travel in it."""
    try:
        settings = settings_of(dict(zip(PARAMETERS, given, strict=True)), shares=None)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    return address.to_query(settings)


def controls_of(settings: Settings) -> tuple[object, ...]:
    """Strength, and a value for each of `RESTORED`."""
    given, _ = values(settings)
    return strength_of(settings.alpha, settings.beta), *(given[name] for name in RESTORED)


RESTORED = tuple(name for name in PARAMETERS if name in values(DEFAULTS)[0])
