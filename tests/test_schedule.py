import itertools

import pytest

from nst.job import levels_at
from nst.schedule import COARSEST_LONGER_PX, COARSEST_SHORTER_PX, Level, plan
from nst.settings import Settings

COUNTS = (40, 30, 20)
SIDES = (16, 31, 32, 63, 64, 65, 90, 127, 179, 180, 181, 255, 384, 511, 720, 1023, 1537, 2048)
SIZES = list(itertools.product(SIDES, SIDES))


def sizes(levels: tuple[Level, ...]) -> list[tuple[int, int]]:
    return [(level.height, level.width) for level in levels]


def test_default_size_has_three_levels() -> None:
    assert plan(384, 288, COUNTS) == (Level(1, 96, 72, 40), Level(2, 192, 144, 30), Level(3, 384, 288, 20))


@pytest.mark.parametrize("longer", [128, 256, 384, 512, 1024, 2048])
def test_each_level_is_half_the_next_and_the_last_is_the_result(longer: int) -> None:
    for size in ((longer, longer * 3 // 4), (longer * 2 // 3, longer)):
        found = sizes(plan(*size, COUNTS))
        assert found[-1] == size
        for (h, w), (next_h, next_w) in itertools.pairwise(found):
            assert (h, w) == (-(-next_h // 2), -(-next_w // 2))


def test_coarsest_level_is_as_small_as_the_limits_allow() -> None:
    for height, width in SIZES:
        levels = plan(height, width, COUNTS)
        first = levels[0]
        if len(levels) > 1:
            assert max(first.height, first.width) >= COARSEST_LONGER_PX
            assert min(first.height, first.width) >= COARSEST_SHORTER_PX
        halved = -(-first.height // 2), -(-first.width // 2)
        assert max(halved) < COARSEST_LONGER_PX or min(halved) < COARSEST_SHORTER_PX


def test_levels_are_numbered_from_one_and_never_empty() -> None:
    for height, width in SIZES:
        levels = plan(height, width, COUNTS)
        assert [level.number for level in levels] == list(range(1, len(levels) + 1))
        assert all(level.steps > 0 and level.height > 0 and level.width > 0 for level in levels)
        assert all(level.work > 0 for level in levels)


def test_every_level_keeps_the_shape_within_a_pixel() -> None:
    for height, width in SIZES:
        levels = plan(height, width, COUNTS)
        for level in levels:
            scale = 2.0 ** (len(levels) - level.number)
            assert 0 <= level.height - height / scale < 1
            assert 0 <= level.width - width / scale < 1


def test_step_counts_are_first_middle_last() -> None:
    assert [level.steps for level in plan(768, 700, COUNTS)] == [40, 30, 30, 20]
    assert [level.steps for level in plan(200, 200, COUNTS)] == [40, 20]


def test_one_level_takes_all_steps() -> None:
    assert plan(128, 96, COUNTS) == (Level(1, 128, 96, 90),)


def test_steps_override_the_last_level_only() -> None:
    assert [level.steps for level in plan(384, 288, COUNTS, steps=7)] == [40, 30, 7]
    assert [level.steps for level in plan(100, 80, COUNTS, steps=7)] == [7]


@pytest.mark.parametrize("steps", [1, 13, 10_000])
def test_without_pyramid_exactly_so_many_steps_at_the_final_size(steps: int) -> None:
    for height, width in SIZES:
        assert plan(height, width, COUNTS, steps=steps, pyramid=False) == (Level(1, height, width, steps),)


def test_without_pyramid_and_steps_all_counts_are_taken() -> None:
    assert plan(384, 288, COUNTS, pyramid=False) == (Level(1, 384, 288, 90),)


@pytest.mark.parametrize("size", [(16, 2048), (2048, 16), (63, 2048)])
def test_thin_picture_is_not_made_thinner(size: tuple[int, int]) -> None:
    assert min(sizes(plan(*size, COUNTS))[0]) >= min(COARSEST_SHORTER_PX, *size)


def test_large_levels_take_half_the_steps_but_not_too_few() -> None:
    assert [level.steps for level in plan(1536, 2048, COUNTS)] == [40, 30, 30, 15, 10]
    assert [level.steps for level in plan(1024, 1024, (20, 15, 8))] == [20, 15, 15, 8]
    assert [level.steps for level in plan(1536, 1024, (5, 4, 3))] == [5, 4, 4, 4, 3]
    assert [level.steps for level in plan(2048, 2048, COUNTS, steps=50)] == [40, 30, 30, 15, 50]
    assert [level.steps for level in plan(2048, 2048, COUNTS, pyramid=False)] == [90]


@pytest.mark.parametrize(
    ("init", "counts"),
    [
        ("content", [20, 15, 15, 20]),
        ("coloured", [20, 15, 15, 20]),
        ("noise", [40, 30, 30, 20]),
        ("style", [40, 30, 30, 20]),
    ],
)
def test_only_a_run_from_the_photo_takes_few_steps_on_smaller_levels(init: str, counts: list[int]) -> None:
    assert [level.steps for level in levels_at(768, 576, Settings(init=init))] == counts
    assert [level.steps for level in levels_at(128, 96, Settings(init=init))] == [90]
    assert [level.steps for level in levels_at(384, 288, Settings(init=init, quality="sketch"))] == [6, 2, 3]


def test_a_large_level_takes_half_its_steps_or_the_most_from_the_photo() -> None:
    assert [level.steps for level in levels_at(1536, 2048, Settings())] == [20, 15, 15, 15, 10]
    assert [level.steps for level in levels_at(1536, 2048, Settings(quality="draft"))] == [20, 15, 15, 8, 8]
    assert [level.steps for level in levels_at(2048, 2048, Settings(steps=50))] == [20, 15, 15, 15, 50]
