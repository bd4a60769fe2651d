"""A film: a clip painted frame by frame. What is painted is kept in a folder, so that an interrupted film continues."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from PIL import Image

from nst import estimate, recipe
from nst.events import Degraded, Step
from nst.film import writing
from nst.film.clip import Clip
from nst.film.flow import first_frames
from nst.film.painting import FRAME_STEPS, Painted, film_size, paint_shot
from nst.images import encode, pictures
from nst.job import levels_of
from nst.objective.targets import StyleCache
from nst.schedule import plan
from nst.settings import LIMITS, Settings

GAMMA = 150.0  # default weight of J_temporal
MOST_GAMMA = 1e6
PLAN = "film.json"


@dataclass
class Film:
    """A clip, the styles, the settings, and the folder of the frames that are painted so far."""

    clip: Clip
    styles: Sequence[pictures.Source]
    settings: Settings
    gamma: float
    masks: Sequence[pictures.Source]
    style_masks: Sequence[pictures.Source]
    folder: Path
    size: tuple[int, int]  # height and width, px
    shots: list[int] = field(default_factory=list)  # index of the first frame of each, from 0
    count: int = 0  # frames, once `prepare` has read the clip
    broken: int = 0  # frames that could not be decoded

    @classmethod
    def of(
        cls,
        clip: Clip,
        styles: Sequence[pictures.Source],
        settings: Settings,
        folder: Path,
        *,
        gamma: float = GAMMA,
        masks: Sequence[pictures.Source] = (),
        style_masks: Sequence[pictures.Source] = (),
        even: bool = True,
    ) -> Film:
        """Check what can be checked before the clip is read. `even`: as `writing.is_even` of the output."""
        if not 0 <= gamma <= MOST_GAMMA:
            raise ValueError(f"gamma={gamma:g} is outside 0 to {MOST_GAMMA:g}; choose a number inside")
        if settings.original_size:
            raise ValueError("a film is as large as --size says; leave --original-size out")
        size = film_size(clip.shape, settings, even)
        settings = dataclasses.replace(settings, size=max(size))
        return cls(clip, styles, settings, gamma, masks, style_masks, folder, size)

    @cached_property
    def key(self) -> str:
        """SHA-256 of all that decides the frames: equal keys mean equal frames."""
        settings = {name: str(value) for name, value in vars(self.settings).items()}
        inputs = self._fingerprints()
        clip = [str(self.clip.rate), self.clip.start_s, self.clip.seconds]
        text = json.dumps([settings, inputs, clip, self.gamma, self.size])
        return hashlib.sha256(text.encode()).hexdigest()

    def prepare(self) -> Iterator[int]:
        """Find the shots, which reads the whole clip once: yields the number of frames read so far.

        What was painted by an earlier call with the same inputs and settings stays; of another film it is removed.
        """
        plan, key = self.folder / PLAN, self.key
        known = json.loads(plan.read_text()) if plan.exists() else {}
        if known.get("key") == key:
            self.shots, self.count, self.broken = known["shots"], known["count"], known["broken"]
            return
        self.remove()
        self.shots, self.count = [], 0
        for begins in first_frames(self.clip.frames(self.size)):
            if begins:
                self.shots.append(self.count)
            self.count += 1
            yield self.count
        self.broken = self.clip.broken
        self.folder.mkdir(parents=True, exist_ok=True)
        found = {"key": key, "shots": self.shots, "count": self.count, "broken": self.broken}
        encode.write(json.dumps(found).encode(), plan)

    def done(self) -> int:
        """How many frames are painted, without a gap from the first."""
        return next(number for number in range(self.count + 1) if not self._file(number).exists())

    def paint(self, memo: StyleCache | None = None) -> Iterator[Step | Degraded | Painted]:
        """Paint the frames that are missing, in order. Each `Painted` is in the folder when it is yielded.

        The steps of each shot's first frame come before it. Closing the iterator stops the work within one step.
        """
        number = self.done()
        before = self.before(number) if number < self.count else None
        frames = self.clip.since(number).frames(self.size)
        while number < self.count:
            end = next((first for first in self.shots if first > number), self.count)
            shot = islice(frames, end - number)
            given = {"before": before, "masks": self.masks, "style_masks": self.style_masks, "memo": memo}
            for event in paint_shot(shot, self.styles, self.settings, self.gamma, **given):
                if isinstance(event, Painted):
                    self.keep(number, event)
                    number += 1
                yield event
            if number < end:
                raise ValueError(f"the clip ends after {number} of {self.count} frames; was the file changed?")
            before = None

    def pictures(self) -> Iterator[Image.Image]:
        """The painted frames in order, up to the first that is missing (PIL RGB)."""
        for number in range(self.count):
            if not self._file(number).exists():
                return
            yield pictures.load(self._file(number), "painted frame")

    def write(self, path: Path) -> None:
        """Write what is painted as a film, with the sound as far as the pictures go."""
        if not (done := self.done()):
            raise ValueError("no frame is painted yet; nothing can be written")
        stopped_s = None if done == self.count else float(done / self.clip.rate)
        writing.write(path, self.pictures(), self.clip, self.text(), stopped_s)

    def text(self) -> str:
        """The recipe as JSON: the settings, and fingerprints of the clip and the styles."""
        inputs = self._fingerprints()
        film = {"gamma": self.gamma, "from": self.clip.start_s, "seconds": self.clip.seconds}
        film |= {"fps": str(self.clip.rate), "frames": self.count}
        return recipe.film_text(self.settings, inputs, film)

    def _fingerprints(self) -> dict[str, str]:
        """Of the clip and of all pictures, by name."""
        stand_in = Image.new("RGB", (LIMITS.smallest_side,) * 2)
        inputs = recipe.fingerprints(stand_in, self.styles, self.masks, style_masks=self.style_masks)
        del inputs["photo"]
        return {"clip": _identity(self.clip.path), **inputs}

    def remove(self) -> None:
        """Remove the folder, if it holds frames of a film and nothing else."""
        if not self.folder.exists():
            return
        foreign = [file.name for file in self.folder.iterdir() if file.name != PLAN and file.suffix != ".png"]
        if foreign or not (self.folder / PLAN).exists():
            raise ValueError(f"the folder {self.folder.name!r} holds other files; move it away, or name another output")
        shutil.rmtree(self.folder)

    def is_painted(self, number: int) -> bool:
        """Whether the frame of this index is in the folder."""
        return self._file(number).exists()

    def _file(self, number: int) -> Path:
        return self.folder / f"{number + 1:06d}.png"

    def _paint_file(self, number: int) -> Path:
        """The paint of a frame, as `Painted.kept_paint` has it."""
        return self.folder / f"{number + 1:06d}.paint.png"

    def keep(self, number: int, painted: Painted) -> None:
        """Write a frame, its paint first: a frame that exists is complete."""
        if paint := painted.kept_paint():
            encode.save(paint, self._paint_file(number))
        encode.save(painted.picture, self._file(number))

    def before(self, number: int) -> Painted | None:
        """The painted frame before this one, if both are of one shot."""
        if number in self.shots:
            return None
        frame = next(self.clip.since(number - 1).frames(self.size))
        picture, own = pictures.load(self._file(number - 1), "painted frame"), self._paint_file(number - 1)
        return Painted.restored(frame, picture, pictures.load(own, "painted frame") if own.exists() else None)


def seconds(film: Film, pace: float | None = None, watch: estimate.Watch = lambda: lambda: True) -> float | None:
    """Expected time of a film whose clip is one shot with little that is new, s; see `estimate.seconds`."""
    first = levels_of(film.clip.shape, film.settings)
    first_s = estimate.seconds(first, film.settings, pace=pace, watch=watch)
    if first_s is None:
        return None
    counts = FRAME_STEPS[film.settings.quality]
    size = first[-1].height, first[-1].width
    levels = plan(*size, counts, film.settings.steps or counts[-1] + 1, pyramid=False)
    later_s = estimate.seconds(levels, film.settings, pace=pace, watch=watch)
    shots, frames = max(1, len(film.shots)), film.count or film.clip.count
    return None if later_s is None else shots * first_s + (frames - shots) * later_s


def _identity(path: Path) -> str:
    """SHA-256 of a clip's file, or of its pictures' names and contents."""
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.name.encode() if path.is_dir() else b"")
            with file.open("rb") as content:
                while chunk := content.read(2**20):
                    digest.update(chunk)
    return digest.hexdigest()
