"""Style as a distribution: Wasserstein-2 distance between Gaussians fitted to a layer's activations.

The distance has a closed form (Dowson & Landau 1982; Olkin & Pukelsheim 1982). Unlike the style matrix of Gatys it
keeps mean and spread of a channel apart, and is a squared length, not a fourth power: it grows with the activations'
energy. After crowsonkb/style-transfer-pytorch; here the matrix root is of low rank, and its gradient is a formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nst.costs import mean_and_covariance

KEPT = 0.999  # of the target's variance; the rest lies in many directions that would double the work
STEPS = 11  # of Newton-Schulz, which bring singular values from LOWEST to 1 within 1e-6 of 1
LOWEST = 5e-4  # of the norm: smaller singular values are counted too low
RIDGE = 3e-7  # share of the generated picture's variance that is added in each direction, above float32's rounding


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of activations over positions, float32 or wider."""

    mean: Tensor  # (B, C)
    covariance: Tensor  # (B, C, C)


@dataclass(frozen=True)
class Gaussian:
    """The target that a level's picture is compared with, computed once: covariance = root @ root^T."""

    mean: Tensor  # (B, C)
    root: Tensor  # (B, C, R), columns are the principal axes times their standard deviation

    @property
    def energy(self) -> Tensor:
        """|m|^2 + tr C, the cost of a picture that excites nothing, summed over the batch. Scalar."""
        return self.mean.square().sum() + self.root.square().sum()


def moments(a: Tensor, guide: Tensor | None = None) -> Moments:
    """Mean and covariance of activations (B, C, H, W) over positions; a guide (1, 1, H, W) counts each by its square.

    The square, because a guide T in [0, 1] scales activations (Gatys et al. 2017, eq. 2). A guide of zeros gives zeros.
    """
    if guide is None:
        return Moments(*_Moments.apply(_rows(a), None))
    squares = _widen(guide.to(a.dtype)).flatten(2).mT.square()  # (1, HW, 1)
    return Moments(*_Moments.apply(_rows(a), squares / squares.sum().clamp(min=torch.finfo(squares.dtype).tiny)))


def blend(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Moments of the mixture of distributions, with normalised weights: averages of the first two uncentred moments.

    Written with differences of means, because uncentred moments lose the small variances to rounding.
    """
    shares = [weight / sum(weights) for weight in weights]
    mean = sum(share * part.mean for share, part in zip(shares, parts, strict=True))
    whole = Moments(mean, torch.zeros_like(parts[0].covariance))
    covariance = sum(
        share * relative_to_whole(part, whole).covariance for share, part in zip(shares, parts, strict=True)
    )
    return Moments(mean, covariance)


def relative_to_whole(part: Moments, whole: Moments) -> Moments:
    """A part's mean, and its second moment about the whole's mean. Averaged over all parts they are the whole's."""
    return Moments(part.mean, part.covariance + _outer(part.mean - whole.mean))


def gaussian(m: Moments) -> Gaussian:
    """The Gaussian with these moments, without the smallest principal axes, which hold 1 - KEPT of the variance."""
    variances, axes = torch.linalg.eigh(m.covariance.double())  # ascending
    variances, axes = variances.flip(-1).clamp(min=0), axes.flip(-1)
    short = variances.cumsum(-1) < KEPT * variances.sum(-1, keepdim=True)
    rank = min(int(short.sum(-1).max()) + 1, variances.shape[-1])
    root = axes[..., :rank] * variances[..., None, :rank].sqrt()
    return Gaussian(m.mean, root.to(m.mean.dtype))


def wasserstein_cost(target: Gaussian, generated: Moments) -> Tensor:
    """W2^2 = |m_S - m_G|^2 + tr(C_S + C_G - 2 (C_S^1/2 C_G C_S^1/2)^1/2), summed over the batch. Scalar.

    Dowson & Landau 1982, eq. 4. For equal pictures it is not 0 but up to 2e-3 of the target's energy, because the root
    has low rank and the number of Newton-Schulz steps is limited.
    """
    variance = generated.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)  # (B)
    # A share of the target's energy is added, so that the gradient is finite for a picture without contrast.
    ridge = RIDGE * (variance.detach() + 1e-3 * target.energy)
    shift = (target.mean - generated.mean).square().sum(-1)
    spread = target.root.square().sum((-2, -1)) + variance
    return (shift + spread - 2 * overlap(target.root, generated.covariance, ridge)).clamp(min=0).sum()


def overlap(root: Tensor, covariance: Tensor, ridge: Tensor) -> Tensor:
    """tr (F^T (C + ridge) F)^1/2, root F (B, C, R), covariance C (B, C, C), ridge (B) -> (B)."""
    return _Overlap.apply(root, covariance, ridge)


