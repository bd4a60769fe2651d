from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nst.images import pictures
from nst.images.colour import luminance
from nst.settings import LIMITS
from tests.images.files import flat, saved, truncated_png


def test_smallest_picture_is_accepted() -> None:
    assert pictures.load(Image.new("RGB", (16, 16))).size == (16, 16)


def test_loading_leaves_the_caller_s_picture_as_it_was() -> None:
    picture = flat("RGBA", (200, 100, 0, 51))
    before = picture.tobytes()
    pictures.load(picture)
    assert (picture.mode, picture.tobytes()) == ("RGBA", before)


def test_tensor_and_picture_round_trip_is_exact_for_every_value() -> None:
    values = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 9)], -1).reshape(16, 16, 3)
    picture = Image.fromarray(values.astype(np.uint8))
    tensor = pictures.to_tensor(picture)
    assert (tensor.shape, tensor.dtype) == ((1, 3, 16, 16), torch.float32)
    assert torch.equal(tensor[0, :, 2, 3], torch.from_numpy(values[2, 3]) / 255)
    assert pictures.to_picture(tensor).tobytes() == picture.tobytes()


def test_to_picture_rounds_and_clamps() -> None:
    image = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 254.6 / 255, 7.0]).view(1, 1, 1, 5).expand(1, 3, 2, 5)
    assert np.asarray(pictures.to_picture(image))[0, :, 0].tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("size", [(17, 90), (48, 32), (200, 300)], ids=str)
