"""The flow is held to motion that is known, and trusted only where it is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nst.bench.film import FOLLOWED, followed
from nst.bench.scenes import HEIGHT, WIDTH, scenes
from nst.film.flow import agrees, first_frames, inside, motion, sampled, smooth
from nst.images import pictures


@pytest.fixture(scope="module")
def pairs() -> dict:
    """Clip -> two frames, and the true flow with where it counts."""
    return {name: (scene.frame(0), scene.frame(1), scene.motion(1)) for name, scene in scenes().items()}


@pytest.mark.parametrize(("name", "most_px"), [("pan", 0.1), ("zoom", 0.1), ("walk", 0.15), ("still", 0.15)])
def test_flow_is_the_true_motion(name: str, most_px: float, pairs) -> None:
    earlier, later, (flow, counts) = pairs[name]
    errors = (motion(earlier, later).flow - flow).norm(dim=1, keepdim=True)
    assert float((errors * counts).sum() / counts.sum()) < most_px


def test_the_true_motion_explains_the_frames(pairs) -> None:
    """Of the clips themselves: a wrong oracle would let wrong flow pass."""
    for name, most in {"pan": 2.0, "zoom": 1.5, "walk": 0.5, "pillar": 0.5}.items():
        earlier, later, _ = pairs[name]
        assert scenes()[name].error(1, earlier, later) < most, name


def test_what_was_hidden_is_not_trusted(pairs) -> None:
    """Where the earlier frame does not show it, the lesser part is trusted; elsewhere nearly all is."""
    earlier, later, (flow, counts) = pairs["pillar"]
    moves = motion(earlier, later)
    assert float((moves.trust * counts).sum() / counts.sum()) > 0.95
    x, y = flow.unbind(1)
    moved_far = ((x.abs() + y.abs()) > 5).unsqueeze(1)
    hidden = (counts == 0) & ~moved_far
    reach = torch.nn.functional.avg_pool2d(hidden.float(), 9, 1, 4) > 0.99  # inside of it, not at its edges
    assert reach.any()
    assert float(moves.trust[reach].mean()) < 0.5


def test_noise_hides_nothing(pairs) -> None:
    earlier, later, _ = pairs["still"]
    assert float(motion(earlier, later).seen.mean()) > 0.99


def test_sampling_moves_by_whole_and_half_pixels() -> None:
    picture = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    flow = torch.zeros(1, 2, 12, 16)
    flow[:, 0] = 2
    assert torch.allclose(sampled(picture, flow, "bilinear")[..., :-2], picture[..., 2:], atol=1e-5)
    flow[:, 0], flow[:, 1] = 0, 0.5
    mean = (picture[..., :-1, :] + picture[..., 1:, :]) / 2
    assert torch.allclose(sampled(picture, flow, "bilinear")[..., :-1, :], mean, atol=1e-5)
    flow[:, 1] = 1
    assert inside(flow)[0, 0].sum() == 11 * 16


def test_the_two_conditions_of_trust() -> None:
    """Sundaram et al. 2010, eq. 5 and 6, on flows that can be checked by hand."""
    back, forth = torch.zeros(1, 2, 9, 9), torch.zeros(1, 2, 9, 9)
    back[:, 0], forth[:, 0] = 10, -10
    assert agrees(back, forth)[..., :-1].any()
    forth[:, 0] = -9.3  # 0.7**2 = 0.49 < 0.01 * (100 + 86.5) + 0.5
    assert agrees(back, forth).all()
    forth[:, 0] = -8.0  # 2**2 > 0.01 * (100 + 64) + 0.5
    assert not agrees(back, forth).any()
    back[..., 5:] = 0
    assert smooth(back)[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]


def test_cuts_are_found_and_motion_is_none(pairs) -> None:
    clips = scenes()
    for name, scene in clips.items():
        assert sum(first_frames(scene.frame(t) for t in (0, 1, 2))) == 1, name
    frames = [clips["pan"].frame(0), clips["pan"].frame(1), clips["zoom"].frame(0), clips["zoom"].frame(1)]
    assert list(first_frames(frames)) == [True, False, True, False]


def test_a_flash_and_a_fast_pan_are_no_cuts(photo: Image.Image) -> None:
    wide = pictures.scaled(photo, (HEIGHT, 2 * WIDTH))
    fast = [wide.crop((40 * t, 0, 40 * t + WIDTH, HEIGHT)) for t in range(3)]
    bright = Image.fromarray((np.asarray(fast[2], np.float32) * 0.5 + 127).astype(np.uint8))
    assert list(first_frames([*fast, bright, fast[2]])) == [True, False, False, False, False]


@pytest.mark.parametrize("name", ["pan", "walk", "still"])  # in the other clips the thing grows, or is hidden
def test_crops_follow_a_thing(name: str) -> None:
    scene = scenes()[name]
    boxes = followed(scene, *FOLLOWED[name])
    first, last = (np.asarray(scene.frame(t).crop(boxes[t]), dtype=float) for t in (0, 10))
    assert abs(first - last).mean() < 12, "half a pixel, and noise"
    assert (boxes[0] == boxes[10]) == (name == "still")
