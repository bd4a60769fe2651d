"""The costs of neural style transfer as pure functions on activations (Gatys, Ecker & Bethge 2015, 2016).

`a[l]` is the activation block of layer l, n_H x n_W x n_C, here a tensor (B, C, H, W). The formulas carry the
lecture's constants. `nst.objective` calls them in each step: it measures the style picture once per level, so it calls
the two halves of `style_layer_cost`, and it divides each term by the energy of its target (`balance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def style_matrix(a: Tensor) -> Tensor:
    """Gram matrix G[k, k'] = sum over i, j of a[i, j, k] * a[i, j, k']: (B, C, H, W) -> (B, C, C), float32 or wider.

    The unnormalised cross-covariance of channels: no mean is subtracted. Gatys et al. 2015, eq. 3.
    """
    a = a if a.dtype == torch.bfloat16 else _widen(a)
    return _SumOfOuterProducts.apply(a.movedim(1, -1).flatten(1, 2))  # a view when a is channels_last


def mean_style_matrix(a: Tensor, guide: Tensor | None = None) -> Tensor:
    """`style_matrix` divided by the number of positions, comparable between sizes: (B, C, H, W) -> (B, C, C).

    A `guide` T (1, 1, H, W) in [0, 1] says how much each position counts: the style matrix of T * a, divided by the sum
    of T^2 (Gatys et al. 2017, eq. 5). Ones change nothing, and where T is 0 throughout the matrix is 0.
    """
    if guide is None:
        return style_matrix(a) / (a.shape[-2] * a.shape[-1])
    weight = guide.square().sum().clamp(min=torch.finfo(guide.dtype).tiny)
    return style_matrix(a * guide.to(a.dtype)) / weight


def mean_and_covariance(
    rows: Tensor, shares: Tensor | None, dtype: torch.dtype, rows_at_once: int
) -> tuple[Tensor, Tensor]:
    """Rows (B, P, C), their shares (1, P, 1) that add up to 1, None for 1 / P -> mean (B, 1, C), covariance (B, C, C).

    The centred counterpart of `mean_style_matrix`, for activations and for colours, computed in `dtype`, `rows_at_once`
    at a time. Rows are centred and widened before the product: a covariance with rounded sums, as of bfloat16, or with
    a large mean subtracted afterwards, has negative eigenvalues.
    """
    chunks = rows.split(rows_at_once, dim=1)
    if shares is None:
        mean = rows.mean(1, keepdim=True, dtype=dtype)
        centred = (chunk - mean for chunk in chunks)
        return mean, sum(chunk.mT @ chunk for chunk in centred) / rows.shape[1]
    parts = shares.to(dtype).split(rows_at_once, dim=1)
    mean = sum((share * chunk).sum(1, keepdim=True) for share, chunk in zip(parts, chunks, strict=True))
    centred = (share.sqrt() * (chunk - mean) for share, chunk in zip(parts, chunks, strict=True))
    return mean, sum(chunk.mT @ chunk for chunk in centred)


def style_matrix_cost(matrix_style: Tensor, matrix_generated: Tensor) -> Tensor:
    """J_style[l] from two `mean_style_matrix` (B, C, C): sum of squared differences / (2 n_C)^2. Scalar.

    Gatys et al. 2015, eq. 4, whose (2 n_H n_W n_C)^2 is shared between this and the two means.
    """
    return F.mse_loss(matrix_generated, matrix_style, reduction="sum") / (2 * matrix_style.shape[-1]) ** 2


def blend(matrices: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The target for several styles, the weighted mean of their `mean_style_matrix`: (B, C, C) each -> (B, C, C)."""
    return sum(weight / sum(weights) * matrix for matrix, weight in zip(matrices, weights, strict=True))


def style_layer_cost(a_style: Tensor, a_generated: Tensor) -> Tensor:
    """J_style[l] = 1 / (2 n_H n_W n_C)^2 * sum over k, k' of (G_style - G_generated)^2: two (B, C, H, W) -> scalar.

    Each style matrix is divided by its own number of positions, which for equal sizes is the same formula and
    otherwise lets the two pictures differ in size. Gatys et al. 2015, eq. 4.
    """
    return style_matrix_cost(mean_style_matrix(a_style), mean_style_matrix(a_generated))


