"""A painted entry of the style matrix against every example photo."""

import numpy as np
import pytest
import torch
from PIL import ImageOps

from nst.explain.entry_picture import SIDE_PX, mean_entry, paint_entry
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.ui.server import examples

LAYER = "relu3_1"
TIMES = 3


def of_same_energy(picture: torch.Tensor, energy: float) -> torch.Tensor:
    """The picture with the contrast, the mean squared distance from its own mean colour, of another one."""
    mean = picture.mean((2, 3), keepdim=True)
    return mean + (picture - mean) * (energy / (picture - mean).square().mean()).sqrt()


@pytest.mark.parametrize(("k", "m"), [(231, 237), (20, 254)])
@torch.no_grad()
def test_a_painted_entry_is_three_times_that_of_any_photo_of_the_same_energy(k: int, m: int) -> None:
    with torch.enable_grad():
        frames = list(paint_entry(LAYER, k, m))
    extractor = FeatureExtractor((LAYER,), replicate_edges=True)
    painted = pictures.to_tensor(frames[-1].image)
    energy = float((painted - painted.mean((2, 3), keepdim=True)).square().mean())
    entry = float(mean_entry(extractor(painted)[LAYER], k, m))
    assert entry > frames[0].entry
    for path in (*examples.photos().values(), *examples.styles().values()):
        photo = pictures.to_tensor(ImageOps.fit(pictures.load(path), (SIDE_PX, SIDE_PX)))
        assert entry >= TIMES * float(mean_entry(extractor(of_same_energy(photo, energy))[LAYER], k, m)), path
    assert [frame.fraction for frame in frames] == sorted(frame.fraction for frame in frames)
    assert np.asarray(frames[-1].image).std() < 90, "not every pixel is 0 or 255"
