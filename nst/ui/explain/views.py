"""The handlers of the lesson's steps: what each step's view in the browser needs, of the picture and layer chosen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import gradio as gr
from PIL import Image

from nst import Settings
from nst.cache import BoundedCache
from nst.explain import activation_file, channels, positions
from nst.explain.compare import Comparison, compare
from nst.explain.look import STYLE_LAYERS, Look, look_at
from nst.images import pictures
from nst.ui.explain import payloads
from nst.ui.explain.payloads import Payload
from nst.ui.server import examples, given_files
from nst.ui.server.events import Updates
from nst.ui.stylise.visit import Visit

SOURCES = {"style": "Style", "photo": "Photo", "result": "Result"}
FIRST_LAYER = "relu3_1"  # strokes: 256 channels, quick to compute and easy to understand
# Step -> the data that its views need.
STEPS = {
    "channels": ("channel",),
    "pair": ("pair",),
    "matrix": ("matrix", "pair"),
    "cost": ("cost",),
    "know": (),
    "try": ("pair", "shuffle", "guess"),
}
# For all visitors together, in bytes.
LOOKS = BoundedCache(600 * 2**20, attrgetter("nbytes"))  # activations: about eight pictures
COMPARISONS = BoundedCache(200 * 2**20, attrgetter("nbytes"))

Picture = str | Image.Image


@dataclass(frozen=True)
class Asked:
    """What a visitor looks at: which picture and layer, which matrix and pair, and the pictures of the first tab."""

    source: str
    layer: str
    kind: str
    k: int
    m: int
    photo: str | None
    style: str | None
    visit: Visit

    @classmethod
    def of(cls, source: str, layer: str, kind: str, k: float | None, m: float | None, *given: object) -> Asked:
        return cls(source, layer, kind, int(k or 0), int(m or 0), *given)

    @property
    def look(self) -> Look:
        return _look(picture_of(self.source, self.photo, self.style, self.visit), self.layer)

    def data(self, name: str) -> Payload:
        """The data of this name. `ValueError` when a picture is missing or a channel is not there."""
        return {
            "channel": lambda: payloads.channel(self.look, self.layer, self.k),
            "pair": lambda: payloads.pair(self.look, self.layer, self.k, self.m),
            "matrix": lambda: payloads.matrix(self.look, self.layer, self.kind),
            "cost": lambda: _cost(self),
            "shuffle": lambda: _shuffle(self),
            "guess": lambda: payloads.guess(self.look, self.layer, self.style),
        }[name]()

    def is_first_sight(self, name: str) -> bool:
        """Whether these data of the examples come with the program; see `examples/make_lesson.py`."""
        photo, style, _, _ = examples.first_sight()
        same = self.visit.usable() is None and _same_file(self.photo, photo) and _same_file(self.style, style)
        pair = (self.k, self.m) == first_pair() or name in ("matrix", "cost", "shuffle", "guess")
        return same and pair and (self.source, self.layer, self.kind) == ("style", FIRST_LAYER, "gram")


def first_pair() -> tuple[int, int]:
    """The two channels that the lesson opens with: the strongest pair of the example."""
    found = json.loads(examples.lesson("pair.json").read_text())
    return found["k"], found["m"]


def first_apart() -> tuple[int, int]:
    """The two channels of the example that are least correlated."""
    sides = json.loads(examples.lesson("guess.json").read_text())["duel"]["sides"]
    return sides[0]["channel"], sides[1]["channel"]


def _same_file(given: str | None, example: str) -> bool:
    return given is not None and Path(given).name == Path(example).name


def picture_of(source: str, photo: str | None, style: str | None, visit: Visit) -> Picture:
    """The picture of this source. `ValueError` when it is not there yet."""
    if source != "result":
        chosen = photo if source == "photo" else style
        if chosen is None:
            raise ValueError(f"there is no {SOURCES[source].lower()} yet; choose one on the first tab")
        return chosen
    if (painted := visit.usable()) is not None:
        return painted.result.image
    first_photo, first_style, example, _ = examples.first_sight()
    if not (_same_file(photo, first_photo) and _same_file(style, first_style)):
        raise ValueError("there is no result of these two pictures yet; press Stylise on the first tab")
    return example


def _key(picture: Picture) -> str:
    """A name for a picture by its content; gradio names the folder of an upload by its content, too."""
    return picture if isinstance(picture, str) else hashlib.sha256(picture.tobytes()).hexdigest()


def _look(picture: Picture, layer: str) -> Look:
    """Activations of a layer, cached. The five style layers are computed together, in one pass."""
    layers = STYLE_LAYERS if layer in STYLE_LAYERS else (layer,)
    return LOOKS.get((_key(picture), layers), lambda: look_at(picture, layers))


def _cost(asked: Asked) -> Payload:
    chosen = [picture_of(source, asked.photo, asked.style, asked.visit) for source in ("photo", "style", "result")]
    settings = painted.request.settings if (painted := asked.visit.usable()) else Settings()
    key = (*map(_key, chosen), settings.style_scale, settings.pooling)

    def compared(*layers: str) -> Comparison:
        return COMPARISONS.get((*key, layers), lambda: compare(*chosen, settings, layers))

    found = compared(*STYLE_LAYERS)
    if asked.layer not in STYLE_LAYERS:  # the five are there already; only this one is computed
        found = Comparison({**found.layers, **compared(asked.layer).layers})
    return payloads.cost(found, asked.layer)


def _shuffle(asked: Asked) -> Payload:
    found = positions.shuffle(asked.look.block(asked.layer))
    texture = Path(examples.study(asked.style or "", asked.layer))
    shown = asked.source == "style" and texture.is_file()
    return {
        "matrix_change": found.matrix_change,
        "content_cost": found.content_cost,
        "texture": payloads.data_url(pictures.load(str(texture))) if shown else None,
    }


def show_step(step: str, *asked: object) -> Updates:
    """The data of a step's views."""
    return {"step": step, "data": data_of(Asked.of(*asked), STEPS[step])}


