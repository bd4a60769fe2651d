"""A painted entry of the style matrix against every example picture."""

import numpy as np
import pytest
import torch
from PIL import ImageOps

from nst.explain.entry_picture import SIDE_PX, mean_entry, paint_entry
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.ui.server import examples

TIMES = 3
GREY = 0.5
# One or two pairs of each style layer, the hardest of those that the page offers for the example.
PAIRS = (
    ("relu1_1", 22, 39),
    ("relu2_1", 86, 114),
    ("relu3_1", 20, 254),
    ("relu4_1", 53, 149),
    ("relu5_4", 183, 454),  # neither fires on the noise at the start
)


def energy(picture: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of all values from mid-grey, which `paint_entry` keeps fixed.

    Not the contrast, the distance from the picture's own mean colour: some channels of relu1_1 fire most on one colour
    that fills the picture, whose contrast is 0.
    """
    return (picture - GREY).square().mean()


@pytest.mark.parametrize(("layer", "k", "m"), PAIRS)
@torch.no_grad()
def test_a_painted_entry_is_three_times_that_of_any_photo_of_the_same_energy(layer: str, k: int, m: int) -> None:
    with torch.enable_grad():
        frames = list(paint_entry(layer, k, m))
    extractor = FeatureExtractor((layer,), replicate_edges=True)
    painted = pictures.to_tensor(frames[-1].image)
    entry = float(mean_entry(extractor(painted)[layer], k, m))
    assert entry > frames[0].entry
    for path in (*examples.photos().values(), *examples.styles().values()):
        photo = pictures.to_tensor(ImageOps.fit(pictures.load(path), (SIDE_PX, SIDE_PX)))
        equal = GREY + (photo - GREY) * (energy(painted) / energy(photo)).sqrt()
        assert entry >= TIMES * float(mean_entry(extractor(equal)[layer], k, m)), path
    assert [frame.fraction for frame in frames] == sorted(frame.fraction for frame in frames)
    assert np.asarray(frames[-1].image).std() < 90, "not every pixel is 0 or 255"
