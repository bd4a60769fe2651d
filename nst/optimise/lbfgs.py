"""L-BFGS for pictures: pixels live in a box, and the cost is most curved at high spatial frequencies.

Nothing here waits for the device: every decision is a `torch.where`. On CUDA all state keeps its memory, so that a
whole step can be recorded as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.optimise.lbfgs_pairs import CHUNK, LbfgsPairs, pairs_for

NEIGHBOURHOOD_PX = 9  # distance from a pixel within which gradients count for its local energy


class BoxLBFGS:
    """Proposes steps for a picture in [0, 1].

    It consists of:
    - the two-loop recursion of Nocedal 1980, done on inner products only (Chen, Wang & Zhou 2014), because pictures
      are long vectors and the pairs are one matrix;
    - an active set (Bertsekas 1982; Schmidt, Kim & Sra 2011): pixels at 0 or 1 that the gradient pushes outward are
      held, and left out of gradient, pairs and direction;
    - pairs from the step after projection into the box, not from the intended one;
    - a diagonal in the Fourier domain as initial inverse Hessian, scaled from the newest pair (Nocedal & Wright,
      eq. 7.20), times `gain`, because steps without a line search are otherwise too short;
    - a diagonal over positions on both sides of it, from the first gradient: where the gradient is large the cost is
      more curved too, and steps are shorter.
    """

    def __init__(
        self,
        like: Tensor,
        steps: int = 0,
        memory: int | None = None,
        gain: float = 2.0,
        power: float = 0.8,
        local: float = 0.25,
        first_rms: float = 0.02,
    ) -> None:
        memory, dtype = (memory, like.dtype) if memory else pairs_for(like.numel(), steps, like.dtype)
        self.memory = memory
        self.gain = gain
        self.local = local
        self.precondition = frequency_preconditioner(*like.shape[-2:], power, device=like.device, dtype=like.dtype)
        self.pairs = LbfgsPairs(like.new_zeros(2 * memory, like.numel(), dtype=dtype), like.dtype)
        self.trusted = torch.zeros(memory, dtype=torch.bool, device=like.device)
        self.count = torch.zeros(1, dtype=torch.long, device=like.device)  # pairs so far; a new one replaces the oldest
        self.rows = torch.arange(memory, device=like.device)
        self.image: Tensor | None = None  # (N), as the gradient: the last step was proposed for these
        self.gradient: Tensor | None = None
        self.lengths: Tensor | None = None  # (1, 1, H, W): factors of the step length
        self.scale = like.new_zeros(())  # of the initial inverse Hessian, from the newest pair; 0: none yet
        self.first_rms = like.new_tensor(first_rms)  # of the first step, in units of the pixel range
        self.cap_rms = like.new_tensor(max(0.05, first_rms))  # of any step

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        """The next picture (1, 3, H, W) in [0, 1] from this one and the gradient of its cost."""
        x, g = image.reshape(-1), gradient.reshape(-1)
        if self.image is None:
            self.lengths = local_lengths(gradient, self.local)
        else:
            self._remember(x - self.image, g - self.gradient)
        self.image, self.gradient = kept(self.image, x), kept(self.gradient, g)
        free = free_pixels(x, g)
        moved = self._direction(g * free, free, image.shape).add_(x).clamp_(0, 1)
        self.pairs.hold(None)
        return moved.view(image.shape)

    def retreat(self) -> None:
        """Forget what was learnt and move less: the last proposal gave no finite cost."""
        self.first_rms /= 4
        self.cap_rms /= 4
        self.trusted.zero_()
        self.scale.zero_()

    def _remember(self, step: Tensor, change: Tensor) -> None:
        """Keep a step, which is 0 if it was refused, and the change of the gradient along it: (N) each."""
        row = self.count % self.memory
        stored = self.pairs.stored
        stored.index_copy_(0, row, step[None].to(stored.dtype))
        stored.index_copy_(0, row + self.memory, change[None].to(stored.dtype))
        self.trusted.index_fill_(0, row, True)
        self.count += 1

    def _direction(self, g: Tensor, free: Tensor, shape: torch.Size) -> Tensor:
        """A downhill step (N) of the free pixels whose RMS is `cap_rms` at most. `g` (N) is 0 where pixels are held."""

        def initial_inverse_hessian(v: Tensor) -> Tensor:
            return self.precondition(v.view(shape) * self.lengths).mul_(self.lengths).reshape(-1).mul_(free)

        def first_scale(preconditioned: Tensor) -> Tensor:
            return torch.where(self.scale > 0, self.scale, self.first_rms / rms(preconditioned).clamp(min=1e-30))

        oldest_first = (self.count + self.rows) % self.memory
        self.pairs.hold(free)
        direction, measured = two_loop(
            self.pairs, oldest_first, self.trusted, g, initial_inverse_hessian, self.gain, first_scale
        )
        # The recursion goes downhill unless rounding errors are large: then take steepest descent and forget all pairs.
        uphill = direction @ g > 0
        self.trusted &= ~uphill
        self.scale.copy_(torch.where(measured > 0, measured, self.scale))
        torch.where(uphill, g * (-self.first_rms / rms(g).clamp(min=1e-30)), direction, out=direction)
        return direction.mul_(self.cap_rms / rms(direction).clamp(min=self.cap_rms))


def two_loop(
    pairs: LbfgsPairs,
    oldest_first: Tensor,
    trusted: Tensor,
    g: Tensor,
    initial_inverse_hessian: Callable[[Tensor], Tensor],
    gain: float,
    first_scale: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """The L-BFGS direction -H g (N), and the scale that the newest pair gives its initial inverse Hessian, 0 if none.

    `oldest_first` (m) orders the pairs and `trusted` (m) says which count. Pairs without positive curvature are left
    out; when none is left, `first_scale` gives the scale from the preconditioned gradient. Both loops of the recursion
    are triangular systems in the inner products (m x m, float64), so the long vectors are read a few times, not 4 m
    times.
    """
    m = trusted.numel()
    s, y = oldest_first, m + oldest_first
    inner = pairs.inner().double()  # (2m, 2m)
    curvature = inner[s][:, y]  # (m, m): s_i . y_j
    norms = inner.diagonal().sqrt()
    # A pair may have positive curvature only because of held pixels, so it is checked on the free ones.
    usable = trusted[s] & (curvature.diagonal() > 1e-8 * norms[s] * norms[y])
    both = usable[:, None] & usable
    upper = torch.where(both, curvature, torch.eye(m, dtype=curvature.dtype, device=curvature.device)).triu()

    def combination(coefficients: Tensor, of: Tensor) -> Tensor:
        return pairs.combination(coefficients.new_zeros(2 * m).index_copy(0, of, coefficients).to(g))

    along_s = pairs.along(g).double()[s] * usable
    alpha = torch.linalg.solve_triangular(upper, along_s[:, None], upper=True)[:, 0]
    r = combination(alpha, y)
    r = initial_inverse_hessian(torch.sub(g, r, out=r))  # in place, as below: a picture may be large
    measured = gain * _scale(pairs.row, y, usable, curvature.diagonal(), initial_inverse_hessian)
    r *= torch.where(measured > 0, measured, first_scale(r))
    along_y = pairs.along(r).double()[y] * usable
    rest = alpha * upper.diagonal() - along_y
    delta = torch.linalg.solve_triangular(upper.T, rest[:, None], upper=False)[:, 0]
    return r.add_(combination(delta, s)).neg_(), measured


def _scale(row: Callable, y: Tensor, usable: Tensor, curvature: Tensor, initial_inverse_hessian: Callable) -> Tensor:
    """s.y / (y H0 y) of the newest usable pair (Nocedal & Wright, eq. 7.20), 0 where there is none."""
    newest = (usable * torch.arange(1, len(usable) + 1, device=usable.device)).argmax(0, keepdim=True)  # (1)
    change = row(y[newest])
    bent = (change @ initial_inverse_hessian(change)).clamp(min=torch.finfo(change.dtype).tiny)
    return usable.any() * curvature[newest][0].to(change) / bent


def free_pixels(x: Tensor, g: Tensor) -> Tensor:
    """1 where a descent step can move the pixel, 0 where it sits on a bound and is pushed outward: (N), (N) -> (N)."""
    held = ((x <= 0) & (g > 0)) | ((x >= 1) & (g < 0))
    return (~held).to(x.dtype)


def frequency_preconditioner(
    height: int, width: int, power: float, *, device: torch.device, dtype: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """(1, 3, H, W) -> (1, 3, H, W), multiplying spatial frequency r (cycles per picture) by r^-power, RMS 1."""
    down = torch.fft.fftfreq(height, 1 / height, device=device, dtype=dtype)[:, None]
    across = torch.fft.rfftfreq(width, 1 / width, device=device, dtype=dtype)[None]
    response = torch.hypot(down, across).clamp(min=1) ** -power  # (H, W // 2 + 1)
    response = response / response.square().mean().sqrt()

    def apply(v: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(v).mul_(response), s=(height, width))

    def one_by_one(v: Tensor) -> Tensor:
        """One channel after the other: a third of the memory for frequencies."""
        out = torch.empty_like(v)
        for channel in range(v.shape[1]):
            out[:, channel] = apply(v[:, channel])
        return out

    return apply if height * width <= CHUNK else one_by_one


def local_lengths(gradient: Tensor, power: float) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W), e^-power where e is the gradient's RMS around a position by that of the whole."""
    near = NEIGHBOURHOOD_PX
    energy = gradient.square().mean(1, keepdim=True)
    across = F.avg_pool2d(energy, (1, 2 * near + 1), stride=1, padding=(0, near), count_include_pad=False)
    local = F.avg_pool2d(across, (2 * near + 1, 1), stride=1, padding=(near, 0), count_include_pad=False)
    whole = energy.mean().clamp(min=torch.finfo(energy.dtype).tiny)
    return (local / whole).clamp(0.05, 20) ** (-power / 2)


def kept(old: Tensor | None, new: Tensor) -> Tensor:
    """State for the next step: `new` itself, or, where steps are recorded, its values in the memory of `old`.

    A recorded step reads and writes fixed addresses. Elsewhere nothing is copied, because what is kept may be large.
    """
    if not steps_are_recorded(new.device):
        return new
    return new.clone() if old is None else old.copy_(new)


def steps_are_recorded(device: torch.device) -> bool:
    """Whether the steps of a run on this device are recorded as a CUDA graph (`nst.optimise.cuda_graph`)."""
    return device.type == "cuda"


def rms(v: Tensor) -> Tensor:
    """Root of the mean square: (N) -> scalar."""
    return torch.linalg.vector_norm(v) * v.numel() ** -0.5
