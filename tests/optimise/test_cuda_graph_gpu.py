"""Steps captured as a CUDA graph."""

import torch
from torch import Tensor

from nst.optimise import loop
from nst.optimise.cuda_graph import WARM_UP_CALLS, CapturedStep
from tests.optimise.test_cuda_graph import BOTH, objective_of


@BOTH
def test_recorded_steps_are_those_taken_one_by_one(optimiser: str, image: Tensor) -> None:
    objective = objective_of(image.cuda())
    make = loop.OPTIMISERS[optimiser]
    plain, recorded = (loop._Minimisation(objective, make, image.cuda().flip(-2), 12) for _ in range(2))
    take = CapturedStep(recorded.step, recorded.image.device)
    for _ in range(3 * WARM_UP_CALLS):
        plain.step()
        take()
    assert take.failure is None
    assert take.graph is not None
    assert torch.allclose(plain.image, recorded.image, atol=1e-3)
    assert torch.allclose(plain.terms, recorded.terms, rtol=1e-3)


def test_what_cannot_be_recorded_runs_as_it_is_and_says_why() -> None:
    calls = []

    def step() -> None:
        calls.append(torch.ones(1, device="cuda").item())  # waits for the device

    take = CapturedStep(step, torch.device("cuda", 0))
    for _ in range(WARM_UP_CALLS + 2):
        take()
    assert take.failure
    assert len(calls) >= WARM_UP_CALLS + 2


def test_a_failed_record_leaves_neither_memory_nor_a_waiting_generator() -> None:
    def step() -> None:
        torch.ones(2**26, device="cuda").sum().item()  # 256 MiB; waits for the device

    def reserved() -> int:
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    step()
    before = reserved()
    take = CapturedStep(step, torch.device("cuda", 0))
    for _ in range(WARM_UP_CALLS + 2):
        take()
    assert take.failure
    assert reserved() < before + 2**26
    assert torch.rand(8, device="cuda").max() < 1
