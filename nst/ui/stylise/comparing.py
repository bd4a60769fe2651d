"""Compare any two pictures of the visit, or one and its photo: a slider between them, and a list of what differs."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import gradio as gr
from PIL import Image

from nst.images import pictures
from nst.images.decode import on_white
from nst.images.encode import encode
from nst.ui.server.events import Updates
from nst.ui.stylise.differences import differing, in_words, name_of
from nst.ui.stylise.picture import Picture
from nst.ui.stylise.visit import Visit

PHOTO = "photo"  # the value of a side that shows the photo of the other side's picture
SIDES = ("left", "right")


def choices(visit: Visit) -> Updates:
    """The pictures that can be chosen for both sides: at first the photo and the picture on the page."""
    named = [("the photo", PHOTO)]
    named += [(f"{index}: {of.caption}", str(of.number)) for index, of in enumerate(visit.strip, start=1)]
    present = visit.usable()
    numbers = [value for _, value in named]
    right = str(present.number) if present and str(present.number) in numbers else numbers[-1]
    return {
        "left": gr.update(choices=named, value=PHOTO),
        "right": gr.update(choices=named, value=right),
        "differences": "",
    }


def compare(visit: Visit, left: str, right: str) -> Updates:
    """Both pictures at the size of the right one, and what differs, in words."""
    found = {str(picture.number): picture for picture in visit.pictures() if picture.packed is not None}
    one, other = found.get(left), found.get(right)
    if one is None and other is None:
        return {"differences": "Paint a picture first, then compare it with the photo or with another one."}
    with_photo = other or one
    sides = [_seen(picture) if picture else on_white(with_photo.painting().before()) for picture in (one, other)]
    size = sides[1].size[::-1]
    return {"compare": (pictures.scaled(sides[0], size), sides[1]), "differences": _table(one, other)}


def _seen(picture: Picture) -> Image.Image:
    return on_white(picture.result.image)


def _table(one: Picture | None, other: Picture | None) -> str:
    if one is None or other is None or one is other:
        return ""
    rows = differing(one.request.settings, other.request.settings)
    for name, place in (("photo", lambda of: name_of(of.request.photo)), ("style", _styles)):
        if place(one) != place(other):
            rows = {name: (place(one), place(other)), **rows}
    facts = [_facts(picture) for picture in (one, other)]
    rows |= {name: (value, facts[1].get(name, "")) for name, value in facts[0].items()}
    lines = [f"| {name} | {left} | {right} |" for name, (left, right) in rows.items()]
    return "\n".join(["| differs | left | right |", "|---|---|---|", *lines])


def _styles(picture: Picture) -> str:
    return " + ".join(map(name_of, picture.request.styles))


def _facts(picture: Picture) -> dict[str, str]:
    """What a run took and reached, as text."""
    result, facts = picture.result, {}
    for last in result.history[-1:]:
        facts = {
            "content cost": f"{last.content:.3g}",
            "style cost": f"{last.style:.3g}",
            "total J": f"{last.total:.3g}",
        }
    return {**facts, "seconds": f"{result.seconds:.1f}", "steps": str(len(result.history))}


def all_files(visit: Visit) -> bytes:
    """All pictures of the visit as PNG in one zip, with their settings and costs as CSV."""
    file, rows = io.BytesIO(), []
    with zipfile.ZipFile(file, "w") as archive:
        for index, picture in enumerate(visit.strip, start=1):
            if picture.packed is None:
                continue
            name = f"{index:02}_{picture.file_name()}.png"
            archive.writestr(name, encode(picture.painting().pixels(), "png", picture.recipe_text()))
            rows.append(_row(name, picture))
        archive.writestr("settings_and_costs.csv", _as_csv(rows))
    return file.getvalue()


def _row(name: str, picture: Picture) -> dict[str, Any]:
    inputs = {"file": name, "photo": name_of(picture.request.photo), "style": _styles(picture)}
    return {**inputs, **_facts(picture), **in_words(picture.result.settings)}


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
