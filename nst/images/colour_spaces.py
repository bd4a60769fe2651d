"""Convert to sRGB, as Chromium does, from a colour space that a file declares by numbers instead of an ICC profile.

The numbers are code points of ITU-T H.273 (cICP of PNG, nclx of AVIF and HEIF), or a gamma and chromaticities (gAMA and
cHRM of PNG, W3C PNG 3rd edition, section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Curve = Callable[[Floats], Floats]  # encoded values in [0, 1] -> light

BAND_PIXELS = 1 << 20  # pixels converted at once: 12 MiB as float32
LIKE_SRGB = 0.05  # a gamma alone means sRGB within this relative distance of 1 / 2.2 (libpng, Chromium)
WHITE_NITS = 203  # HDR reference white, ITU-R BT.2408
PEAK = 1000 / WHITE_NITS  # assumed brightest light of an HDR picture, in units of the reference white

D65 = (0.3127, 0.3290)
DCI_WHITE = (0.314, 0.351)
C_WHITE = (0.310, 0.316)
# By H.273 code point: chromaticities x, y of white, red, green and blue.
PRIMARIES: dict[int, tuple[float, ...]] = {
    1: (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),  # sRGB, BT.709
    4: (*C_WHITE, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # NTSC of 1953
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # PAL
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE 170M
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE 240M
    8: (*C_WHITE, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),  # CIE XYZ
    11: (*DCI_WHITE, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI P3
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU 3213-E
}
SRGB, BT2020 = PRIMARIES[1], PRIMARIES[9]
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _power(exponent: float) -> Curve:
    return lambda values: values**exponent


def _toe(exponent: float, offset: float, slope: float, knee: float) -> Curve:
    """A power law with a linear part near black, as in SMPTE 240M and sRGB."""
    return lambda values: np.where(
        values < knee, values / slope, ((values + offset) / (1 + offset)).clip(0) ** exponent
    )


def _pq(values: Floats) -> Floats:
    """SMPTE ST 2084 (PQ): light in units of the reference white."""
    power = values ** (32 / 2523)
    return (10_000 / WHITE_NITS) * ((power - 107 / 128).clip(0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305)


def _hlg(values: Floats) -> Floats:
    """ARIB STD-B67 (HLG): light of the scene in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)


_SRGB_CURVE = _toe(2.4, 0.055, 12.92, 0.04045)
VIDEO = (1, 6, 11, 14, 15)  # code points of the camera curves: BT.709 and similar ones
# By H.273 code point. Pictures encoded with a camera curve are shown with gamma 2.4, as on a studio display (BT.1886).
TRANSFERS: dict[int, Curve] = {
    **dict.fromkeys(VIDEO, _power(2.4)),
    4: _power(2.2),
    5: _power(2.8),
    7: _toe(1 / 0.45, 0.1115, 4.0, 0.0913),
    8: _power(1.0),
    13: _SRGB_CURVE,
    16: _pq,
    17: lambda values: values**2.6 * (52.37 / 48),
    18: _hlg,
}


@dataclass(frozen=True)
class Space:
    """A colour space: the curve from encoded values to light, and the chromaticities of white and the channels."""

    curve: Curve
    primaries: tuple[float, ...] = SRGB  # x, y of white, red, green, blue

    @classmethod
    def of_code_points(cls, primaries: int, transfer: int) -> Space | None:
        """The space of these H.273 code points; None where one of them is unspecified or unknown."""
        if primaries not in PRIMARIES or transfer not in TRANSFERS:
            return None
        return cls(TRANSFERS[transfer], PRIMARIES[primaries])

    @classmethod
    def of_gamma(cls, gamma: float, chromaticities: tuple[float, ...] | None) -> Space | None:
        """The space of a PNG's gAMA and cHRM; None for sRGB, and for numbers that define no colour space."""
        if gamma <= 0:
            return None
        if chromaticities is None:
            return None if abs(gamma * 2.2 - 1) <= LIKE_SRGB else cls(_power(1 / gamma))
        try:
            _to_xyz(chromaticities)
        except (np.linalg.LinAlgError, ZeroDivisionError):
            return None
        return cls(_power(1 / gamma), tuple(chromaticities))

    @property
    def is_srgb(self) -> bool:
        return self == Space(_SRGB_CURVE)

    @property
    def is_hdr(self) -> bool:
        return self.curve in (_pq, _hlg)


def to_srgb(image: Image.Image, space: Space) -> Image.Image:
    """RGB in `space` -> RGB in sRGB, converted in bands of rows, which limits the memory."""
    light = space.curve(np.arange(256, dtype=np.float32) / 255).astype(np.float32)
    encode = _encoding_table()
    values = np.array(image)  # (H, W, 3) uint8, converted in place
    rows = max(1, BAND_PIXELS // image.width)
    matrix = _between(space.primaries, BT2020 if space.is_hdr else SRGB)
    for top in range(0, image.height, rows):
        band = light[values[top : top + rows]] @ matrix.T
        if space.is_hdr:
            band = _tone_mapped(band, space) @ _between(BT2020, SRGB).T
        values[top : top + rows] = encode[(band.clip(0, 1) * (len(encode) - 1)).astype(np.int32)]
    return Image.fromarray(values)


def _encoding_table(steps: int = 1 << 14) -> NDArray[np.uint8]:
    """sRGB values (0 to 255) for light in [0, 1] divided into `steps` equal intervals: (steps,)."""
    light = (np.arange(steps) + 0.5) / steps
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def _tone_mapped(light: Floats, space: Space) -> Floats:
    """Linear BT.2020 (..., 3) -> the same in [0, 1]. One factor for each pixel keeps its hue.

    The reference white tone mapping operator of SMPTE ST 2094-50 for a display without headroom: half the light up to
    the reference white, then a quadratic Bezier curve from (1, 1/2) to (PEAK, 1).
    """
    if space.curve is _hlg:  # ITU-R BT.2100: light of the scene -> light of a display of 1000 nits
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light = light * (PEAK * luminance.clip(1e-6) ** 0.2)[..., None]
    brightest = light.max(-1, keepdims=True).clip(1e-6, PEAK)
    middle, level = 0.35 + 0.65 * 2, 0.35 * 0.5 + 0.65  # the curve's control point
    a, b, c = 1 - 2 * middle + PEAK, 2 * (middle - 1), 1 - brightest
    t = (-b + np.sqrt((b * b - 4 * a * c).clip(0))) / (2 * a)
    shown = np.where(brightest <= 1, brightest / 2, (1 - t) ** 2 * 0.5 + 2 * t * (1 - t) * level + t * t)
    return light * (shown / light.max(-1, keepdims=True).clip(1e-6))


def _between(source: tuple[float, ...], target: tuple[float, ...]) -> Floats:
    """The matrix (3, 3) from linear light of one space to that of another, with Bradford's adaptation of white."""
    return (np.linalg.inv(_to_xyz(target)) @ _adaptation(source[:2], target[:2]) @ _to_xyz(source)).astype(np.float32)


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1, (1 - x - y) / y])


def _to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """Linear RGB -> CIE XYZ, (3, 3)."""
    columns = np.array([(x, y, 1 - x - y) for x, y in zip(primaries[2::2], primaries[3::2], strict=True)]).T
    return columns * np.linalg.solve(columns, _xyz(*primaries[:2]))


def _adaptation(source: tuple[float, ...], target: tuple[float, ...]) -> NDArray[np.float64]:
    """Bradford's matrix from XYZ under one white to XYZ under another, (3, 3)."""
    gains = (BRADFORD @ _xyz(*target)) / (BRADFORD @ _xyz(*source))
    return np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD
