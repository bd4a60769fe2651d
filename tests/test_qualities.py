"""The work of the four qualities; that more of it reaches a lower cost is tested in test_whole_runs.py."""

from itertools import pairwise

import pytest

from nst.estimate import EXTRA_STEPS
from nst.job import levels_at
from nst.schedule import Level, plan
from nst.settings import CHOICES, QUALITIES, Settings

FULL = QUALITIES["balanced"]  # steps of a run that starts from noise; once those of a default run


def levels(quality: str, height: int, width: int) -> tuple[Level, ...]:
    return levels_at(height, width, Settings(quality=quality))


def work(levels: tuple[Level, ...]) -> float:
    """The work of a run, with what its levels take besides steps."""
    return sum(level.work * (1 + EXTRA_STEPS / level.steps) for level in levels)


@pytest.mark.parametrize("shape", [(384, 384), (384, 256), (202, 384)])
def test_a_sketch_takes_a_sixth_of_all_steps_and_a_default_run_five_sixths(shape: tuple[int, int]) -> None:
    all_steps = work(plan(*shape, FULL))
    assert work(levels("sketch", *shape)) <= all_steps / 6
    assert work(levels("balanced", *shape)) <= all_steps * 5 / 6


@pytest.mark.parametrize("longer", [32, 64, 128, 384, 1024, 4096])
def test_each_quality_takes_more_work_than_the_one_before_it(longer: int) -> None:
    found = [work(levels(quality, longer, longer * 3 // 4)) for quality in CHOICES["quality"]]
    assert all(less < more for less, more in pairwise(found))
