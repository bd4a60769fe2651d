"""How much a visitor may ask for: amounts in a sliding minute, and places in the line for small work."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from starlette.types import Scope

WINDOW_S = 60.0
MOST_NAMES = 30_000  # in memory; the one seen longest ago is forgotten first
LONGEST_NAME = 100  # characters of an address or a session
IPV6_PREFIX = 64  # bits of an IPv6 address that one customer of a provider has; the others are free to choose


@dataclass(frozen=True)
class Visitor:
    """The names that a visitor is counted by. Assistants have no session: all of one server share gradio's."""

    address: str
    session: str | None = None
    assistant: bool = False

    @classmethod
    def of(cls, scope: Scope) -> Visitor:
        """The address in `X-Forwarded-For`, else that of the connection."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        host, *_ = scope.get("client") or ("nowhere",)
        address = headers.get(b"x-forwarded-for", host.encode()).decode("latin1").split(",")[0].strip()
        return cls(_network(address))

    def in_session(self, session: str | None) -> Visitor:
        return self if self.assistant else replace(self, session=session)

    def names(self, what: str, most: int, address_factor: int) -> dict[str, int]:
        """Names -> the most of `what` for each. An address may have more than a session: an office shares one."""
        names = {f"{what} of address {self.address}": most * address_factor}
        if self.session is not None:
            names[f"{what} of session {self.session:.{LONGEST_NAME}}"] = most
        return names


def _network(address: str) -> str:
    """The address, of bounded length; of an IPv6 address the network of its customer."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:LONGEST_NAME]
    return str(ipaddress.ip_network((known, IPV6_PREFIX), strict=False)) if known.version == 6 else str(known)


class Windows:
    """Amounts of the last minute, by name, in bounded memory. Safe with several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_names: int = MOST_NAMES) -> None:
        self.clock, self.most_names = clock, most_names
        self.lock = threading.Lock()
        self.amounts: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def wait_s(self, allowed: Mapping[str, int], amount: int = 1) -> float:
        """Count the amount and return 0, or return the seconds that the visitor must wait and count nothing.

        `allowed` holds the most per minute for each name; the amount must be within all of them. What is over a limit
        by itself never fits: the wait is a whole window.
        """
        with self.lock:
            now = self.clock()
            wait_s = max((self._wait_s(name, most - amount, now) for name, most in allowed.items()), default=0.0)
            if wait_s == 0:
                self._count(allowed, amount, now)
            return wait_s

    def count(self, names: Iterable[str], amount: int) -> None:
        """Count what is known only afterwards, also when it is over a limit."""
        with self.lock:
            self._count(names, amount, self.clock())

    def _count(self, names: Iterable[str], amount: int, now: float) -> None:
        for name in names:
            self.amounts.setdefault(name, deque()).append((now, amount))
            self.amounts.move_to_end(name)
        while len(self.amounts) > self.most_names:
            self.amounts.popitem(last=False)

    def _wait_s(self, name: str, room: int, now: float) -> float:
        """Seconds until the amounts of the name come to `room` at most."""
        counted = self.amounts.get(name, deque())
        while counted and counted[0][0] <= now - WINDOW_S:
            counted.popleft()
        if room < 0:
            return WINDOW_S
        total, wait_s = sum(amount for _, amount in counted), 0.0
        for when, amount in counted:
            if total <= room:
                break
            total, wait_s = total - amount, when + WINDOW_S - now
        return wait_s


class Full(Exception):  # noqa: N818, a full line is no error
    """The line has no place left, or the wait was too long."""


class Line:
    """A line for a few places at work, of bounded length and with few places for each visitor. For one event loop."""

    def __init__(self, at_work: int, most: int, most_s: float) -> None:
        self.free, self.most, self.most_s = asyncio.Semaphore(at_work), most, most_s
        self.present: Counter[str] = Counter()  # waiting or at work, by name
        self.length = 0

    @contextlib.asynccontextmanager
    async def place(self, allowed: Mapping[str, int]) -> AsyncIterator[None]:
        """Wait for a place, and have it while the context is open. `Full` says that the visitor should come later."""
        if self.length >= self.most or any(self.present[name] >= most for name, most in allowed.items()):
            raise Full
        self.length += 1
        self.present.update(list(allowed))
        try:
            await self._wait()
            try:
                yield
            finally:
                self.free.release()
        finally:
            self.length -= 1
            self.present.subtract(list(allowed))
            self.present += Counter()  # forgets names whose count is 0

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self.free.acquire(), self.most_s)
        except asyncio.TimeoutError:
            raise Full from None