def test_resize_stays_in_range_although_bicubic_overshoots(size: tuple[int, int]) -> None:
    stripes = (torch.arange(64) // 8 % 2).float().expand(1, 3, 48, 64)
    resized = pictures.resize(stripes, size)
    assert resized.shape == (1, 3, *size)
    assert resized.min() >= 0
    assert resized.max() <= 1
    assert resized.mean().item() == pytest.approx(0.5, abs=0.02)


def test_resize_keeps_a_flat_colour_and_a_ramp() -> None:
    flat_colour = torch.full((1, 3, 48, 64), 0.3)
    assert torch.allclose(pictures.resize(flat_colour, (31, 100)), torch.tensor(0.3), atol=1e-6)
    ramp = torch.linspace(0.1, 0.9, 64).expand(1, 3, 48, 64)
    smaller = pictures.resize(ramp, (24, 32))
    assert torch.allclose(smaller[..., 2:-2], ramp.unflatten(-1, (32, 2)).mean(-1)[..., :24, 2:-2], atol=1e-4)


def test_resize_to_the_same_size_copies_nothing() -> None:
    image = torch.rand(1, 3, 20, 30)
    assert pictures.resize(image, (20, 30)) is image


@pytest.mark.parametrize(("small", "large"), [((20, 30), (40, 60)), ((21, 33), (43, 65))], ids=str)
def test_enlarge_brings_back_what_the_smaller_size_could_not_hold(small: tuple, large: tuple) -> None:
    photo = torch.rand(1, 3, 80, 120, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    untouched = pictures.enlarge(pictures.resize(photo, small), large, photo)
    assert torch.allclose(untouched, pictures.resize(photo, large), atol=1e-6)
    painted = torch.rand(1, 3, *small, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    detail = pictures.enlarge(painted, large, luminance(photo)) - pictures.resize(painted, large)
    assert torch.allclose(
        pictures.enlarge(painted, large, torch.full_like(photo, 0.3)), pictures.resize(painted, large)
    )
    assert detail.std() > 0.01
    assert torch.allclose(detail, detail[:, :1], atol=1e-6)
    assert detail.mean().abs() < 1e-3


def test_enlarge_stays_in_range_and_leaves_the_right_size_alone() -> None:
    photo, painted = torch.rand(1, 3, 64, 64).round(), torch.rand(1, 3, 32, 32).round()
    large = pictures.enlarge(painted, (64, 64), photo)
    assert large.min() == 0
    assert large.max() == 1
    assert pictures.enlarge(large, (64, 64), photo) is large


@pytest.mark.parametrize("given", [(40, 40), (16, 90), (90, 16), (33, 47)], ids=str)
@pytest.mark.parametrize("size", [(64, 64), (17, 80), (80, 17)], ids=str)
def test_cover_gives_the_size_from_any_shape(given: tuple[int, int], size: tuple[int, int]) -> None:
    covered = pictures.cover(torch.rand(1, 3, *given), size)
    assert covered.shape == (1, 3, *size)
    assert covered.is_contiguous()


def test_cover_keeps_the_middle_undistorted() -> None:
    thirds = torch.zeros(1, 3, 30, 90)
    thirds[..., 30:60] = 0.8
    covered = pictures.cover(thirds, (60, 60))
    assert torch.allclose(covered[..., 3:-3], torch.tensor(0.8), atol=0.02)


SHAPES = [(640, 480), (480, 640), (500, 500), (4032, 3024), (1000, 20), (17, 40), (333, 777), (1920, 1079), (16, 800)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_result_size_keeps_the_aspect_within_half_a_pixel(shape: tuple[int, int]) -> None:
    picture = Image.new("L", shape)
    for longer in (32, 64, 100, 384, 1023, 2048):
        exact = longer * min(shape) / max(shape)
        height, width = pictures.result_size(picture, longer)
        assert max(height, width) == longer
        assert abs(min(height, width) - exact) <= 0.5
        assert (width >= height) == (shape[0] >= shape[1]) or height == width


def test_result_size_is_never_empty() -> None:
    assert pictures.result_size(Image.new("L", (5000, 40)), 32) == (1, 32)


@settings(deadline=None)
@given(st.integers(16, 300), st.floats(1, LIMITS.aspect), st.integers(LIMITS.smallest_size, LIMITS.size), st.booleans())
def test_every_accepted_shape_can_be_painted_at_every_size(side: int, aspect: float, longer: int, tall: bool) -> None:
    shape = side, int(side * aspect)
    picture = Image.new("1", shape if tall else shape[::-1])
    size = pictures.result_size(picture, longer)
    painted = pictures.painting_size(size)
    assert max(size) == longer
    assert min(size) >= 1
    assert min(painted) >= LIMITS.smallest_side
    assert max(painted) <= max(longer, 1.5 * LIMITS.aspect * LIMITS.smallest_side)
    if min(size) >= LIMITS.smallest_side:
        assert painted == size
    else:
        assert min(painted) == LIMITS.smallest_side
        assert abs(max(painted) - longer * LIMITS.smallest_side / min(size)) <= 0.5
        assert (painted[0] > painted[1]) == (size[0] > size[1])


def test_a_strip_longer_than_the_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    with pytest.raises(ValueError, match=r"16 x 817 px, longer than 50 to 1; crop it"):
        pictures.load(Image.new("RGB", (16, 817)), "style picture")
    assert pictures.load(Image.new("RGB", (16, 800))).size == (16, 800)


def test_scaling_keeps_colours_under_transparency() -> None:
    picture = flat("RGBA", (200, 120, 30, 0))
    picture.paste((200, 120, 30, 255), (0, 0, 16, 24))
    scaled = pictures.scaled(picture, (50, 70))
    assert (scaled.mode, scaled.size) == ("RGBA", (70, 50))
    assert (np.asarray(scaled)[..., :3] == (200, 120, 30)).all()
    assert set(np.unique(np.asarray(scaled)[:, [0, -1], 3])) == {0, 255}


def test_split_gives_colours_and_alpha_back(colours: np.ndarray) -> None:
    alpha = colours[..., :1]
    rgb, mask = pictures.split(Image.fromarray(np.concatenate([colours, alpha], -1)))
    assert (rgb.mode, mask.mode) == ("RGB", "L")
    assert np.array_equal(rgb, colours)
    assert np.array_equal(mask, alpha[..., 0])
    opaque, nothing = pictures.split(Image.fromarray(colours))
    assert np.array_equal(opaque, colours)
    assert nothing is None


def test_to_pixels_keeps_what_eight_bits_would_lose() -> None:
    image = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(3)) * 1.2 - 0.1
    found = pictures.to_pixels(image.requires_grad_())
    assert (found.shape, found.dtype) == ((5, 7, 3), np.float32)
    assert np.array_equal(found[4, 2], image[0, :, 4, 2].detach().clamp(0, 1).numpy())


def test_mask_of_an_opaque_picture_is_its_luminance(colours: np.ndarray, tmp_path: Path) -> None:
    assert np.array_equal(pictures.to_mask(saved(tmp_path, Image.fromarray(colours[..., 0]))), colours[..., 0])
    mask = pictures.to_mask(Image.fromarray(colours))
    assert mask.mode == "L"
    assert np.abs(np.asarray(mask) - colours @ (0.299, 0.587, 0.114)).max() <= 1


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_mask_of_a_painted_layer_is_its_alpha(colour: str, colours: np.ndarray) -> None:
    layer = Image.new("RGB", (40, 24), colour)
    layer.putalpha(Image.fromarray(colours[..., 1]))
    assert np.array_equal(pictures.to_mask(layer), colours[..., 1])


def test_mask_of_an_evenly_transparent_picture_is_its_luminance() -> None:
    assert (np.asarray(pictures.to_mask(flat("LA", (70, 128)))) == 70).all()


def test_mask_of_an_empty_layer_is_empty() -> None:
    assert not np.asarray(pictures.to_mask(flat("RGBA", (255, 255, 255, 0)))).any()


def test_mask_is_upright_and_its_errors_name_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert pictures.to_mask(saved(tmp_path, Image.new("L", (40, 24)), exif=exif)).size == (24, 40)
    with pytest.raises(ValueError, match="the mask is damaged"):
        pictures.to_mask(truncated_png(tmp_path))


def test_a_thin_style_is_large_enough_for_the_network() -> None:
    assert pictures.style_size(Image.new("RGB", (40, 20)), 64, least_px=16) == (32, 64)
    assert pictures.style_size(Image.new("RGB", (400, 20)), 64, least_px=16) == (16, 320)
