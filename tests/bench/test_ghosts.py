"""The number for ghosts: 1 where the style's window is in the other picture, wherever and however strong."""

from __future__ import annotations

import pytest
import torch

from nst.bench.ghosts import WINDOWS, best_match


def test_a_window_is_found_where_it_stands_and_nowhere_else() -> None:
    a = torch.randn(1, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    window = (0.25, 0.25, 0.5, 0.5)  # rows 3 to 5, columns 4 to 7
    mean = a.mean((2, 3), keepdim=True)
    other = torch.randn(1, 8, 9, 9, generator=torch.Generator().manual_seed(1))
    assert best_match(a, window, a) == pytest.approx(1, abs=1e-5)
    assert best_match(a, window, other) < 0.5
    other[..., 5:8, 2:6] = mean + 3 * (a - mean)[..., 3:6, 4:8]
    assert best_match(a, window, other) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_have_some_positions(name: str) -> None:
    left, top, right, bottom = WINDOWS[name][1]
    assert 0 <= left < right - 0.2 <= 0.8
    assert 0 <= top < bottom - 0.2 <= 0.8
