"""A run as it paints, and the picture that it leaves: everything that a visitor can still do with it, in few bytes."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from nst import Costs, Degraded, Event, Finished, Result, Started, Step, recipe
from nst.images import pictures
from nst.images.decode import on_white
from nst.images.encode import encode
from nst.images.packed import Packed
from nst.images.painting import Painting, in_final_colours
from nst.images.pictures import result_size, scaled
from nst.images.timelapse import Timelapse
from nst.transfer import result_so_far
from nst.ui.server.events import Updates
from nst.ui.stylise import status_text
from nst.ui.stylise.curve import curve_rows
from nst.ui.stylise.differences import caption, name_of
from nst.ui.stylise.form import PAGE_DEFAULTS, RunRequest

THUMBNAIL_PX = 160
BYTES_OF_STEP = 1000  # memory of one `Costs`, with its numbers by layer


@dataclass(frozen=True)
class Film:
    """The pictures of a run for its time-lapse, as JPEG: a fifth of their memory."""

    frames: tuple[bytes, ...]

    @classmethod
    def of(cls, film: Timelapse) -> Film:
        return cls(tuple(encode(frame, "jpeg") for frame in film.frames()))

    def timelapse(self) -> Timelapse:
        film = Timelapse()
        for frame in self.frames:
            film.add(pictures.opened(frame, "frame", ("JPEG",)))
        return film

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.frames))


@dataclass(eq=False)
class Picture:
    """A picture that a run has painted. `drop` frees it; its thumbnail stays."""

    request: RunRequest
    result: Result | None  # without its painting; None once it is dropped
    packed: Packed | None
    film: Film | None
    thumbnail: Image.Image
    caption: str
    planned: int  # steps of the whole run
    notice: str = ""
    made_s: float = field(default_factory=time.monotonic)
    why_gone: str = ""  # once it is dropped
    number: int = field(default_factory=itertools.count(1).__next__)  # of the process, to name it by

    @classmethod
    def of(cls, run: Run, result: Result) -> Picture:
        packed = Packed.of(result.painting, 8 if result.stopped == "stopped" else 16)
        seen = on_white(result.image)
        thumbnail = scaled(seen, result_size(seen, THUMBNAIL_PX))
        words = caption(run.request.styles, result.settings, PAGE_DEFAULTS)
        result, film = dataclasses.replace(result, painting=None), Film.of(run.film)
        return cls(run.request, result, packed, film, thumbnail, words, run.started.steps, run.notice)

    def painting(self) -> Painting:
        """The painting in the colours that were chosen last. `ValueError` says that it was dropped."""
        return self.check().painting()

    def check(self) -> Packed:
        """What was painted, packed. `ValueError` says that it was dropped."""
        packed = self.packed  # one read: another thread may drop it
        if packed is None:
            raise ValueError(f"this picture is gone: {self.why_gone}; press Stylise to paint it again")
        return packed

    def uncoloured(self) -> Image.Image:
        """The picture as it was painted, before it was given the photo's colours."""
        return self.painting().recoloured("style", 1.0).picture()

    def recoloured(self, method: str, amount: float) -> Picture:
        """The same picture in other colours; both share their memory."""
        result, packed = self.result, self.packed
        image = self.painting().recoloured(method, amount).picture()  # `ValueError` when it was dropped
        settings = dataclasses.replace(result.settings, colour=method, colour_amount=amount, colour_when="after")
        result = dataclasses.replace(result, image=image, settings=settings)
        return dataclasses.replace(
            self, result=result, packed=dataclasses.replace(packed, colour=method, amount=amount)
        )

    def file_name(self) -> str:
        """The names of photo and styles, without a suffix."""
        return "_".join(map(name_of, (self.request.photo, *self.request.styles)))

    def recipe_text(self) -> Mapping[str, str]:
        """The recipe that a PNG of this picture holds."""
        return recipe.text(recipe.Recipe.of(self.result, self.request.fingerprints))

    def status(self) -> str:
        """How it was painted, in a sentence."""
        if self.result.stopped == "stopped":
            steps = f"step {len(self.result.history)} of {self.planned}"
            return f"Stopped at {steps}. The picture so far is your result.{self.notice}"
        return status_text.summary(self.result) + self.notice

    def drop(self, why: str) -> None:
        """Free the memory; `why` goes into the sentence for the visitor."""
        self.result = self.packed = self.film = None
        self.why_gone = why

    def buffers(self) -> dict[int, int]:
        """What it holds in memory: id of the object -> bytes. Pictures share objects."""
        held = {id(self.thumbnail): _bytes_of(self.thumbnail)}
        if (result := self.result) is not None:
            held[id(result.image)] = _bytes_of(result.image)
            held[id(result.history)] = BYTES_OF_STEP * len(result.history)
        if (packed := self.packed) is not None:
            held[id(packed.painted)] = packed.nbytes
        if (film := self.film) is not None:
            held[id(film)] = film.nbytes
        sources = (*self.request.masks, self.request.start, *self.request.style_masks)
        return held | {id(source): _bytes_of(source) for source in sources if isinstance(source, Image.Image)}


@dataclass(eq=False)
class Run:
    """A run while it paints."""

    request: RunRequest
    started: Started | None = None
    history: list[Costs] = field(default_factory=list)
    film: Timelapse = field(default_factory=Timelapse)
    notice: str = ""
    preview: Image.Image | None = None
    previewed: int = 0  # steps that the preview has taken
    result: Result | None = None

    def take(self, event: Event) -> Updates | None:
        """Note an event -> what the page shows of it: picture, curve and status."""
        match event:
            case Started(preview=photo):
                self.started = event
                return self._shown(photo, "Looking at the two pictures ...")
            case Step(costs=costs, preview=preview):
                self.history.append(costs)
                if preview is None:
                    return None
                self.preview, self.previewed = preview, len(self.history)
                seen = in_final_colours(preview, self.started.preview, self.request.masks, self.started.settings)
                return self._shown(seen, status_text.progress(self.started, event, self.history))
            case Degraded(reason=reason):
                self.notice += f" {reason}"
            case Finished(result=result):
                self.result = result
                return self._shown(on_white(result.image), status_text.summary(result) + self.notice)
        return None

    def _shown(self, picture: Image.Image, status: str) -> Updates:
        self.film.add(picture)
        return {"picture": picture, "chart": curve_rows(self.history), "status": status}

    def picture(self) -> Picture | None:
        """The finished picture, or the picture so far; None before the first."""
        if self.result is None and self.preview is None:
            return None
        _ = self.request.fingerprints  # while its files are there: they are swept before the picture is
        masks, history = self.request.masks, self.history[: self.previewed]
        result = self.result or result_so_far(self.started, history, self.preview, masks)
        if self.result is None:
            self.film.add(on_white(result.image))
        return Picture.of(self, result)

    @property
    def nbytes(self) -> int:
        frames = [*self.film.kept, *filter(None, [self.preview, self.started and self.started.preview])]
        return sum(map(_bytes_of, frames))


def _bytes_of(picture: Image.Image) -> int:
    return picture.width * picture.height * len(picture.getbands())
