"""The table of markers fits the files, and in CI a slow test without a marker fails."""

from __future__ import annotations

import itertools
import time
from fnmatch import fnmatch
from types import SimpleNamespace

import pytest

from tests import conftest


def test_every_entry_of_the_table_fits_a_file() -> None:
    files = [path.relative_to(conftest.FOLDER).as_posix() for path in conftest.FOLDER.rglob("*.py")]
    assert [pattern for pattern in conftest.MARKERS if not any(fnmatch(file, pattern) for file in files)] == []


def outcome_of(file: str, ci: str, slower: float = 0.5) -> object:
    """The outcome of a test in this file that computes for 5 s on a core this much slower: "done", or it fails."""
    clock = itertools.count(10.0, 5.0)
    with pytest.MonkeyPatch.context() as patched:  # the test that asks is measured, too
        patched.setenv("CI", ci)
        patched.setattr(time, "process_time", lambda: next(clock))
        patched.setattr(conftest, "_reference_s", lambda: slower * conftest.REFERENCE_S)
        run = conftest.pytest_runtest_call(SimpleNamespace(path=conftest.FOLDER / file))
        next(run)
        try:
            run.send("done")
        except StopIteration as end:
            return end.value


def test_a_test_that_computes_for_long_fails_in_ci_unless_its_file_is_called_slow() -> None:
    assert outcome_of("test_quick.py", ci="") == "done"
    assert outcome_of("test_whole_runs.py", ci="true") == "done"
    with pytest.raises(pytest.fail.Exception, match=r"computed for 5\.0 s, over the limit of 2 s.* MARKERS"):
        outcome_of("test_quick.py", ci="true")
    with pytest.raises(pytest.fail.Exception, match=r"computed for 4\.2 s"):
        outcome_of("test_quick.py", ci="true", slower=1.2)
    assert outcome_of("test_quick.py", ci="true", slower=1.3) == "done"
