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

KEPT = 0.999  # of the target's variance; the rest is spread over many directions that would double the work
STEPS = 11  # of Newton-Schulz: the singular values below LOWEST count in part, the others to 1e-4 (see tests)
LOWEST = 5e-4  # smallest singular value, as a fraction of the norm, that the steps bring to 1
RIDGE = 1e-7  # of the mean square: variance added to the generated picture, above float32 rounding of its covariance


@dataclass(frozen=True)
class Moments:
    """First and second moments of activations over positions, float32 or wider. The second is not centred."""

    mean: Tensor  # (B, C)
    second: Tensor  # (B, C, C), the mean style matrix

    @property
    def energy(self) -> Tensor:
        """Mean square length of an activation: W2 to a picture that excites nothing. (B)."""
        return self.second.diagonal(dim1=-2, dim2=-1).sum(-1)


@dataclass(frozen=True)
class Gaussian:
    """A target: what does not change during a level is computed once."""

    mean: Tensor  # (B, C)
    root: Tensor  # (B, C, R), columns are the principal axes times their deviation: covariance = root @ root^T

    @property
    def energy(self) -> Tensor:
        """Mean square length: the cost of a picture that excites nothing. (B)."""
        return self.mean.square().sum(-1) + self.root.square().sum((-2, -1))


def moments(a: Tensor, guide: Tensor | None = None) -> Moments:
    """Mean and second moment of activations (B, C, H, W) over positions, each counted by guide^2 (1, 1, H, W).

    A guide T in [0, 1] scales activations as in Gatys et al. 2017, eq. 2, so that positions count by T^2.
    """
    if guide is None:
        return Moments(*_Moments.apply(_rows(a)))
    guide = guide.to(a.dtype)
    weight = _widen(guide).square()
    # Means over all positions of (T a) and of T (T a), divided by the mean of T^2: the positions cancel.
    scale = weight.mean().clamp(min=torch.finfo(weight.dtype).tiny)
    second = _Moments.apply(_rows(a * guide))[1] / scale
    return Moments((_widen(a) * weight).mean((-2, -1)) / scale, second)


