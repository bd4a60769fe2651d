"""A bounded cache keeps its promises, also when several threads use it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from nst.cache import BoundedCache

WAIT_S = 20


def test_values_used_longest_ago_are_forgotten() -> None:
    cache, made = BoundedCache(2), []
    for key in "abacab":
        assert cache.get(key, lambda key=key: made.append(key) or key * 2) == key * 2
    assert made == ["a", "b", "c", "b"]
    assert cache.size == 2


def test_bound_in_bytes_counts_sizes() -> None:
    cache, made = BoundedCache(100, len), []

    def get(key: str, size: int) -> bytes:
        return cache.get(key, lambda: made.append(key) or bytes(size))

    for key in "abacab":
        get(key, 40)
    assert made == ["a", "b", "c", "b"]
    assert cache.size == 80
    assert len(get("huge", 500)) == 500
    assert cache.size == 80, "what is too large alone drives nothing out"
    get("d", 90)
    assert cache.size == 90


def test_threads_that_ask_for_one_key_make_it_once() -> None:
    cache, made, together = BoundedCache(4), [], Barrier(8)

    def ask(_: int) -> object:
        together.wait(WAIT_S)
        return cache.get("key", lambda: made.append(Event().wait(0.1)) or object())

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert len(made) == len(found) == 1


def test_another_key_does_not_wait() -> None:
    cache, begun, may_end = BoundedCache(4), Event(), Event()

    def slow() -> str:
        begun.set()
        assert may_end.wait(WAIT_S)
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get, "one", slow)
        assert begun.wait(WAIT_S)
        assert cache.get("other", lambda: "quick") == "quick"
        assert not first.done()
        may_end.set()
        assert first.result(WAIT_S) == "slow"


def test_failure_is_raised_and_not_kept() -> None:
    cache = BoundedCache(4)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 / 0)
    assert cache.get("key", lambda: 7) == 7


def test_a_value_may_be_made_of_others() -> None:
    cache = BoundedCache(4)
    assert cache.get("sum", lambda: cache.get("one", lambda: 1) + cache.get("two", lambda: 2)) == 3
    assert cache.size == 3


def test_clear_forgets_all() -> None:
    cache = BoundedCache(4)
    cache.get("key", lambda: 1)
    cache.clear()
    assert cache.size == 0
    assert cache.get("key", lambda: 2) == 2
