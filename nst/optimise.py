"""Minimise a cost over the pixels of a picture, which must stay in [0, 1]: two optimisers behind one generator.

An optimiser proposes the next picture; `minimise` evaluates it, refuses it when anything is not finite, and yields it.
Neither takes a line search: one step costs one gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

RETRIES = 8  # halvings of a step whose result is not finite, before the run is given up


@dataclass(frozen=True)
class Evaluation:
    """A picture (1, 3, H, W), its cost, the gradient of the cost, and whatever the caller wants to know besides."""

    image: Tensor
    cost: float
    gradient: Tensor
    detail: Any = None

    @property
    def is_finite(self) -> bool:
        # One sum instead of isfinite().all(): any NaN or infinity makes it NaN or infinite, at a third of the time.
        return abs(self.cost) < float("inf") and bool(self.gradient.sum().isfinite())


class DivergedError(ArithmeticError):
    """The cost or its gradient is not finite, and smaller steps did not help."""


class Optimiser(Protocol):
    """Turns an evaluated picture into the next one."""

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        """The next picture, of the same shape, in [0, 1]."""

    def retreat(self) -> None:
        """Forget what was learnt and move less: the last proposal gave no finite cost."""


def minimise(
    evaluate: Callable[[Tensor], Evaluation],
    image: Tensor,
    steps: int,
    optimiser: str | Callable[[int], Optimiser] = "lbfgs",
) -> Iterator[Evaluation]:
    """Yield the evaluation of the picture after each of `steps` steps.

    `evaluate` is called once for the start and once per step, so that cost and picture always belong together.
    `optimiser` is a name in `OPTIMISERS` or a function of the number of steps that makes one.
    Raises `DivergedError` when no finite step is found.
    """
    method = (OPTIMISERS[optimiser] if isinstance(optimiser, str) else optimiser)(steps)
    current = evaluate(image.clamp(0, 1))
    if not current.is_finite:
        raise DivergedError("the cost of the first picture is not finite")
    for _ in range(steps):
        current = _next_finite(evaluate, method, current)
        yield current


def _next_finite(evaluate: Callable[[Tensor], Evaluation], method: Optimiser, current: Evaluation) -> Evaluation:
    for _ in range(RETRIES):
        trial = evaluate(method.propose(current.image, current.gradient))
        if trial.is_finite:
            return trial
        method.retreat()
    raise DivergedError(f"no finite cost within {RETRIES} ever smaller steps")


class ProjectedAdam:
    """Adam (Kingma & Ba 2015) on pixels, each step clamped to [0, 1], with a rate that falls exponentially."""

    def __init__(self, steps: int, rate: float = 0.05, final_rate: float = 0.005) -> None:
        self.rate = rate
        self.decay = (final_rate / rate) ** (1 / max(1, steps - 1))
        self.betas = (0.9, 0.99)
        self.moments: tuple[Tensor, Tensor] | None = None
        self.count = 0

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        if self.moments is None:
            self.moments = torch.zeros_like(gradient), torch.zeros_like(gradient)
        mean, square = self.moments
        mean.lerp_(gradient, 1 - self.betas[0])
        square.lerp_(gradient.square(), 1 - self.betas[1])
        self.count += 1
        unbiased_mean = mean / (1 - self.betas[0] ** self.count)
        unbiased_square = square / (1 - self.betas[1] ** self.count)
        # No epsilon beside the root: costs have no natural scale. A pixel without gradient has 0 / tiny = 0.
        step = unbiased_mean / unbiased_square.sqrt().clamp(min=torch.finfo(square.dtype).tiny)
        rate = self.rate * self.decay ** (self.count - 1)
        return (image - rate * step).clamp(0, 1)

    def retreat(self) -> None:
        self.rate /= 2
        self.moments, self.count = None, 0


class BoxLBFGS:
    """L-BFGS that knows that pixels live in a box and that the cost is most curved at high spatial frequencies.

    What it is made of:
    - the two-loop recursion of Nocedal 1980, done on inner products only (Chen, Wang & Zhou 2014), because pictures
      are long vectors and the history is one matrix;
    - an active set (Bertsekas 1982; Schmidt, Kim & Sra 2011): pixels at 0 or 1 that the gradient pushes outward are
      held, and taken out of gradient, history and direction;
    - the projected step is the one that enters the history, not the one intended;
    - a diagonal in the Fourier domain as initial inverse Hessian, scaled from the newest pair (Nocedal & Wright,
      eq. 7.20), times `gain`, because the steps that are not line-searched are otherwise too short.
    """

    def __init__(self, steps: int = 0, memory: int = 12, gain: float = 2.0, power: float = 0.8) -> None:
        self.memory = memory
        self.power = power
        self.gain = gain
        self.first_rms = 0.02  # of the first step, in units of the pixel range
        self.cap_rms = 0.05  # of any step
        self.history: History | None = None
        self.scale: float | None = None  # the newest initial inverse Hessian's, survives an emptied history
        self.last: tuple[Tensor, Tensor] | None = None  # (step taken, gradient before it), flat

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        x, g = image.reshape(-1), gradient.reshape(-1)
        if self.history is None:
            self.history = History(self.memory, x)
            height, width = image.shape[-2:]
            self.precondition = frequency_preconditioner(
                height, width, self.power, device=image.device, dtype=image.dtype
            )
        if self.last is not None:
            step, previous = self.last
            self.history.add(step, g - previous)
        free = free_pixels(x, g)
        direction = self._direction(g * free, free, image.shape)
        moved = (x + direction).clamp(0, 1)
        self.last = moved - x, g
        return moved.view(image.shape)

    def retreat(self) -> None:
        self.first_rms, self.cap_rms = self.first_rms / 4, self.cap_rms / 4
        self.history, self.last, self.scale = None, None, None

    def _direction(self, g: Tensor, free: Tensor, shape: torch.Size) -> Tensor:
        """A step (N) that goes downhill along the free pixels and is no longer than the cap. `g` (N) is masked."""

        def initial_inverse_hessian(v: Tensor) -> Tensor:
            return free * self.precondition(v.view(shape)).reshape(-1)

        direction, scale = two_loop(
            self.history.pairs * free, self.history.order, g, initial_inverse_hessian, self.gain
        )
        self.scale = scale or self.scale
        if scale is None or direction @ g >= 0:  # no usable pair, or uphill: steepest descent, preconditioned
            self.history.clear()
            direction = -initial_inverse_hessian(g)
            if self.scale is None:
                direction = direction * (self.first_rms / rms(direction).clamp(min=1e-30))
            else:
                direction = direction * self.scale
        return direction * (self.cap_rms / rms(direction).clamp(min=self.cap_rms))


class History:
    """The last `memory` curvature pairs as one matrix (2 * memory, N): steps s above, gradient changes y below."""

    def __init__(self, memory: int, like: Tensor) -> None:
        self.memory = memory
        self.pairs = torch.zeros(2 * memory, like.numel(), device=like.device, dtype=like.dtype)
        self.masked = torch.empty_like(self.pairs)  # allocated once: new pages cost more than the product
        self.order: list[int] = []  # rows of s, oldest first

    def add(self, step: Tensor, change: Tensor) -> None:
        """Keep the pair if it shows positive curvature; the oldest makes room."""
        if step @ change <= 1e-8 * step.norm() * change.norm():
            return
        row = self.order.pop(0) if len(self.order) == self.memory else len(self.order)
        self.pairs[row], self.pairs[self.memory + row] = step, change
        self.order.append(row)

    def on(self, free: Tensor) -> Tensor:
        """The pairs with held pixels set to 0, (2 * memory, N); valid until the next call."""
        return torch.mul(self.pairs, free, out=self.masked)

    def clear(self) -> None:
        self.order = []


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


def two_loop(
    pairs: Tensor, order: list[int], g: Tensor, initial_inverse_hessian: Callable[[Tensor], Tensor], gain: float
) -> tuple[Tensor, float | None]:
    """The L-BFGS direction -H g (N) and the scale of its initial inverse Hessian; scale None without a usable pair.

    `pairs` is (2 m, N), `order` its rows of s from old to new. Every vector of the recursion is g, or r, plus a
    combination of the rows of `pairs`; so only the coefficients and the inner products are kept (in float64), and
    the long vectors are touched four times, not 4 m times.
    """
    m = pairs.shape[0] // 2
    inner = (pairs @ pairs.T).double().cpu()  # (2m, 2m)
    s_norm, y_norm = inner.diagonal()[:m].sqrt(), inner.diagonal()[m:].sqrt()
    # Holding pixels can take a pair's curvature away, so it is checked again on the free ones.
    usable = [i for i in order if inner[i, m + i] > 1e-8 * s_norm[i] * y_norm[i]]
    if not usable:
        return -g, None
    combination = torch.zeros(2 * m, dtype=torch.float64)
    along_g = (pairs @ g).double().cpu()
    alpha = {}
    for i in reversed(usable):
        alpha[i] = (along_g[i] + combination @ inner[i]) / inner[i, m + i]
        combination[m + i] -= alpha[i]
    newest = usable[-1]
    y = pairs[m + newest]
    scale = gain * float(inner[newest, m + newest]) / float(y @ initial_inverse_hessian(y))
    r = scale * initial_inverse_hessian(g + combination.to(pairs) @ pairs)
    along_r = (pairs @ r).double().cpu()
    combination.zero_()
    for i in usable:
        combination[i] += alpha[i] - (along_r[m + i] + combination @ inner[m + i]) / inner[i, m + i]
    return -(r + combination.to(pairs) @ pairs), scale


def rms(v: Tensor) -> Tensor:
    """Root of the mean square: (N) -> scalar."""
    return v.square().mean().sqrt()


OPTIMISERS: dict[str, Callable[[int], Optimiser]] = {"lbfgs": BoxLBFGS, "adam": ProjectedAdam}