def blend(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Moments of the mixture: averages with the normalised weights, as style matrices are blended."""
    shares = [weight / sum(weights) for weight in weights]
    mean = sum(share * part.mean for share, part in zip(shares, parts, strict=True))
    second = sum(share * part.second for share, part in zip(shares, parts, strict=True))
    return Moments(mean, second)


def gaussian(m: Moments) -> Gaussian:
    """The Gaussian with these moments, without the least directions that hold 1 - KEPT of its variance."""
    variances, axes = torch.linalg.eigh(_covariance(m).double())  # once per level; rising
    variances, axes = variances.flip(-1).clamp(min=0), axes.flip(-1)
    below = variances.cumsum(-1) < KEPT * variances.sum(-1, keepdim=True)
    rank = min(int(below.sum(-1).max()) + 1, variances.shape[-1])
    root = axes[..., :rank] * variances[..., None, :rank].sqrt()
    return Gaussian(m.mean, root.to(m.mean.dtype))


def wasserstein_cost(target: Gaussian, generated: Moments) -> Tensor:
    """W2^2 = |m_S - m_G|^2 + tr(C_S + C_G - 2 (C_S^1/2 C_G C_S^1/2)^1/2), summed over the batch. Scalar.

    Dowson & Landau 1982, eq. 4. Means are equal to within 1e-3 of the energy for equal pictures, not exactly 0.
    """
    covariance = _covariance(generated)
    shift = (target.mean - generated.mean).square().sum(-1)
    spread = target.root.square().sum((-2, -1)) + covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    # Without the clamp the overlap's rounding could make the cost of equal pictures negative.
    return (shift + spread - 2 * overlap(target.root, covariance, _ridge(target, generated))).clamp(min=0).sum()


def overlap(root: Tensor, covariance: Tensor, ridge: Tensor) -> Tensor:
    """tr (F^T (C + ridge) F)^1/2, root F (B, C, R), covariance C (B, C, C), ridge (B) -> (B)."""
    return _Overlap.apply(root, covariance, ridge)


def inverse_root(matrix: Tensor) -> Tensor:
    """Inverse square root of positive semi-definite matrices (B, R, R), by coupled Newton-Schulz steps.

    Higham 2008, eq. 6.35, with the coefficients of Chebyshev acceleration (Grishina et al. 2025), which need a third
    fewer steps. Y goes to the root, Z to its inverse; eigenvalues below LOWEST^2 of the norm come out too small, never
    too large, so a singular matrix does no harm.
    """
    norm = torch.linalg.matrix_norm(matrix).clamp(min=torch.finfo(matrix.dtype).tiny)[..., None, None]
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
    y, z = matrix / norm, None
    for step, (linear, cubic) in enumerate(_COEFFICIENTS, start=1):
        if z is None:
            z = factor = linear * identity - cubic * y
        else:
            factor = torch.baddbmm(identity, z, y, beta=linear, alpha=-cubic)
            z = factor @ z
        if step < STEPS:
            y = y @ factor
    return z / norm.sqrt()


def _coefficients(lowest: float, steps: int) -> list[tuple[float, float]]:
    """(a, b) of the steps x -> a x - b x^3 that bring [lowest, 1] to 1 soonest: each the best for what the last left.

    The best cubic touches 1 - e at both ends of an interval [l, u] and 1 + e at its peak between.
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


def _covariance(m: Moments) -> Tensor:
    """Second moment about the mean: (B, C, C). Activations' means are not large against their deviations.

    Their squares are at most a few times the variance in VGG-19, so float32 loses nothing by the subtraction.
    """
    return m.second - m.mean[..., :, None] * m.mean[..., None, :]


def _ridge(target: Gaussian, generated: Moments) -> Tensor:
    """Variance to be added to the generated picture's covariance: (B). A trace of the target's is for black ones."""
    return RIDGE * (generated.energy.detach() + 1e-3 * target.energy)


def _rows(a: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, HW, C), a view when a is channels_last."""
    return a.movedim(1, -1).flatten(1, 2)


def _widen(a: Tensor) -> Tensor:
    return a if a.dtype == torch.float64 else a.float()


class _Moments(torch.autograd.Function):
    """Rows (B, P, C) -> mean (B, C) and second moment (B, C, C) over the positions, float32 or wider.

    Products of bfloat16 rows are summed in float32, unlike those for a style matrix: a rounded sum is not positive
    semi-definite, and its root does not exist.
    """

    CHUNK = 4096  # rows widened at a time: they stay in the cache

    @staticmethod
    def forward(ctx, rows: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows)
        count = rows.shape[1]
        if rows.is_cuda and rows.dtype == torch.bfloat16:
            return rows.mean(1, dtype=torch.float32), torch.bmm(rows.mT, rows, out_dtype=torch.float32) / count
        mean, second = 0, 0
        for chunk in map(_widen, rows.split(_Moments.CHUNK, dim=1)):
            mean, second = mean + chunk.sum(1), second + chunk.mT @ chunk
        return mean / count, second / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, of_mean: Tensor, of_second: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        count = rows.shape[1]
        along = ((of_second + of_second.mT) / count).to(rows.dtype)
        return torch.baddbmm((of_mean / count).to(rows.dtype)[:, None], rows, along)


class _Overlap(torch.autograd.Function):
    """`overlap`, whose gradient by the covariance is F (F^T C F)^-1/2 F^T / 2: nothing passes through the steps."""

    @staticmethod
    def forward(ctx, root: Tensor, covariance: Tensor, ridge: Tensor) -> Tensor:
        inner = root.mT @ covariance @ root  # (B, R, R)
        # F^T F is diagonal: the ridge stays below each direction's own rounding error.
        inner = (inner + inner.mT) / 2 + torch.diag_embed(ridge[:, None] * root.square().sum(-2))
        inverse = inverse_root(inner)
        ctx.save_for_backward(root, inverse)
        return (inner * inverse).sum((-2, -1))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        root, inverse = ctx.saved_tensors
        return None, gradient[:, None, None] / 2 * (root @ inverse @ root.mT), None
