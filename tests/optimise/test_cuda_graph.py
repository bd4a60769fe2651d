"""A step can be captured as a CUDA graph. Without a GPU, the conditions for that are checked on the CPU."""

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from nst.features import layers, weights
from nst.features.extractor import FeatureExtractor, kept_kernels
from nst.objective.objective import Objective, Targets
from nst.optimise import cuda_graph, lbfgs, loop
from nst.optimise.loop import minimise
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from nst.settings import Settings

BOTH = pytest.mark.parametrize("optimiser", list(loop.OPTIMISERS))
WAITING = {  # what makes the host wait for the device, or a shape depend on values
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.unique_dim.default,
}


class NoWaiting(TorchDispatchMode):
    """Fails at an operation that would wait for a GPU."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        assert function not in WAITING, f"{function} waits for the device"
        return function(*arguments, **(keywords or {}))


def objective_of(
    image: Tensor, dtype: torch.dtype = torch.float32, regions: bool = False, statistic: str = "gram"
) -> Objective:
    settings = Settings(balance=False, total_variation=1.0, statistic=statistic)
    inputs = Inputs(image, (image.flip(-1) * 0.5,))
    if regions:
        left = torch.zeros_like(image[:, :1])
        left[..., : image.shape[-1] // 2] = 1
        inputs = Inputs(image, (*inputs.paintings, image.flip(-2)), left.flip(-1) * 0.5 + 0.5, masks=(left, 1 - left))
    extractor = FeatureExtractor(settings.layers, device=image.device, dtype=dtype, replicate_edges=True)
    return Objective(extractor, Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 1)), settings)


@pytest.fixture
def as_if_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps on the CPU keep their state in place, as on CUDA."""
    monkeypatch.setattr(lbfgs, "steps_are_recorded", lambda device: True)


@BOTH
@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
@pytest.mark.parametrize("regions", [False, True], ids=["whole", "regions"])
def test_a_step_never_waits_for_the_device(optimiser: str, statistic: str, regions: bool, image: Tensor) -> None:
    objective = objective_of(image, regions=regions, statistic=statistic)
    state = loop._Minimisation(objective, loop.OPTIMISERS[optimiser], image.flip(-2), 5)
    with NoWaiting():
        for _ in range(3):
            state.step()
    with NoWaiting(), pytest.raises(AssertionError, match="waits"):  # the check fails where it should
        float(state.terms[0])


@BOTH
def test_a_step_leaves_its_state_where_it_was(optimiser: str, image: Tensor, as_if_recorded: None) -> None:
    """A captured step reads and writes fixed addresses."""
    state = loop._Minimisation(objective_of(image), loop.OPTIMISERS[optimiser], image.flip(-2), 5)

    def addresses() -> dict[str, int]:
        tensors = {**vars(state), **vars(state.method)}
        return {name: value.data_ptr() for name, value in tensors.items() if isinstance(value, Tensor)}

    state.step()  # allocates the rest of its state, as the calls before the captured one do on CUDA
    before = addresses()
    assert len(before) > 5
    for _ in range(3):
        state.step()
    state.method.retreat()
    state.step()
    assert addresses() == before


@BOTH
def test_a_step_keeps_to_one_device(
    optimiser: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Fake CUDA tensors refuse to be combined with CPU tensors, as real ones do; GPU kernels cannot be faked."""
    monkeypatch.setattr(layers, "FUSED_DTYPES", ())
    monkeypatch.setattr(layers, "gpu_pooling", lambda: None)
    request.addfinalizer(kept_kernels.clear)  # fake ones
    weights.load("vgg19")  # real numbers, before tensors become fake
    with FakeTensorMode(allow_non_fake_inputs=True):
        image = torch.rand(1, 3, 32, 48, device="cuda")
        objective = objective_of(image, torch.bfloat16)
        terms = objective.terms(image)
        assert {term.device.type for term in terms.values()} == {"cuda"}
        method = loop.OPTIMISERS[optimiser](image, 5)
        for _ in range(2):
            image = method.propose(image, torch.rand_like(image))
        assert image.device.type == "cuda"


@BOTH
def test_neither_late_reading_nor_fixed_addresses_change_anything(
    optimiser: str, image: Tensor, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device runs ahead of the host, or copies where the CPU does not: same pictures, same costs."""

    def run(steps_ahead: int) -> list[loop.Evaluation]:
        monkeypatch.setitem(loop.STEPS_AHEAD, "cpu", steps_ahead)
        return list(minimise(objective_of(image), image.flip(-2), 3, optimiser))

    at_once, late = run(0), run(2)
    request.getfixturevalue("as_if_recorded")
    for others in (late, run(0), run(2)):
        assert len(at_once) == len(others) == 3
        for one, other in zip(at_once, others, strict=True):
            assert torch.equal(one.image, other.image)
            assert one.terms == other.terms


@BOTH
def test_the_cpu_keeps_no_copies(optimiser: str, image: Tensor) -> None:
    """Memory has room for few copies of a large picture: the state, its optimiser and the caller share one."""
    state = loop._Minimisation(objective_of(image), loop.OPTIMISERS[optimiser], image.flip(-2), 5)
    state.step()
    assert loop._Snapshot(state).image is state.image
    if optimiser == "lbfgs":
        state.method.propose(state.image, state.gradient)
        assert state.method.image.data_ptr() == state.image.data_ptr()
        assert state.method.gradient.data_ptr() == state.gradient.data_ptr()


@BOTH
def test_steps_queued_behind_a_failed_one_are_thrown_away(optimiser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a mean of 0.6 the cost is NaN; even when steps run ahead, no such picture is yielded."""

    def evaluate(picture: Tensor) -> tuple[Tensor, Tensor]:
        cost = (picture - 0.9).square().sum() + (0.6 - picture.mean()).sqrt() * 0
        return cost[None], 2 * (picture - 0.9) + cost * 0

    monkeypatch.setitem(loop.STEPS_AHEAD, "cpu", 2)
    found = []
    try:
        for evaluation in minimise(evaluate, torch.full((1, 3, 6, 5), 0.5), 30, optimiser):
            found.append(evaluation)
    except loop.DivergedError:
        pass  # giving up is right when even small steps enter it
    assert found
    assert all(e.image.mean() <= 0.6 and e.cost == e.cost for e in found)


def test_the_first_call_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In it cuDNN chooses algorithms."""
    done = []
    monkeypatch.setattr(cuda_graph, "_idle_stream", lambda _: None)
    monkeypatch.setattr(cuda_graph.CapturedStep, "_record", lambda _: done.append("recorded"))
    monkeypatch.setattr(cuda_graph.CapturedStep, "_run_unrecorded", lambda _: done.append("run"))
    step = cuda_graph.CapturedStep(lambda: None, torch.device("cpu"))
    step()
    assert done == ["run"]
    step()
    assert done[1] == "recorded"
