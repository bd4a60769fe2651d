"""What a shuffle of positions changes, and the file of activations for the notebook."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nst import costs
from nst.explain import activation_file, positions
from nst.explain.look import look_at
from nst.images.pictures import result_size


def test_a_shuffle_leaves_the_style_matrix_and_not_the_content(style) -> None:
    block = look_at(style, ("relu3_1",), 96).block("relu3_1")
    found = positions.shuffle(block)
    moved = block.flatten(2)[..., found.order].reshape(block.shape)
    assert sorted(found.order.tolist()) == list(range(block[0, 0].numel()))
    assert found.matrix_change < 1e-5, "only the order of the sum differs"
    a, b = (part.flatten(2)[0].double().numpy() for part in (block, moved))
    np.testing.assert_allclose(a @ a.T, b @ b.T, rtol=1e-9)
    assert found.content_cost == pytest.approx(((a - b) ** 2).sum() / (a**2).sum(), rel=1e-4)
    assert found.content_cost > 0.5


def test_matrix_change_is_seen_where_channels_are_shuffled_apart() -> None:
    """The measure is not zero for everything: a different order for each channel changes the matrix."""
    block = torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) ** 4
    apart = block.clone()
    apart[0, 1] = block[0, 1].flip(0)
    before, after = costs.style_matrix(block), costs.style_matrix(apart)
    assert float((before - after).abs().max() / before.max()) > 1e-2


@pytest.mark.parametrize("layer", ["relu1_1", "relu3_1"])
def test_the_file_has_three_blocks_of_one_size_within_its_limit(layer: str, photo, style, other_style) -> None:
    arrays = activation_file.activations(photo, style, other_style, layer)
    content = activation_file.as_npz(arrays, layer)
    assert len(content) <= activation_file.MOST_BYTES
    read = np.load(io.BytesIO(content))
    assert str(read["layer"]) == layer
    (shape,) = {read[name].shape for name in ("a_C", "a_S", "a_G")}
    assert shape[2] == {"relu1_1": 64, "relu3_1": 256}[layer]
    assert read["a_C"].dtype == np.float16
    block = look_at(photo, (layer,), activation_file.longer_px(photo, layer)).block(layer)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(read["a_C"], block, rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize("shape", [(600, 600), (900, 300), (300, 1200)], ids=str)
@pytest.mark.parametrize(
    ("layer", "channels", "stride"), [("relu2_1", 128, 2), ("relu4_1", 512, 8), ("relu5_1", 512, 16)]
)
def test_three_blocks_fit_in_the_file_at_every_layer(
    layer: str, channels: int, stride: int, shape: tuple[int, int]
) -> None:
    photo = Image.new("RGB", shape)
    height, width = result_size(photo, activation_file.longer_px(photo, layer))
    assert 3 * 2 * channels * (height // stride) * (width // stride) < activation_file.MOST_BYTES
