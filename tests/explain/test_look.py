import numpy as np
import pytest
import torch
from PIL import Image

from nst import Settings
from nst.explain import channels
from nst.explain.look import STYLE_LAYERS, Look, Patch, look_at, relu_layers, strongest_patches
from nst.features.extractor import FeatureExtractor
from nst.features.receptive_field import receptive_field
from nst.images import pictures
from nst.scaled_pictures import Inputs
from nst.settings import layer_names


@pytest.fixture(scope="module")
def seen(photo) -> Look:
    return look_at(photo, relu_layers(), longer_px=96)


def test_layers_are_the_sixteen_with_the_style_layers_first() -> None:
    found = relu_layers()
    assert found[:5] == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert sorted(found) == sorted(name for name in layer_names() if name.startswith("relu"))
    assert len(found) == 16


@pytest.mark.parametrize("longer_px", [64, 97])
def test_activations_are_those_that_a_run_computes_of_its_style_picture(longer_px: int, photo, style) -> None:
    found = look_at(style, longer_px=longer_px)
    inputs = Inputs.of(photo, [style], Settings(size=longer_px), torch.device("cpu"))
    expected = FeatureExtractor(STYLE_LAYERS, replicate_edges=True)(inputs.paintings[0])
    assert list(found.blocks) == list(expected)
    for layer, a in expected.items():
        assert torch.equal(found.block(layer), a)
        assert found.shape(layer) == (*a.shape[-2:], a.shape[1])
    assert torch.equal(pictures.to_tensor(found.picture), inputs.paintings[0])
    assert found.nbytes == sum(4 * a.numel() for a in expected.values())


def test_a_picture_turned_by_its_camera_is_upright_and_paths_are_read(photo, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    found = look_at(tmp_path / "turned.png", ["relu1_1"], longer_px=64)
    assert torch.equal(found.block("relu1_1"), look_at(photo, ["relu1_1"], longer_px=64).block("relu1_1"))


def test_transparent_parts_count_as_white(photo) -> None:
    alpha = Image.new("L", photo.size, 0)
    alpha.paste(255, (0, 0, 80, 120))
    layer = photo.copy()
    layer.putalpha(alpha)
    white = Image.new("RGB", photo.size, "white")
    white.paste(photo, mask=alpha)
    found, expected = (look_at(picture, ["relu2_1"], longer_px=64) for picture in (layer, white))
    assert torch.equal(found.block("relu2_1"), expected.block("relu2_1"))


def test_looking_works_in_inference_mode_and_leaves_no_graph(photo) -> None:
    with torch.inference_mode():
        block = look_at(photo, ["relu1_1"], longer_px=32).block("relu1_1")
    assert not block.requires_grad
    assert not block.is_inference()


def test_what_is_not_there_is_refused(photo, seen) -> None:
    with pytest.raises(ValueError, match=r"layer 'pool5' was not looked at; there are relu1_1, relu2_1"):
        seen.block("pool5")
    with pytest.raises(ValueError, match=r"layer 'relu9_1' is not in vgg19"):
        look_at(photo, ["relu9_1"])
    with pytest.raises(ValueError, match=r"longer_px=5000 is over the limit of 1024"):
        look_at(photo, longer_px=5000)
    with pytest.raises(ValueError, match=r"channel 64 is not there; choose from 0 to 63"):
        strongest_patches(seen, "relu1_1", 64)


def loudest(look: Look, layer: str) -> int:
    return int(channels.order(look.block(layer), "energy")[0])


def apart_px(look: Look, layer: str) -> float:
    return max(receptive_field(layer).side / 2, max(look.picture.size) / 24)


@pytest.mark.parametrize("layer", relu_layers())
def test_patches_are_where_the_maxima_are(layer: str, seen) -> None:
    """Brute force: positions from the largest activation on, each kept if far enough from those kept before."""
    field = receptive_field(layer)
    for channel in (loudest(seen, layer), 0, 7):
        values = seen.block(layer)[0, channel].numpy()
        kept: list[tuple[int, int]] = []
        for row, column in sorted(np.ndindex(values.shape), key=lambda at: -values[at]):
            if len(kept) == 9 or values[row, column] <= 0:
                break
            if all(max(abs(row - r), abs(column - c)) * field.stride >= apart_px(seen, layer) for r, c in kept):
                kept.append((row, column))
        found = strongest_patches(seen, layer, channel)
        assert [(patch.row, patch.column) for patch in found] == kept
        assert [patch.value for patch in found] == [values[at] for at in kept]


def test_nine_patches_of_a_busy_channel_show_nine_spots(seen) -> None:
    found = strongest_patches(seen, "relu2_1", loudest(seen, "relu2_1"))
    assert len(found) == 9
    assert len({(patch.row, patch.column) for patch in found}) == 9
    values = seen.block("relu2_1")[0, loudest(seen, "relu2_1")]
    assert found[0].value == values.max()


def test_a_silent_channel_has_no_patches(photo) -> None:
    block = torch.zeros(1, 2, 30, 40)
    block[0, 1, 4, 5] = 2.5
    look = Look(photo.resize((40, 30)), {"relu1_1": block})
    assert strongest_patches(look, "relu1_1", 0) == ()
    assert strongest_patches(look, "relu1_1", 1) == (Patch(4, 5, 2.5),)
    block[0, 0] = -1.0  # a convolution before its relu
    assert strongest_patches(look, "relu1_1", 0) == ()


@pytest.mark.parametrize("layer", ["relu1_1", "relu2_1", "relu3_1", "relu3_4"])
def test_nothing_but_the_pixels_of_a_patch_decides_its_value(layer: str, seen) -> None:
    """A noisy picture that has only the patch's own pixels excites the layer there just as much."""
    field, block = receptive_field(layer), seen.block(layer)
    extractor = FeatureExtractor([layer], replicate_edges=True)
    row, column = (side // 2 for side in block.shape[-2:])
    left, top, right, bottom = field.box(row, column)
    assert min(left, top) >= 0
    noise = np.random.default_rng(0).integers(0, 256, np.asarray(seen.picture).shape, dtype=np.uint8)
    noise[top:bottom, left:right] = np.asarray(seen.picture.crop((left, top, right, bottom)))
    found = extractor(pictures.to_tensor(Image.fromarray(noise)))[layer]
    scale = block.max().item()
    assert torch.allclose(found[..., row, column], block[..., row, column], rtol=1e-4, atol=1e-5 * scale)
    assert not torch.allclose(found[..., row, column + 1], block[..., row, column + 1], rtol=1e-2, atol=1e-3 * scale)
