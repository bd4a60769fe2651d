"""Costs and gradients on a GPU, held to the CPU's."""

import pytest
import torch

from nst.scaled_pictures import Inputs
from tests.objective.test_objective import BOTH, objective_of, rectangle, tensor


@BOTH
@pytest.mark.parametrize(
    ("dtype", "within", "alike"), [(torch.float32, 1e-3, 0.9999), (torch.bfloat16, 0.02, 0.98)], ids=str
)
def test_gpu_terms_and_gradient_are_the_cpu_s(
    dtype: torch.dtype, within: float, alike: float, statistic: str, photo, style, other_style
) -> None:
    parts = rectangle(0, 48, 0, 30), rectangle(8, 40, 30, 64)
    image, both = tensor(photo).flip(-1), (tensor(photo), (tensor(style), tensor(other_style)))
    found = []
    for device, precision in (("cpu", torch.float32), ("cuda", dtype)):
        shown, (pictured, painted) = image.to(device), both
        inputs = Inputs(
            pictured.to(device), tuple(p.to(device) for p in painted), masks=tuple(p.to(device) for p in parts)
        )
        terms, gradient = objective_of(inputs, precision, statistic=statistic, total_variation=0.1)(shown)
        found.append((terms.cpu(), gradient.cpu().flatten()))
    (expected, exact), (terms, gradient) = found
    assert torch.allclose(terms, expected, rtol=within)
    assert torch.cosine_similarity(gradient, exact, dim=0) > alike
    assert gradient.norm() == pytest.approx(float(exact.norm()), rel=2 * within)
