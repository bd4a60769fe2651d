"""Coarse-to-fine levels: large strokes are decided on small pictures, fine ones on large (Gatys et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

COARSEST_LONGER_PX = 90  # smaller pictures have too few positions at relu5_1 for a motif
COARSEST_SHORTER_PX = 32
# A level with a longer side above this takes half of its steps. More steps turn large strokes into fine ones, so that a
# print looks weaker than its small version. Compared at 2048 px: half the time, and swirls as bold as at 384 px.
HALF_STEPS_ABOVE_PX = 768
FEWEST_HALVED_STEPS = 8
STEP_OVERHEAD_PX = 3000  # fixed time of a step, as the number of pixels that take as long (measured on two CPU cores)


@dataclass(frozen=True)
class Level:
    """One size of the pyramid and the optimiser steps taken there."""

    number: int  # from 1, coarse to fine
    height: int  # px
    width: int  # px
    steps: int

    @property
    def work(self) -> int:
        """(pixels + `STEP_OVERHEAD_PX`) x steps: about proportional to the time of the level."""
        return (self.height * self.width + STEP_OVERHEAD_PX) * self.steps


def plan(
    height: int,
    width: int,
    step_counts: tuple[int, int, int],
    steps: int | None = None,
    pyramid: bool = True,
    most: tuple[int, int] | None = None,
) -> tuple[Level, ...]:
    """Levels for a result of height x width px, each half the size of the next.

    `step_counts` are for the coarsest, each middle and the last level; levels above `HALF_STEPS_ABOVE_PX` take half.
    `most` limits those of the coarsest and each middle level. `steps` replaces the last level's count. Without
    `pyramid`, or for a small picture, there is one level, with `steps` or the sum of the three.
    """
    first, middle, last = step_counts
    sizes = [(height, width)]
    while pyramid and _still_large(halved := (_half(sizes[0][0]), _half(sizes[0][1]))):
        sizes.insert(0, halved)
    counts = [first + middle + last]
    if len(sizes) > 1:
        wanted = [first, *[middle] * (len(sizes) - 2), last]
        counts = [_halved_if_large(count, max(size)) for count, size in zip(wanted, sizes, strict=True)]
        if most:
            counts[0] = min(counts[0], most[0])
            counts[1:-1] = [min(count, most[1]) for count in counts[1:-1]]
    if steps is not None:
        counts[-1] = steps
    return tuple(Level(i, *size, count) for i, (size, count) in enumerate(zip(sizes, counts, strict=True), start=1))


def _halved_if_large(count: int, longer_px: int) -> int:
    return max(min(count, FEWEST_HALVED_STEPS), count // 2) if longer_px > HALF_STEPS_ABOVE_PX else count


def _half(side: int) -> int:
    return (side + 1) // 2


def _still_large(size: tuple[int, int]) -> bool:
    return max(size) >= COARSEST_LONGER_PX and min(size) >= COARSEST_SHORTER_PX
