"""What the server keeps for one visitor: the state of the visit, the picture on the page, and the earlier ones.

A run belongs to a visit by its number. What a run says that is not the newest one of its visit is dropped.
"""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from nst import Event, Step
from nst.images.pictures import Source
from nst.ui.stylise.picture import Picture, Run

MOST = 12  # pictures in the strip; a new one replaces the oldest

# What each event does in each state: a row per state, a column per event, "." where the event is ignored.
#
# nothing: no picture of this visitor yet. waiting: a run waits for the device. refused: gradio reported the end of a
# run before its turn came (the gate refused it); if its turn comes nevertheless, it begins. begun: it looks at the
# pictures. painting: its pictures are shown. stopping, dropping: Stop was pressed after, or before, its first picture.
# left: the page went away while it painted. finished, stopped, failed: how the newest run ended; a failed one leaves
# the picture before it. chosen: an earlier picture is shown again, from the strip or because Live was ended. live: the
# page shows a preview of Live, which is no result: the buttons for the visitor's picture are disabled.
#
# start: Stylise, Continue, Bigger. begin: the run's turn, with the photo as its first frame. frame: a picture of the
# run. done: it ended with a picture. fail: it ended without one. over: gradio reports the end of its call. leave: a
# closed tab, a reload, a broken connection. choose: a click in the strip.
# change: a control was changed while Live is on.
# Other events (colours, file format, the grid of options) change no state: they act on the picture on the page, and
# colours that are chosen during a run on the picture that it leaves.
TABLE = """
            start     begin     frame     stop      done      fail      over      leave     choose    change
nothing     waiting   .         .         .         .         .         .         .         .         live
waiting     waiting   begun     .         failed    .         failed    refused   failed    .         .
refused     waiting   begun     .         failed    .         failed    .         failed    chosen    live
begun       waiting   .         painting  dropping  finished  failed    .         failed    .         .
painting    waiting   .         painting  stopping  finished  failed    .         left      .         .
stopping    waiting   .         .         stopping  stopped   failed    .         left      .         .
dropping    waiting   .         .         dropping  .         failed    .         failed    .         .
left        waiting   .         .         .         stopped   failed    .         .         .         .
finished    waiting   .         .         .         .         .         .         .         chosen    live
stopped     waiting   .         .         .         .         .         .         .         chosen    live
failed      waiting   .         .         .         .         .         .         .         chosen    live
chosen      waiting   .         .         .         .         .         .         .         chosen    live
live        waiting   .         .         chosen    .         .         .         chosen    chosen    live
"""
RUNNING = frozenset({"waiting", "begun", "painting", "stopping", "dropping"})


@functools.cache
def transitions() -> Mapping[tuple[str, str], str]:
    """`TABLE` as a mapping: (state, event) -> the next state; pairs that are missing are ignored."""
    header, *rows = (line.split() for line in TABLE.strip().splitlines())
    return {
        (state, event): following
        for state, *cells in rows
        for event, following in zip(header, cells, strict=True)
        if following != "."
    }


@dataclass(frozen=True)
class Change:
    """What Live is asked to paint: the controls after a change."""

    values: tuple[Any, ...]  # of the parameters of `handlers.stylise`
    sent_ms: int  # by the browser's clock: two requests may arrive in the wrong order
    starts: int  # `Devices.starts` at that moment


@dataclass(frozen=True)
class Preview:
    """The picture that Live shows."""

    photo: Source
    styles: tuple[Source, ...]
    image: Image.Image  # as it was painted, before it was given the photo's colours


