"""What is counted for a visitor: sliding windows, names, and the line for small work."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from nst.ui.server.visitors import Full, Line, Visitor, Windows


def test_the_window_slides_and_says_how_long_to_wait() -> None:
    now = SimpleNamespace(s=0.0)
    windows = Windows(lambda: now.s)
    waits = []
    for now.s in (0, 10, 20, 30, 59, 60, 61, 70, 200):
        waits.append(windows.wait_s({"session": 3}))
    assert waits == [0, 0, 0, 30, 1, 0, 9, 0, 0], "a refusal does not count as a start, nor one of a minute ago"


def test_every_name_of_a_visitor_must_agree_and_a_refusal_counts_for_none() -> None:
    windows = Windows(lambda: 0.0)
    for session in range(4):
        assert windows.wait_s({"address": 4, f"session {session}": 1}) == 0
    assert windows.wait_s({"address": 4, "session 9": 1}) == 60, "new sessions do not help"
    assert windows.wait_s({"elsewhere": 4, "session 9": 1}) == 0


def test_windows_forget_the_visitor_not_seen_for_longest() -> None:
    windows = Windows(lambda: 0.0, most_names=100)
    for number in range(5000):
        windows.wait_s({f"session {number}": 1})
    assert len(windows.amounts) == 100
    assert windows.wait_s({"session 4999": 1}) > 0


def test_windows_count_right_with_many_threads() -> None:
    windows, allowed = Windows(lambda: 0.0), []

    def ask() -> None:
        for _ in range(500):
            allowed.append(windows.wait_s({"session": 100}) == 0)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 100


def test_amounts_are_added_up_and_what_never_fits_waits_a_whole_window() -> None:
    now = SimpleNamespace(s=0.0)
    windows = Windows(lambda: now.s)
    waits = []
    for now.s, amount in ((0, 60), (10, 30), (20, 20), (20, 10), (60, 61), (60, 60), (61, 101)):
        waits.append(windows.wait_s({"MB": 100}, amount))
    assert waits == [0, 0, 40, 0, 10, 0, 60]
    windows.count(["MB"], 500)
    assert windows.wait_s({"MB": 100}) == 60, "what is known only afterwards counts as well"


def scope(*headers: tuple[bytes, bytes], host: str = "10.0.0.1") -> dict:
    return {"headers": list(headers), "client": (host, 1)}


def test_a_visitor_is_an_address_and_a_session_and_an_assistant_an_address_alone() -> None:
    given = Visitor.of(scope((b"X-Forwarded-For", b"1.2.3.4, 5.6.7.8")))
    assert given.address == "1.2.3.4"
    assert Visitor.of(scope()).address == "10.0.0.1"
    assert given.in_session("a").names("runs", 3, 4) == {"runs of address 1.2.3.4": 12, "runs of session a": 3}
    assistant = Visitor("1.2.3.4", assistant=True).in_session("shared by all")
    assert assistant.names("runs", 3, 4) == {"runs of address 1.2.3.4": 12}


def test_the_addresses_of_one_customer_are_one_visitor() -> None:
    one, same, other = (Visitor.of(scope(host=host)) for host in ("2001:db8::1", "2001:db8::ff", "2001:db8:0:1::1"))
    assert one == same != other
    assert len(Visitor.of(scope((b"x-forwarded-for", b"a" * 5000))).address) == 100


def test_a_line_lets_few_work_at_a_time_and_each_visitor_has_few_places() -> None:
    async def play() -> tuple[int, list[str]]:
        line, most, at_work, told = Line(2, 5, 10), 0, 0, []

        async def work(name: str) -> None:
            nonlocal most, at_work
            try:
                async with line.place({name: 3}):
                    at_work += 1
                    most = max(most, at_work)
                    await asyncio.sleep(0.01)
                    at_work -= 1
                    told.append(name)
            except Full:
                told.append(f"{name} refused")

        await asyncio.gather(*(work(name) for name in "aaaabbbb"))
        await asyncio.gather(*(work("a") for _ in range(3)))
        assert not line.present
        assert line.length == 0
        return most, told

    most, told = asyncio.run(play())
    assert most == 2
    assert told[:3] == ["a refused", "b refused", "b refused"], "three of a visitor, five of all"
    assert told[3:] == ["a", "a", "a", "b", "b", "a", "a", "a"]


def test_waiting_in_line_ends_and_frees_the_place() -> None:
    async def play() -> None:
        line = Line(1, 5, 0.02)
        async with line.place({"a": 3}):
            with pytest.raises(Full):
                async with line.place({"b": 3}):
                    raise AssertionError("nobody has left")
        assert line.length == 0
        with pytest.raises(RuntimeError):
            async with line.place({"b": 3}):
                raise RuntimeError("of the work")
        async with line.place({"b": 3}):
            assert line.length == 1
        assert not line.present

    asyncio.run(play())