def inverse_root(matrix: Tensor) -> Tensor:
    """Inverse square root of positive semi-definite matrices (B, R, R), by coupled Newton-Schulz steps.

    Higham 2008, eq. 6.35, with the coefficients of Chebyshev acceleration (Grishina et al. 2025), which need a third
    fewer steps. Y goes to the root, Z to its inverse; eigenvalues below LOWEST^2 of the norm come out too small, never
    too large, so a singular matrix does no harm.
    """
    tiny = torch.finfo(matrix.dtype).tiny
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=tiny)[..., None, None]
    # Divide by the trace first: the squares of the entries could overflow. Then the norm is at least 1 / sqrt(R),
    # unless the matrix is zero.
    norm = torch.linalg.matrix_norm(matrix / trace, keepdim=True).clamp(min=1e-3)
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
    y, z = matrix / trace / norm, None
    for step, (linear, cubic) in enumerate(_COEFFICIENTS, start=1):
        if z is None:
            z = factor = linear * identity - cubic * y
        else:
            factor = torch.baddbmm(identity, z, y, beta=linear, alpha=-cubic)
            z = factor @ z
        if step < STEPS:
            y = y @ factor
    return z / norm.sqrt() / trace.sqrt()


def _coefficients(lowest: float, steps: int) -> list[tuple[float, float]]:
    """(a, b) of the steps x -> a x - b x^3 that bring [lowest, 1] to 1 in the fewest steps.

    Each is the best for the interval [l, u] that the step before leaves: it is 1 - e at both ends, 1 + e at its peak.
    """
    low, high, found = lowest, 1.0, []
    for _ in range(steps):
        sum_of_squares = low * low + low * high + high * high
        peak = (sum_of_squares / 3) ** 0.5
        cubic = 2 / (2 * peak**3 + low * high * (low + high))
        found.append((cubic * sum_of_squares, cubic))
        error = 2 * cubic * peak**3 - 1
        low, high = 1 - error, 1 + error
    return found


_COEFFICIENTS = _coefficients(LOWEST, STEPS)


def _outer(v: Tensor) -> Tensor:
    """(B, C) -> (B, C, C)."""
    return v[..., :, None] * v[..., None, :]


def _rows(a: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, HW, C), a view when a is channels_last."""
    return a.movedim(1, -1).flatten(1, 2)


def _widen(a: Tensor) -> Tensor:
    return a.to(_wide(a.dtype))


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


class _Moments(torch.autograd.Function):
    """`mean_and_covariance` in float32 or wider, with a gradient that keeps the rows as narrow as they came.

    Rows (B, P, C), their shares (1, P, 1), None for 1 / P -> mean (B, C), covariance (B, C, C).
    """

    @staticmethod
    def forward(ctx, rows: Tensor, shares: Tensor | None) -> tuple[Tensor, Tensor]:
        rows_at_once = 2**18 if rows.is_cuda else 4096  # widened: to save memory; to stay in the cache
        mean, covariance = mean_and_covariance(rows, shares, _wide(rows.dtype), rows_at_once)
        ctx.save_for_backward(rows, mean, shares)
        return mean.squeeze(1), covariance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, of_mean: Tensor, of_covariance: Tensor) -> tuple[Tensor, None]:
        rows, mean, shares = ctx.saved_tensors
        along = of_covariance + of_covariance.mT
        # Subtract the mean first: with little contrast `along` is large, and narrow sums would be rounded.
        centre = mean.to(rows.dtype)
        constant = of_mean[:, None] + (centre - mean) @ along
        if shares is None:
            along, constant = along / rows.shape[1], constant / rows.shape[1]
        gradient = torch.baddbmm(constant.to(rows.dtype), rows - centre, along.to(rows.dtype))
        return gradient if shares is None else gradient * shares.to(rows.dtype), None


class _Overlap(torch.autograd.Function):
    """`overlap` with its gradient by the covariance, F (F^T C F)^-1/2 F^T / 2, not through the Newton-Schulz steps."""

    @staticmethod
    def forward(ctx, root: Tensor, covariance: Tensor, ridge: Tensor) -> Tensor:
        inner = root.mT @ covariance @ root  # (B, R, R)
        # F^T F is diagonal, so the ridge is scaled by each direction's own variance.
        inner = (inner + inner.mT) / 2 + torch.diag_embed(ridge[:, None] * root.square().sum(-2))
        inverse = inverse_root(inner)
        ctx.save_for_backward(root, inverse)
        return (inner * inverse).sum((-2, -1))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        root, inverse = ctx.saved_tensors
        return None, gradient[:, None, None] / 2 * (root @ inverse @ root.mT), None
