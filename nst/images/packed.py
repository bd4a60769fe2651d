"""A painting in few bytes, for a program that keeps many: integers instead of float32, a third of the memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nst.images import pictures
from nst.images.painting import Painting

FULL = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # type -> the value that stands for 1


@dataclass(frozen=True, eq=False)
class Packed:
    """The parts of a `Painting` as integers (H, W, C), where 255 or 65535 stands for 1.

    The photo and its alpha come from 8 bits and lose nothing. What is painted has 16 bits, those of the finest file
    format, unless it comes from an 8-bit picture.
    """

    painted: np.ndarray
    photo: np.ndarray
    mask: np.ndarray | None
    alpha: np.ndarray | None
    grey: Tensor | None
    colour: str
    amount: float

    @classmethod
    def of(cls, painting: Painting, bits: int = 16) -> Packed:
        """Pack a painting; `bits` is 8 when it was made from an 8-bit picture."""
        fine = np.dtype(f"uint{bits}")
        return cls(
            _integers(painting.painted, fine),
            _integers(painting.photo, np.dtype(np.uint8)),
            None if painting.mask is None else _integers(painting.mask, np.dtype(np.uint16)),
            None if painting.alpha is None else _integers(painting.alpha, np.dtype(np.uint8)),
            painting.grey,
            painting.colour,
            painting.amount,
        )

    def painting(self) -> Painting:
        """The painting in floats again."""
        mask, alpha = (None if part is None else _floats(part) for part in (self.mask, self.alpha))
        return Painting(
            _floats(self.painted), _floats(self.photo), mask, alpha, self.colour, self.amount, self.grey
        )  # fmt: skip

    @property
    def bits(self) -> int:
        """Of what is painted, per channel."""
        return 8 * self.painted.itemsize

    @property
    def nbytes(self) -> int:
        parts = (self.painted, self.photo, self.mask, self.alpha, self.grey)
        return sum(part.nbytes for part in parts if part is not None)


def _integers(image: Tensor, kind: np.dtype) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C), rounded."""
    return np.rint(pictures.to_pixels(image) * FULL[kind]).astype(kind)


def _floats(pixels: np.ndarray) -> Tensor:
    """(H, W, C) -> (1, C, H, W) float32 in [0, 1]."""
    values = torch.from_numpy(pixels.astype(np.float32) / FULL[pixels.dtype])
    return values.permute(2, 0, 1).unsqueeze(0).contiguous()
