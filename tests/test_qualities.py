"""The work of the four qualities; that more of it reaches a lower cost is tested in test_whole_runs.py."""

from itertools import pairwise

import pytest

from nst.estimate import EXTRA_STEPS
from nst.schedule import plan
from nst.settings import CHOICES, QUALITIES


def work_of(quality: str, height: int, width: int) -> float:
    """The work of a run, with what its levels take besides steps."""
    levels = plan(height, width, QUALITIES[quality])
    return sum(level.work * (1 + EXTRA_STEPS / level.steps) for level in levels)


@pytest.mark.parametrize("shape", [(384, 384), (384, 256), (202, 384)])
def test_a_sketch_takes_a_sixth_of_the_usual_work(shape: tuple[int, int]) -> None:
    assert work_of("sketch", *shape) <= work_of("balanced", *shape) / 6


@pytest.mark.parametrize("longer", [32, 64, 128, 384, 1024, 4096])
def test_each_quality_takes_more_work_than_the_one_before_it(longer: int) -> None:
    found = [work_of(quality, longer, longer * 3 // 4) for quality in CHOICES["quality"]]
    assert all(less < more for less, more in pairwise(found))