def style_cost(style: Mapping[str, Tensor], generated: Mapping[str, Tensor], lambdas: Mapping[str, float]) -> Tensor:
    """J_style = sum over l of lambda[l] * J_style[l]; activations by layer name -> scalar. Gatys et al. 2015, eq. 5."""
    found = [style_layer_cost(style[layer], generated[layer]) for layer in lambdas]
    layer_costs = torch.stack(found) if found else torch.zeros(0)
    return sum_of_layers(layer_costs, layer_costs.new_tensor(list(lambdas.values())))


def sum_of_layers(layer_costs: Tensor, lambdas: Tensor) -> Tensor:
    """J_style from J_style[l] of all layers (L) and their lambdas (L): scalar. Gatys et al. 2015, eq. 5."""
    return (layer_costs * lambdas).sum()


def content_cost(a_content: Tensor, a_generated: Tensor) -> Tensor:
    """J_content = 1 / (4 n_H n_W n_C) * sum of (a_content - a_generated)^2: two (B, C, H, W) -> scalar.

    The lecture's constant; Gatys et al. 2015, eq. 1 has 1/2.
    """
    positions_and_channels = a_content.shape[-3] * a_content.shape[-2] * a_content.shape[-1]
    return _SquaredDistance.apply(a_content, a_generated) / (4 * positions_and_channels)


def total_cost(content: Tensor | float, style: Tensor | float, alpha: float, beta: float) -> Tensor | float:
    """J = alpha * J_content + beta * J_style. Gatys et al. 2015, eq. 7."""
    return alpha * content + beta * style


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbours, down plus across: sRGB (B, 3, H, W) in [0, 1] -> scalar.

    The smooth form of Johnson et al. 2016 (section 3.2), as a mean so that its weight means the same at every size.
    """
    down = F.mse_loss(image[..., 1:, :], image[..., :-1, :])
    return down + F.mse_loss(image[..., 1:], image[..., :-1])


def temporal_cost(image: Tensor, expected: Tensor, trust: Tensor) -> Tensor:
    """J_temporal: mean squared difference from the expected picture, over the positions that are trusted. Scalar.

    Two sRGB (1, 3, H, W) in [0, 1], trust (1, 1, H, W) in [0, 1]. In a clip, the last frame's result moved along the
    optical flow is expected. Ruder, Dosovitskiy & Brox 2016, eq. 8, whose mean is over all positions.
    """
    weight = trust.sum().clamp(min=1) * image.shape[1]
    return (trust * (image - expected).square()).sum() / weight


class _SquaredDistance(torch.autograd.Function):
    """Sum of (b - a)^2 in float32 or wider, from differences in the dtype of a and b.

    `mse_loss` would need both widened first: 0.1 of the 3 ms of a gradient at 1024 px on a GPU.
    """

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        difference = b - a
        ctx.save_for_backward(difference)
        wide = torch.float64 if difference.dtype == torch.float64 else torch.float32
        return torch.linalg.vector_norm(difference, dtype=wide).square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (difference,) = ctx.saved_tensors
        by_b = (_widen(difference) * (2 * gradient)).to(difference.dtype)
        return -by_b if ctx.needs_input_grad[0] else None, by_b


class _SumOfOuterProducts(torch.autograd.Function):
    """Rows (B, P, C) -> sum over P of row^T row, (B, C, C). Its gradient is one matrix product; autograd's is two.

    bfloat16 rows are multiplied in bfloat16, four times as fast, and summed in float32. A CPU has no such product with
    a float32 result: there the sum of `CHUNK` rows is rounded to bfloat16 once.
    """

    CHUNK = 4096

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        if rows.dtype in (torch.float32, torch.float64):
            return rows.mT @ rows
        if rows.is_cuda:
            return torch.bmm(rows.mT, rows, out_dtype=torch.float32)
        count = rows.shape[1] // _SumOfOuterProducts.CHUNK
        chunked, rest = rows.tensor_split([count * _SumOfOuterProducts.CHUNK], dim=1)
        products = (rest.mT @ rest).float()
        if count:
            chunks = chunked.unflatten(1, (count, -1))
            products += (chunks.mT @ chunks).float().sum(1)
        return products

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        return rows @ (gradient + gradient.mT).to(rows.dtype)


def _widen(a: Tensor) -> Tensor:
    """To float32, which sums over thousands of positions need at least; float64 stays."""
    return a if a.dtype == torch.float64 else a.float()
