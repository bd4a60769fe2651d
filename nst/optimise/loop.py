"""Minimise a cost over the pixels of a picture, which must stay in [0, 1]: two optimisers behind one generator.

An optimiser proposes the next picture; `minimise` evaluates it, refuses it when anything is not finite, and yields it.
There is no line search: one step costs one gradient.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nst.optimise.cuda_graph import CapturedStep
from nst.optimise.lbfgs import BoxLBFGS, kept, steps_are_recorded

RETRIES = 8  # smaller steps that are tried after one whose result is not finite, before `DivergedError`
# Kind of device -> steps that are queued on it while the host reads the costs of an earlier one. A CPU works at once.
STEPS_AHEAD = {"cuda": 2}

LARGEST_EXPONENT = 40  # binary, of a gradient that is used as it is: its square must be far from float32's 127

# A picture (1, 3, H, W) -> the terms of its cost (K), the cost itself first, and the gradient of the cost.
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Evaluation:
    """A picture (1, 3, H, W) in [0, 1], which must not be written to, and the terms of its cost."""

    image: Tensor
    terms: tuple[float, ...]  # the cost first
    note: str | None = None  # how the run goes on when something did not go as planned
    moved: bool = True  # whether this or an earlier step changed the picture

    @property
    def cost(self) -> float:
        return self.terms[0]


class DivergedError(ArithmeticError):
    """The cost or its gradient is not finite, and smaller steps did not help."""


class Optimiser(Protocol):
    """Turns an evaluated picture into the next one.

    It does not wait for the device, and where steps are recorded it keeps its state at the same addresses.
    """

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        """The next picture from a picture (1, 3, H, W) in [0, 1] and the gradient of its cost.

        It may keep both arguments, except where steps are recorded, which reuse their memory.
        """

    def retreat(self) -> None:
        """Forget what was learnt and move less: the last proposal gave no finite cost."""


Make = Callable[[Tensor, int], Optimiser]  # makes an optimiser for a picture (1, 3, H, W) and a number of steps


def minimise(
    evaluate: Evaluate,
    image: Tensor,
    steps: int,
    optimiser: str | Make = "lbfgs",
    costs: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Evaluation]:
    """Yield the evaluation of the picture after each of `steps` steps.

    `image` is sRGB (1, 3, H, W) in [0, 1]. `evaluate` is called once for it and once per step, so that cost and picture
    always belong together. `optimiser` is a name in `OPTIMISERS`, or a function of picture and steps that makes one.
    `costs` gives the terms alone: the last step needs no gradient, unless steps are recorded.
    On CUDA the device works up to `STEPS_AHEAD` steps ahead of what is yielded. Raises `DivergedError` when no finite
    step is found.
    """
    state = _Minimisation(evaluate, OPTIMISERS[optimiser] if isinstance(optimiser, str) else optimiser, image, steps)
    del image  # the state has a copy; this one may be large
    device = state.image.device
    take = CapturedStep(state.step, device) if steps_are_recorded(device) else state.step
    ahead = STEPS_AHEAD.get(device.type, 0)
    queued: deque[_Snapshot] = deque()
    taken = retries = 0
    while taken < steps:
        while len(queued) <= ahead and taken + len(queued) < steps:
            if costs and not steps_are_recorded(device) and taken + 1 == steps:
                state.last_step(costs)
            else:
                take()
            queued.append(_Snapshot(state))
        failure = getattr(take, "failure", None)
        slower = failure and f"more slowly: {failure}"
        note = "with smaller steps: one led to costs that are not finite" if retries else slower
        evaluation = queued.popleft().read(note)
        if evaluation.cost == evaluation.cost:
            taken, retries = taken + 1, 0
            yield evaluation
            continue
        queued.clear()  # these steps start from the same picture and fail as well
        retries += 1
        if retries == RETRIES:
            raise DivergedError(f"no finite cost within {RETRIES} ever smaller steps")
        state.method.retreat()


class _Minimisation:
    """The state of a minimisation. On CUDA its tensors keep their memory, so that a step can be recorded."""

    def __init__(self, evaluate: Evaluate, make: Make, image: Tensor, steps: int) -> None:
        self.evaluate = evaluate
        self.image = image.clamp(0, 1)
        terms, gradient = evaluate(self.image)
        self.scale = _scale_for(gradient)
        self.terms, self.gradient = terms.clone(), gradient * self.scale
        if not _is_finite(self.image, self.terms, self.gradient):
            raise DivergedError("the cost of the first picture is not finite")
        self.moved = self.terms.new_zeros(1)  # 1 once a step has changed the picture
        self.method = make(self.image, steps)

    def step(self) -> None:
        """Take one step. When its result is not finite, keep the picture and set the terms to NaN."""
        trial = self.method.propose(self.image, self.gradient)
        self._accept(trial, *self.evaluate(trial))

    def last_step(self, costs: Callable[[Tensor], Tensor]) -> None:
        """`step` without the gradient of its result, which only a further step would need."""
        trial = self.method.propose(self.image, self.gradient)
        self._accept(trial, costs(trial), torch.zeros_like(trial))

    def _accept(self, trial: Tensor, terms: Tensor, gradient: Tensor) -> None:
        gradient = gradient * self.scale
        finite = _is_finite(trial, terms, gradient)
        moved = torch.maximum(self.moved, (trial != self.image).any())
        self.moved = kept(self.moved, torch.where(finite, moved, self.moved))
        self.terms = kept(self.terms, torch.where(finite, terms, torch.nan))
        self.image = kept(self.image, torch.where(finite, trial, self.image))
        self.gradient = kept(self.gradient, torch.where(finite, gradient, self.gradient))


class _Snapshot:
    """Picture and terms at one moment. On CUDA the terms are still being copied to the host."""

    def __init__(self, state: _Minimisation) -> None:
        self.image = kept(None, state.image)
        self.numbers = torch.cat([state.terms, state.moved]).to("cpu", non_blocking=True, copy=True)
        self.arrived = torch.cuda.Event() if state.image.is_cuda else None
        if self.arrived:
            self.arrived.record()

    def read(self, note: str | None) -> Evaluation:
        if self.arrived:
            self.arrived.synchronize()
        *terms, moved = self.numbers.tolist()
        return Evaluation(self.image, tuple(terms), note, moved > 0)


def _is_finite(image: Tensor, terms: Tensor, gradient: Tensor) -> Tensor:
    """Whether all of them are. The picture counts too: where a kernel turns NaN into 0, costs do not show it."""
    # Sums instead of isfinite().all(): any NaN or infinity makes them NaN or infinite, at a third of the time.
    return (terms[0] + gradient.sum() + image.sum()).isfinite()


def _scale_for(gradient: Tensor) -> Tensor:
    """1, or for a gradient of extreme size the power of two that brings it near 1: optimisers square gradients."""
    exponent = torch.frexp(gradient.abs().amax()).exponent
    return torch.where(exponent > LARGEST_EXPONENT, torch.ldexp(gradient.new_ones(()), -exponent.clamp(0, 126)), 1.0)


class ProjectedAdam:
    """Adam (Kingma & Ba 2015) on pixels, each step clamped to [0, 1], with a rate that falls exponentially."""

    def __init__(self, like: Tensor, steps: int, rate: float = 0.05, final_rate: float = 0.005) -> None:
        self.rate = like.new_tensor(rate)
        self.decay = (final_rate / rate) ** (1 / max(1, steps - 1))
        self.betas = (0.9, 0.99)
        self.mean, self.square = torch.zeros_like(like), torch.zeros_like(like)
        self.bias = like.new_ones(2)  # beta ** number of steps: the share that is still missing in the two moments
        self.factors = like.new_tensor(self.betas)

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        self.mean.lerp_(gradient, 1 - self.betas[0])
        self.square.lerp_(gradient.square(), 1 - self.betas[1])
        self.bias *= self.factors
        unbiased_mean = self.mean / (1 - self.bias[0])
        unbiased_square = self.square / (1 - self.bias[1])
        # No epsilon is added to the root: costs have no natural scale. A pixel without gradient gives 0 / tiny = 0.
        step = unbiased_mean / unbiased_square.sqrt().clamp(min=torch.finfo(self.square.dtype).tiny)
        moved = (image - self.rate * step).clamp(0, 1)
        self.rate *= self.decay
        return moved

    def retreat(self) -> None:
        self.rate /= 2
        self.mean.zero_()
        self.square.zero_()
        self.bias.fill_(1)


OPTIMISERS: dict[str, Make] = {"lbfgs": BoxLBFGS, "adam": ProjectedAdam}