class Visit:
    """The pictures of one visitor and the state of the newest run. Safe with several threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.state = "nothing"
        self.number = 0  # of the newest run
        self.run: Run | None = None  # while it paints
        self.present: Picture | None = None  # the picture on the page, once it is the visitor's own
        self.strip: tuple[Picture, ...] = ()  # oldest first
        self.file_format = "png"
        self.colours: tuple[str, float] | None = None  # chosen while a run painted, for its picture
        self.said = ""  # the status line of the present state
        self.shown = True  # whether the page was told of the present state
        self.change: Change | None = None  # the newest, until the call of Live takes it
        self.changed_ms = 0  # when the newest change was sent
        self.preview: Preview | None = None  # in the state "live", once there is one
        self.live_call = 0  # number of the newest call of Live; older ones paint nothing
        self.live_begun = 0  # number of the newest one whose turn came
        self.live_at_work = False  # whether that call waits in gradio's queue, or paints
        self.live_paused = False  # whether the newest call gave way to a run
        self.key = secrets.token_urlsafe(16)  # by which a tab that was loaded again finds its visit

    def __deepcopy__(self, _: Any) -> Visit:
        return Visit()  # gradio copies the value of a State for each session

    @property
    def running(self) -> bool:
        return self.state in RUNNING

    def do(self, event: str, number: int | None = None) -> bool:
        """Change the state by an event of the table. False where it is ignored, as for runs that are not the newest."""
        with self.lock:
            following = transitions().get((self.state, event))
            if following is None or number not in (None, self.number):
                return False
            self.state, self.shown = following, False
            if following != "live":
                self.change = self.preview = None
            return True

    def start(self) -> int:
        """A run is asked for -> its number. An earlier one that still paints has no say any more."""
        with self.lock:
            self.do("start")
            self.number += 1
            self.run = self.colours = None
            return self.number

    def goes_on(self, number: int, run: Run, event: Event) -> bool:
        """Whether what the run has just said counts; not after Stop, and not when another took its place."""
        with self.lock:
            if number != self.number or self.state not in ("begun", "painting"):
                return False
            self.run = run
            if isinstance(event, Step) and event.preview is not None:
                self.do("frame", number)
            return True

    def keeps(self, number: int) -> bool:
        """Whether the picture of this run becomes the visitor's when the run ends now."""
        return number == self.number and (self.state, "done") in transitions()

    def end(self, number: int, picture: Picture | None, why: str = "") -> bool:
        """The run is over, with its picture or the reason why there is none -> whether the page is to be told."""
        if picture is not None and self.colours:
            picture = picture.recoloured(*self.colours)
        with self.lock:
            if picture is not None and self.do("done", number):
                self.present, self.said = picture, picture.status()
                self.strip = (*self.strip, picture)[-MOST:]
            elif self.do("fail", number):
                self.said = why or self._nothing_new("Stopped before the first picture.")
            else:
                return False
            self.run = self.colours = None
            return True

    def stop(self) -> bool:
        """Stop was pressed -> whether the run still waited, so that it is over at once."""
        with self.lock:
            waited = self.state in ("waiting", "refused")
            if not self.end_live():
                self.do("stop")
            if waited:
                self.said = self._nothing_new("Stopped before it began.")
            return waited

    def changes(self, change: Change) -> bool:
        """A control was changed while Live is on -> whether that counts; not during a run, and not if it is late."""
        with self.lock:
            if change.sent_ms <= self.changed_ms or not self.do("change"):
                return False
            self.change, self.changed_ms = change, change.sent_ms
            return True

    def call_live(self) -> int | None:
        """The number of a new call that paints the newest change; None where there is none, or a call to take it."""
        with self.lock:
            if self.change is None or self.live_at_work:
                return None
            self.live_at_work, self.live_paused = True, False
            self.live_call += 1
            return self.live_call

    def take_change(self, call: int) -> Change | None:
        """The newest change for a call of Live. None ends the call: it is an old one, or nothing was changed."""
        with self.lock:
            if call != self.live_call:
                return None
            self.live_begun = call
            change, self.change = self.change, None
            self.live_at_work = change is not None
            return change

    def live_goes_on(self, call: int) -> bool:
        """Whether a call of Live goes on with its change; not when there is a newer one, or the state is another."""
        return call == self.live_call and self.state == "live" and self.change is None

    def show_live(self, call: int, preview: Preview) -> bool:
        """Note the picture that Live is about to show -> whether it may."""
        with self.lock:
            if call == self.live_call and self.state == "live":
                self.preview = preview
            return self.preview is preview

    def pause_live(self, call: int, change: Change) -> None:
        """A call of Live gives way before it has painted its change, which the next call takes, or a newer one."""
        with self.lock:
            if call == self.live_call and self.state == "live":
                self.change, self.live_paused = self.change or change, True

    def live_is_over(self, call: int) -> None:
        """A call of Live has ended, or it never began."""
        with self.lock:
            if call == self.live_call:
                self.live_at_work = False

    def end_live(self) -> bool:
        """Show the visitor's picture again -> whether Live was on the page."""
        with self.lock:
            live = self.state == "live"
            if live:
                self.do("stop")
                self.said = self._nothing_new("Live is off.")
            return live

    def over(self) -> None:
        """gradio reports the end of the call of a run. Only one that had not begun, or was cut off, has not ended."""
        with self.lock:
            if self.do("over"):
                self.said = self._nothing_new("Not started.")
        self.come_back()

    def leave(self, number: int | None = None) -> None:
        """The page has gone away."""
        with self.lock:
            if self.do("leave", number) and self.state == "failed":
                self.said = self._nothing_new("The connection broke before the first picture.")

    def come_back(self) -> None:
        """The page is there again: what a run had painted when it went away becomes its result."""
        with self.lock:
            number, run = self.number, self.run if self.state == "left" else None
        if run is not None:  # its picture is made without the lock: the server's one event loop may wait for that
            self.end(number, run.picture())

    def choose(self, index: int) -> Picture:
        """Show a picture of the strip again; the newest has index 0. `ValueError` says why it cannot be shown."""
        with self.lock:
            if self.running:
                raise ValueError("a picture is being painted; stop it first, or wait until it is finished")
            if not 0 <= index < len(self.strip):
                raise ValueError("this picture is gone: its visit was closed for over a minute")
            picture = self.strip[len(self.strip) - 1 - index]
            picture.check()
            self.do("choose")
            self.present = picture
            return picture

    def recolour(self, method: str, amount: float) -> Picture | None:
        """The picture on the page in other colours. While a run paints, they are kept for its picture."""
        with self.lock:
            if self.running:
                self.colours = (method, amount)
            picture = None if self.running or self.shows_live else self.present
        changed = picture and picture.recoloured(method, amount)
        with self.lock:
            if self.present is not picture or self.running or self.shows_live:
                return None  # another took its place meanwhile
            self.present = changed
            return changed

    @property
    def shows_live(self) -> bool:
        """Whether the page shows a preview of Live in place of the visitor's picture."""
        return self.preview is not None

    def usable(self) -> Picture | None:
        """The picture on the page, unless there is none or it was dropped."""
        picture = self.present
        return None if picture is None or picture.packed is None else picture

    def pictures(self) -> tuple[Picture, ...]:
        present = self.present
        return self.strip if present is None or present in self.strip else (*self.strip, present)

    def forget(self) -> None:
        """Free all of it; the visitor is gone."""
        with self.lock:
            self.leave()
            for picture in self.pictures():
                picture.drop("its visit was closed")
            self.state, self.strip, self.present = "nothing", (), None
            self.run = self.change = self.preview = None

    @property
    def nbytes(self) -> int:
        """Memory of all pictures and of the run that paints."""
        run, preview, held = self.run, self.preview, {}
        for picture in self.pictures():
            held |= picture.buffers()
        held["live"] = preview.image.width * preview.image.height * 3 if preview else 0
        return sum(held.values()) + (run.nbytes if run else 0)

    def _nothing_new(self, why: str) -> str:
        return f"{why} Your last picture is still here." if self.usable() else why
