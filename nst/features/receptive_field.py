"""The receptive field of a layer: which pixels a position depends on, from the network's convolutions and poolings."""

from __future__ import annotations

from dataclasses import dataclass

from nst.settings import layer_names

Box = tuple[int, int, int, int]  # left, top, right, bottom in px, the last two exclusive, as Pillow has them


@dataclass(frozen=True)
class ReceptiveField:
    """The square of pixels that a position depends on: position (i, j) begins at (i, j) * stride + first."""

    side: int  # px
    stride: int  # px from one position to the next
    first: int  # px, where the field of position 0 begins; not above 0, because convolutions reach over the border

    def box(self, row: int, column: int) -> Box:
        """The pixels of one position; near an edge of the picture the box reaches over it."""
        top, left = (index * self.stride + self.first for index in (row, column))
        return left, top, left + self.side, top + self.side


def receptive_field(layer: str, backbone: str = "vgg19") -> ReceptiveField:
    """Of a layer, from the 3 x 3 convolutions (padded by 1) and 2 x 2 poolings up to it. `ValueError` if unknown."""
    names = layer_names(backbone)
    if layer not in names:
        raise ValueError(f"layer {layer!r} is not in {backbone}; choose from {' '.join(names)}")
    side, stride, first = 1, 1, 0
    for name in names[: names.index(layer) + 1]:
        if name.startswith("conv"):
            side, first = side + 2 * stride, first - stride
        elif name.startswith("pool"):
            side, stride = side + stride, 2 * stride
    return ReceptiveField(side, stride, first)
