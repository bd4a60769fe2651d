"""A film on several workers: shots are independent, so each is painted by one worker at a time, a segment at once."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from nst.batch.driver import Assignment, keep_busy
from nst.batch.workers import Worker
from nst.events import Degraded
from nst.features.weights import WeightsError
from nst.film.film import Film
from nst.film.painting import Painted, paint_shot
from nst.images import encode, pictures
from nst.memory import OutOfMemoryError
from nst.objective.targets import kept_styles
from nst.settings import Settings

FRAMES = 8  # of a segment: few, because a worker reports a segment when it is done


@dataclass(frozen=True)
class Segment:
    """The input of a worker: some frames of a shot. Pictures are PNG files: a worker may be on another machine."""

    number: int  # index of the first frame
    frames: tuple[bytes, ...]
    before: Kept | None  # the frame before them, if that is of the same shot
    styles: tuple[bytes, ...]
    masks: tuple[bytes, ...]
    style_masks: tuple[bytes, ...]
    settings: Settings
    gamma: float

    @property
    def key(self) -> str:
        """Names the segment within its film."""
        return str(self.number)

    def work(self, device: str = "auto") -> Strip:
        """Paint the frames. Errors are returned, not raised."""
        settings = self.settings
        if settings.device == "auto":
            settings = dataclasses.replace(settings, device=device)
        frames = map(pictures.load, self.frames)
        given = {"before": self.before and self.before.painted(), "masks": self.masks, "memo": kept_styles()}
        given["style_masks"] = self.style_masks
        try:
            events = list(paint_shot(frames, self.styles, settings, self.gamma, **given))
        except (ValueError, WeightsError, OutOfMemoryError) as error:
            return Strip(error=str(error))
        painted = [event for event in events if isinstance(event, Painted)]
        notes = tuple(event.reason for event in events if isinstance(event, Degraded))
        return Strip(tuple(map(Kept.of, painted)), notes)


@dataclass(frozen=True)
class Kept:
    """A painted frame as PNG files: the clip's frame, the picture, and `Painted.kept_paint`."""

    frame: bytes
    picture: bytes
    paint: bytes | None

    @classmethod
    def of(cls, painted: Painted) -> Kept:
        paint = painted.kept_paint()
        return cls(*map(encode.encode, (painted.frame, painted.picture)), paint and encode.encode(paint))

    def painted(self) -> Painted:
        files = (self.frame, self.picture, self.paint)
        return Painted.restored(*(file and pictures.load(file, "painted frame") for file in files))


@dataclass(frozen=True)
class Strip:
    """The output of a worker: the painted frames, or the error."""

    frames: tuple[Kept, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None


class _Todo:
    """The segments that are left. The next one of a shot exists once the one before it is painted."""

    def __init__(self, film: Film) -> None:
        self.film = film
        ends = [*film.shots[1:], film.count]
        missing = ((_first_missing(film, begin, end), begin, end) for begin, end in zip(film.shots, ends, strict=True))
        self.open = deque(shot for shot in missing if shot[0] < shot[2])  # (next frame, begin and end of its shot)
        self.handed_out: dict[str, tuple[int, int, int]] = {}
        self.lost: deque[Assignment] = deque()
        self.styles = tuple(encode.encode(pictures.load(style)) for style in film.styles)
        self.masks, self.style_masks = (
            tuple(encode.encode(pictures.to_mask(mask).convert("RGB")) for mask in masks)
            for masks in (film.masks, film.style_masks)
        )

    def next(self) -> Generator[Painted, None, Assignment | None]:
        """The next assignment, or None while all shots are with workers. It reports nothing."""
        yield from ()
        if self.lost:
            return self.lost.popleft()
        if not self.open:
            return None
        number, _, end = shot = self.open.popleft()
        film = self.film
        frames = islice(film.clip.since(number).frames(film.size), min(FRAMES, end - number))
        before = film.before(number)
        given = (
            tuple(map(encode.encode, frames)),
            before and Kept.of(before),
            self.styles,
            self.masks,
            self.style_masks,
            film.settings,
            film.gamma,
        )
        task = Segment(number, *given)
        self.handed_out[task.key] = shot
        return Assignment(task, {})

    def put_back(self, assignment: Assignment) -> Iterable[Painted]:
        """Hand out the assignment once more, because its worker died."""
        self.lost.append(assignment)
        return ()

    def settle(self, assignment: Assignment, outcome: Strip) -> Iterator[Painted | Degraded]:
        """Keep the frames of a segment, report them, and open the next segment of its shot. Raises its error."""
        segment: Segment = assignment.task
        _, begin, end = self.handed_out.pop(segment.key)
        if outcome.error:
            raise ValueError(f"frame {segment.number + 1}: {outcome.error}")
        yield from map(Degraded, outcome.notes)
        number = segment.number
        for kept in outcome.frames:
            painted = kept.painted()
            self.film.keep(number, painted)
            number += 1
            yield painted
        if number < end:
            self.open.append((number, begin, end))


def paint_on(film: Film, workers: Sequence[Worker]) -> Iterator[Painted | Degraded]:
    """Paint what is missing of a prepared film on these workers: a `Painted` per frame, in no order between shots.

    Closing the iterator stops the workers. `NoWorkersError` when none of them stays alive.
    """
    todo = _Todo(film)
    try:
        assignment = yield from todo.next()
        if assignment:
            yield from keep_busy(todo, assignment, workers)
    finally:
        for worker in workers:
            worker.stop()


def _first_missing(film: Film, begin: int, end: int) -> int:
    return next((number for number in range(begin, end) if not film.is_painted(number)), end)
