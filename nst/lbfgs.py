"""L-BFGS for pictures: pixels live in a box, and the cost is most curved at high spatial frequencies.

Nothing here waits for the device: every decision is a `torch.where` and all state stays in the same memory, so that a
CUDA graph can hold a whole step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class BoxLBFGS:
    """Proposes steps for a picture in [0, 1].

    What it is made of:
    - the two-loop recursion of Nocedal 1980, done on inner products only (Chen, Wang & Zhou 2014), because pictures
      are long vectors and the history is one matrix;
    - an active set (Bertsekas 1982; Schmidt, Kim & Sra 2011): pixels at 0 or 1 that the gradient pushes outward are
      held, and taken out of gradient, history and direction;
    - the projected step is the one that enters the history, not the one intended;
    - a diagonal in the Fourier domain as initial inverse Hessian, scaled from the newest pair (Nocedal & Wright,
      eq. 7.20), times `gain`, because the steps that are not line-searched are otherwise too short.
    """

    def __init__(self, like: Tensor, steps: int = 0, memory: int = 12, gain: float = 2.0, power: float = 0.8) -> None:
        self.memory = memory
        self.gain = gain
        self.precondition = frequency_preconditioner(*like.shape[-2:], power, device=like.device, dtype=like.dtype)
        self.pairs = like.new_zeros(2 * memory, like.numel())  # steps s above, gradient changes y below
        self.masked = torch.empty_like(self.pairs)  # allocated once: new pages cost more than the product
        self.trusted = torch.zeros(memory, dtype=torch.bool, device=like.device)
        self.count = torch.zeros(1, dtype=torch.long, device=like.device)  # pairs seen; the oldest makes room
        self.rows = torch.arange(memory, device=like.device)
        self.step, self.gradient = like.new_zeros(like.numel()), like.new_zeros(like.numel())
        self.scale = like.new_zeros(())  # the newest initial inverse Hessian's; 0: none yet
        self.first_rms = like.new_tensor(0.02)  # of the first step, in units of the pixel range
        self.cap_rms = like.new_tensor(0.05)  # of any step

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        """The next picture (1, 3, H, W) in [0, 1] from this one and the gradient of its cost."""
        x, g = image.reshape(-1), gradient.reshape(-1)
        self._remember(g)
        free = free_pixels(x, g)
        direction = self._direction(g * free, free, image.shape)
        moved = (x + direction).clamp(0, 1)
        torch.sub(moved, x, out=self.step)
        self.gradient.copy_(g)
        return moved.view(image.shape)

    def retreat(self) -> None:
        """Forget what was learnt and move less: the last proposal gave no finite cost."""
        self.first_rms /= 4
        self.cap_rms /= 4
        for state in (self.step, self.gradient, self.trusted, self.scale):
            state.zero_()

    def _remember(self, g: Tensor) -> None:
        """Keep the last step taken and what it changed in the gradient."""
        row = self.count % self.memory
        self.pairs.index_copy_(0, row, self.step[None])
        self.pairs.index_copy_(0, row + self.memory, (g - self.gradient)[None])
        self.trusted.index_fill_(0, row, True)
        self.count += 1

    def _direction(self, g: Tensor, free: Tensor, shape: torch.Size) -> Tensor:
        """A step (N) that goes downhill along the free pixels and is no longer than the cap. `g` (N) is masked."""

        def initial_inverse_hessian(v: Tensor) -> Tensor:
            return free * self.precondition(v.view(shape)).reshape(-1)

        def first_scale(preconditioned: Tensor) -> Tensor:
            return torch.where(self.scale > 0, self.scale, self.first_rms / rms(preconditioned).clamp(min=1e-30))

        oldest_first = (self.count + self.rows) % self.memory
        pairs = torch.mul(self.pairs, free, out=self.masked)
        direction, measured = two_loop(
            pairs, oldest_first, self.trusted, g, initial_inverse_hessian, self.gain, first_scale
        )
        # The recursion goes downhill unless rounding has spoilt it: then steepest descent, and a new history.
        uphill = direction @ g > 0
        self.trusted &= ~uphill
        self.scale.copy_(torch.where(measured > 0, measured, self.scale))
        direction = torch.where(uphill, -g * (self.first_rms / rms(g).clamp(min=1e-30)), direction)
        return direction * (self.cap_rms / rms(direction).clamp(min=self.cap_rms))


def two_loop(
    pairs: Tensor,
    oldest_first: Tensor,
    trusted: Tensor,
    g: Tensor,
    initial_inverse_hessian: Callable[[Tensor], Tensor],
    gain: float,
    first_scale: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """The L-BFGS direction -H g (N), and the scale that the newest pair gives its initial inverse Hessian, 0 if none.

    `pairs` is (2 m, N), steps s above gradient changes y; `oldest_first` (m) orders the pairs and `trusted` (m) says
    which count. Pairs without positive curvature are left out; when none is left, `first_scale` gives the scale from
    the preconditioned gradient. Both loops of the recursion are triangular systems in the inner products (m x m,
    float64), so the long vectors are touched a few times, not 4 m times.
    """
    m = trusted.numel()
    s, y = oldest_first, m + oldest_first
    inner = (pairs @ pairs.T).double()  # (2m, 2m)
    curvature = inner[s][:, y]  # (m, m): s_i . y_j
    norms = inner.diagonal().sqrt()
    # Holding pixels can take a pair's curvature away, so it is checked on the free ones.
    usable = trusted[s] & (curvature.diagonal() > 1e-8 * norms[s] * norms[y])
    both = usable[:, None] & usable
    upper = torch.where(both, curvature, torch.eye(m, dtype=curvature.dtype, device=curvature.device)).triu()

    def combination(coefficients: Tensor, of: Tensor) -> Tensor:
        return coefficients.new_zeros(2 * m).index_copy(0, of, coefficients).to(pairs) @ pairs

    along_s = (pairs @ g).double()[s] * usable
    alpha = torch.linalg.solve_triangular(upper, along_s[:, None], upper=True)[:, 0]
    r = initial_inverse_hessian(g - combination(alpha, y))
    measured = gain * _scale(pairs, y, usable, curvature.diagonal(), initial_inverse_hessian)
    r = torch.where(measured > 0, measured, first_scale(r)) * r
    along_y = (pairs @ r).double()[y] * usable
    rest = alpha * upper.diagonal() - along_y
    delta = torch.linalg.solve_triangular(upper.T, rest[:, None], upper=False)[:, 0]
    return -(r + combination(delta, s)), measured


def _scale(pairs: Tensor, y: Tensor, usable: Tensor, curvature: Tensor, initial_inverse_hessian: Callable) -> Tensor:
    """s.y / (y H0 y) of the newest usable pair (Nocedal & Wright, eq. 7.20), 0 where there is none."""
    newest = (usable * torch.arange(1, len(usable) + 1, device=usable.device)).argmax(0, keepdim=True)  # (1)
    change = pairs.index_select(0, y[newest])[0]
    bent = (change @ initial_inverse_hessian(change)).clamp(min=torch.finfo(pairs.dtype).tiny)
    return usable.any() * curvature[newest][0].to(pairs) / bent


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
    return lambda v: torch.fft.irfft2(torch.fft.rfft2(v) * response, s=(height, width))


def rms(v: Tensor) -> Tensor:
    """Root of the mean square: (N) -> scalar."""
    return v.square().mean().sqrt()
