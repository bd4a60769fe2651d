import pytest
from hypothesis import given
from hypothesis import strategies as any_of

from nst.images.print_size import PrintSize, side


@pytest.mark.parametrize(
    ("text", "picture", "px"),
    [
        ("30x20cm@300", (3000, 2000), 3543),  # 30 / 2.54 * 300
        ("30x20cm@300", (2000, 3000), 3543),  # turned as the picture is
        ("20x30cm", (3000, 2000), 3543),
        ("12x8in@200", (3000, 2000), 2400),
        ("12x8in@200", (1000, 1000), 1600),  # a square is as large as the shorter side
        ("30 x 20 cm@150", (4000, 1000), 1772),
    ],
)
def test_a_print_is_as_many_pixels_as_fit_on_the_paper(text: str, picture: tuple[int, int], px: int) -> None:
    assert PrintSize.read(text).longer_px(picture) == px


@pytest.mark.parametrize("text", ["", "30x20", "30cm@300", "axbcm@300", "30x20cm@10", "0x20cm@300", "30x20cm@30000"])
def test_what_is_no_print_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|choose"):
        PrintSize.read(text)


@given(any_of.floats(1, 300), any_of.sampled_from(["cm", "in"]), any_of.sampled_from([150, 200, 300]))
def test_pixels_and_length_agree(length: float, unit: str, dpi: int) -> None:
    px = PrintSize(length, length, unit, dpi).longer_px((1, 1))
    assert side(px, dpi, unit) == pytest.approx(length, abs=2.54 / dpi)
