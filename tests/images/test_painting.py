import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nst import Settings
from nst.images import colour, encode, pictures
from nst.images.painting import Painting, result_size
from nst.settings import CHOICES

SIZE = 48, 64
METHODS = [name for name in CHOICES["colour"] if name != "style"]


def tensor(picture: Image.Image, size: tuple[int, int] = SIZE) -> Tensor:
    return pictures.to_tensor(picture.convert("RGB").resize(size[::-1]))


def half(value: float = 1.0) -> Tensor:
    """A mask over the left half."""
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :32] = value
    return mask


def half_drawn(picture: Image.Image) -> Image.Image:
    drawn = Image.new("L", picture.size)
    drawn.paste(255, (0, 0, picture.width // 2, picture.height))
    return drawn


@pytest.fixture
def painting(photo: Image.Image, style: Image.Image) -> Painting:
    return Painting(tensor(style), tensor(photo), None, None)


def test_without_more_the_pixels_are_the_painted_ones(painting: Painting) -> None:
    assert np.array_equal(painting.pixels(), painting.painted[0].permute(1, 2, 0))
    assert painting.pixels().dtype == np.float32


def test_the_picture_before_is_the_photo_also_where_grey_is_painted(painting: Painting) -> None:
    grey = dataclasses.replace(painting, grey=torch.ones(1, 1, 1, 1), colour="histogram")
    assert np.array_equal(np.asarray(grey.before()), np.asarray(pictures.to_picture(painting.photo)))
    assert painting.picture().tobytes() == pictures.to_picture(painting.painted).tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_colours_come_in_afterwards_by_the_method_and_amount(method: str, amount: float, painting: Painting) -> None:
    found = painting.recoloured(method, amount).pixels()
    expected = colour.recolour(painting.painted, painting.photo, method, amount)
    assert np.allclose(found, expected[0].permute(1, 2, 0), atol=1e-6)
    assert np.abs(found - painting.pixels()).mean() > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_colours_may_change_again_and_again(method: str, painting: Painting) -> None:
    plain = painting.pixels()
    once = painting.recoloured(method, 1.0)
    first = once.pixels()
    assert np.array_equal(once.recoloured("pca", 0.7).recoloured(method, 1.0).pixels(), first)
    assert np.array_equal(once.recoloured("style", 1.0).pixels(), plain)
    assert np.array_equal(once.recoloured(method, 0.0).pixels(), plain)
    assert np.array_equal(painting.pixels(), plain)


def test_luminance_afterwards_keeps_the_light_of_the_painting(painting: Painting) -> None:
    weights = np.array(colour.LUMA)
    found = painting.recoloured("luminance", 1.0).pixels()
    assert np.allclose(found @ weights, painting.pixels() @ weights, atol=1e-4)


@pytest.mark.parametrize("method", ["style", *METHODS])
def test_outside_the_mask_the_photo_stays_to_the_last_bit_in_any_colours(method: str, photo, style) -> None:
    painting = Painting(tensor(style), tensor(photo), half(0.6), None).recoloured(method, 1.0)
    pixels, before = painting.pixels(), painting.photo[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pixels[:, 32:], before[:, 32:])
    assert np.abs(pixels[:, :32] - before[:, :32]).mean() > 0.01


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("part", ["mask", "alpha"])
def test_only_what_shows_decides_the_colours(method: str, part: str, photo, style) -> None:
    """Outside of the mask and under transparency, the painting may have any colours."""
    found = []
    for hidden in (0.0, 1.0):
        painted, below = tensor(style), tensor(photo)
        painted[..., 32:] = hidden
        below[:, 0, :, 32:] = hidden
        masked = {"mask": half(), "alpha": None} if part == "mask" else {"mask": None, "alpha": half()}
        found.append(Painting(painted, below, **masked, colour=method).pixels()[:, :32])
    assert np.array_equal(*found)


def test_transparency_is_the_fourth_channel(photo, style) -> None:
    alpha = torch.linspace(0, 1, 64).round(decimals=2).expand(1, 1, *SIZE)
    painting = Painting(tensor(style), tensor(photo), None, alpha)
    assert painting.pixels().shape == (*SIZE, 4)
    assert np.array_equal(painting.pixels()[..., 3], alpha[0, 0])
    assert np.array_equal(painting.pixels()[..., :3], Painting(tensor(style), tensor(photo), None, None).pixels())
    assert painting.picture().mode == "RGBA"


@pytest.mark.parametrize("method", ["style", "symmetric", "luminance"])
def test_eight_and_sixteen_bits_come_from_the_same_floats(method: str, painting: Painting, tmp_path) -> None:
    finished = painting.recoloured(method, 0.5)
    path = tmp_path / "deep.png"
    encode.save(finished.pixels(), path, bits=16)
    deep = encode.encode(finished.pixels(), "png16")
    assert path.read_bytes() == deep
    with Image.open(path) as read:  # Pillow keeps the upper eight bits
        assert np.abs(np.asarray(read, int) - np.asarray(finished.picture(), int)).max() <= 1
    assert np.array_equal(np.rint(finished.pixels() * 255), np.asarray(finished.picture()))


def test_of_scales_everything_to_the_result(photo, style) -> None:
    chosen = Settings(size=64, mask_edge=0.1)
    painting = Painting.of(tensor(style, (96, 128)), photo, [half_drawn(photo)], chosen)
    for part in (painting.painted, painting.photo, painting.mask):
        assert part.shape[-2:] == SIZE
    assert painting.alpha is None
    assert torch.equal(painting.photo, pictures.to_tensor(pictures.scaled(photo, SIZE)))
    assert painting.mask[0, 0, 24, 31] + painting.mask[0, 0, 24, 32] == pytest.approx(1, abs=0.02)
    assert painting.mask[..., 38:].eq(0).all()
    assert 0 < painting.mask[0, 0, 24, 34] < 0.1


@pytest.mark.parametrize("method", ["style", "histogram"])
def test_original_size_leaves_the_photo_s_own_pixels_outside_the_mask(method: str, photo, style) -> None:
    chosen = Settings(size=64, original_size=True, colour=method)
    painting = Painting.of(tensor(style), photo, [half_drawn(photo)], chosen)
    assert painting.picture().size == photo.size
    assert np.array_equal(np.asarray(painting.picture())[:, 80:], np.asarray(photo)[:, 80:])


def test_original_size_keeps_the_photo_s_very_alpha(photo, style) -> None:
    alpha = Image.effect_noise(photo.size, 90)
    clear = photo.copy()
    clear.putalpha(alpha)
    finished = Painting.of(tensor(style), clear, [], Settings(size=64, original_size=True)).picture()
    assert finished.getchannel("A").tobytes() == alpha.tobytes()


def test_result_size_is_the_setting_or_the_photo_s_own(photo) -> None:
    assert result_size(photo, Settings(size=64)) == (48, 64)
    assert result_size(photo.resize((90, 301)), Settings(size=64)) == (64, 19)
    assert result_size(photo.resize((90, 301)), Settings(size=64, original_size=True)) == (301, 90)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"colour": "pca"}, "pca"),
        ({"colour": "pca", "colour_when": "before"}, "style"),
        ({"colour": "luminance", "colour_when": "before"}, "luminance"),
        ({"colour": "luminance"}, "luminance"),
        ({}, "style"),
    ],
    ids=str,
)
def test_settings_decide_which_colours_come_in_afterwards(given: dict, expected: str, photo, style) -> None:
    painting = Painting.of(tensor(style), photo, [], Settings(size=64, colour_amount=0.4, **given))
    assert (painting.colour, painting.amount) == (expected, 0.4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shade", ["black", "white", "gray", "red"])
def test_pictures_of_one_colour_give_no_nan(method: str, shade: str, photo) -> None:
    flat, varied = tensor(Image.new("RGB", photo.size, shade)), tensor(photo)
    for painted, below in ((flat, varied), (varied, flat), (flat, flat)):
        pixels = Painting(painted, below, half(), half(), method).pixels()
        assert np.isfinite(pixels).all()
        assert pixels.min() >= 0
        assert pixels.max() <= 1
