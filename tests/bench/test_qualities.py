"""The judge of the table of qualities: 0 for the pictures themselves, and the textbook's definition in float64."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from nst.bench import qualities
from nst.bench.sheet import contact_sheet
from nst.features.extractor import FeatureExtractor
from nst.images import pictures


def test_photo_has_no_content_error_and_style_picture_no_style_error(photo: Image.Image, style: Image.Image) -> None:
    assert qualities.errors(photo, photo, style)[0] == 0
    assert qualities.errors(style, photo, style)[1] == 0


def test_errors_are_relative_squares(photo: Image.Image, style: Image.Image) -> None:
    picture = style.resize(photo.size)
    network = FeatureExtractor([qualities.CONTENT_LAYER, *qualities.STYLE_LAYERS])
    with torch.no_grad():
        found, of_photo, of_style = (
            {name: a.flatten(2)[0].double() for name, a in network(pictures.to_tensor(shown)).items()}
            for shown in (picture, photo, photo.rotate(180))
        )
    content = found["relu4_2"] - of_photo["relu4_2"]
    matrices = [[a[layer] @ a[layer].T for a in (found, of_style)] for layer in qualities.STYLE_LAYERS]
    expected = sum(((a - b).norm() / b.norm()) ** 2 for a, b in matrices) / 5
    content_error, style_error = qualities.errors(picture, photo, photo.rotate(180))
    assert content_error == pytest.approx((content.norm() / of_photo["relu4_2"].norm()).item() ** 2, rel=1e-4)
    assert style_error == pytest.approx(expected.item(), rel=1e-4)


def test_the_sheet_has_a_row_for_each_pair() -> None:
    row = [Image.new("RGB", (48, 32), colour) for colour in ("red", "green", "blue", "red", "green", "blue")]
    one, two = (contact_sheet("abcdef", [row] * count) for count in (1, 2))
    assert two.width == one.width
    assert two.height > one.height