def data_of(asked: Asked, names: tuple[str, ...]) -> str:
    """JSON of data by name: those of the examples from the files that come with the program, all others computed."""
    try:
        texts = [f"{json.dumps(name)}: {_text_of(asked, name)}" for name in names]
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    return f"{{{', '.join(texts)}}}"


def _text_of(asked: Asked, name: str) -> str:
    return examples.lesson(f"{name}.json").read_text() if asked.is_first_sight(name) else json.dumps(asked.data(name))


def show_layer(step: str, source: str, layer: str, kind: str, *rest: object) -> Updates:
    """Another picture or layer: the pair becomes its strongest one, because channels of two layers differ."""
    _, _, *given = rest
    asked = Asked.of(source, layer, kind, 0, 0, *given)
    try:
        found = channels.strongest_pairs(asked.look.block(layer), "gram", 1)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    k, m = (found[0].k, found[0].m) if found else (0, 0)
    return {"k": k, "m": m, **show_step(step, source, layer, kind, k, m, *given)}


def choose(
    step: str,
    source: str,
    layer: str,
    kind: str,
    k: float,
    m: float,
    photo: str | None,
    style: str | None,
    visit: Visit,
    clicked: gr.EventData,
) -> Updates:
    """A click on a channel, a pair, a cell or a kind of matrix in the browser, which may send anything."""
    sent = clicked._data if isinstance(clicked._data, dict) else {}
    k, m, kind = (sent.get(name, now) for name, now in (("k", k), ("m", m), ("kind", kind)))
    if not (isinstance(k, int) and isinstance(m, int) and isinstance(kind, str) and kind in channels.KINDS):
        return {}
    changed = "matrix" if "kind" in sent else "pair"
    names = tuple(name for name in STEPS[step] if name in ("channel", changed))
    asked = Asked.of(source, layer, kind, k, m, photo, style, visit)
    return {"kind": kind, "k": k, "m": m, "data": data_of(asked, names)}


def make_file(*asked: object) -> Updates:
    """The activations of photo, style and result in the chosen layer, to be downloaded for the notebook."""
    now = Asked.of(*asked)
    try:
        chosen = [picture_of(source, now.photo, now.style, now.visit) for source in ("photo", "style", "result")]
        content = activation_file.as_npz(activation_file.activations(*chosen, now.layer), now.layer)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    path = given_files.give(content, "activations.npz")
    return {
        "file": gr.DownloadButton(
            f"Download activations.npz ({len(content) / 1e6:.1f} MB)", value=path, interactive=True
        )
    }
