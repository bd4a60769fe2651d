"""All visits of this process: their budget of memory, and what becomes of a visit whose tab was closed."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

from nst.ui.server.limits import page_limits
from nst.ui.stylise.visit import Visit

GRACE_S = 50.0  # that the pictures of a closed tab are kept, for a reload or a broken connection
SWEEP_EVERY_S = 5.0


class Visits:
    """The visits by the key that their tab keeps, and by the session that it has now. Safe with several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.all: WeakSet[Visit] = WeakSet()
        self.open: dict[str, Visit] = {}  # session -> visit
        self.closed: dict[str, tuple[float, Visit | None]] = {}  # session that was closed -> when, and its visit

    def welcome(self, visit: Visit, session: str) -> None:
        """A page was opened."""
        with self.lock:
            self.all.add(visit)
            self.open[session] = visit

    def find(self, key: str, session: str, loaded_again: bool) -> Visit | None:
        """The visit that the tab of this key had before; None when it is forgotten, or belongs to another tab.

        A tab that says it was loaded again gets its visit even if the end of its old connection was not noticed yet.
        """
        with self.lock:
            closed = {visit.key: (old, since, visit) for old, (since, visit) in self.closed.items() if visit}
            opened = {visit.key: (old, self.clock(), visit) for old, visit in self.open.items() if loaded_again}
            old, since, visit = (opened | closed).get(key, ("", 0.0, None))
            if visit is not None:
                self.open.pop(old, None)
                self.closed[old] = (since, None)  # gradio's session is swept, the visit is not
                self.welcome(visit, session)
            return visit

    def is_open(self, key: str) -> bool:
        """Whether another tab has the visit of this key, as when a tab was duplicated."""
        with self.lock:
            return any(visit.key == key for visit in self.open.values())

    def close(self, session: str) -> None:
        """A tab was closed, or its connection broke."""
        with self.lock:
            visit = self.open.pop(session, None)
            if visit is not None:
                self.closed[session] = (self.clock(), visit)

    def sweep(self) -> list[str]:
        """Forget the visits that were closed for `GRACE_S`, and pictures that are old -> the sessions that are over."""
        with self.lock:
            now, keep_s = self.clock(), page_limits().keep_s
            due = [session for session, (since, _) in self.closed.items() if now - since >= GRACE_S]
            over = [visit for session in due if (visit := self.closed.pop(session)[1])]
            old = [picture for visit in self.all for picture in visit.pictures() if now - picture.made_s >= keep_s]
        for visit in over:
            visit.forget()
        for picture in old:
            picture.drop(f"pictures are kept for {keep_s // 60} minutes")
        return due

    def make_room(self, visit: Visit) -> None:
        """A visit has a new picture: drop the oldest pictures of all visits until they are within the budget."""
        with self.lock:
            self.all.add(visit)
            most = page_limits().keep_mb * 1_000_000
            why = f"the server keeps {page_limits().keep_mb} MB of pictures for all visitors, and there are newer ones"
            sizes = {each: each.nbytes for each in self.all}
            kept = [(picture.made_s, each, picture) for each in sizes for picture in each.pictures() if picture.packed]
            for _, owner, picture in sorted(kept, key=lambda item: item[0]):
                if sum(sizes.values()) <= most:
                    return
                picture.drop(why)
                sizes[owner] = owner.nbytes

    @property
    def nbytes(self) -> int:
        with self.lock:
            return sum(visit.nbytes for visit in self.all)


@functools.cache
def visits() -> Visits:
    """Those of this process."""
    return Visits()


def sweep_always(forgotten: Callable[[str], None]) -> None:
    """Sweep from now on, in a thread of its own; `forgotten` is called with each session that is over."""

    def work() -> None:
        while True:
            time.sleep(SWEEP_EVERY_S)
            for session in visits().sweep():
                forgotten(session)

    threading.Thread(target=work, name="sweep-visits", daemon=True).start()
