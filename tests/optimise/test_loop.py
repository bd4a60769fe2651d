import itertools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from nst.optimise import lbfgs, lbfgs_pairs, loop
from nst.optimise.lbfgs import BoxLBFGS, local_lengths
from nst.optimise.loop import DivergedError, minimise

SHAPE = (1, 3, 6, 5)
SIZE = 90
BOTH = pytest.mark.parametrize("optimiser", list(loop.OPTIMISERS))


def evaluator(cost: Callable[[Tensor], Tensor], seen: list[Tensor] | None = None) -> loop.Evaluate:
    """Cost and gradient by autograd; `seen` collects the pictures evaluated."""

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        pixels = image.detach().clone().requires_grad_()
        value = cost(pixels)
        if seen is not None:
            seen.append(image.clone())
        return value.detach()[None], torch.autograd.grad(value, pixels)[0]

    return evaluate


class Quadratic:
    """Half of (x - c)^T A (x - c), convex, with a minimum partly outside the box."""

    def __init__(self, condition: float, seed: int = 0, scale: float = 1.0) -> None:
        random = np.random.default_rng(seed)
        basis = np.linalg.qr(random.normal(size=(SIZE, SIZE)))[0]
        self.a = scale * basis @ np.diag(np.geomspace(1, condition, SIZE)) @ basis.T
        self.centre = random.uniform(-0.4, 1.4, SIZE)
        self.start = torch.full(SHAPE, 0.5, dtype=torch.float64)

    def __call__(self, image: Tensor) -> Tensor:
        away = image.reshape(-1) - torch.from_numpy(self.centre).to(image)
        return 0.5 * away @ (torch.from_numpy(self.a).to(image) @ away)

    def minimum(self) -> tuple[np.ndarray, float]:
        found = scipy.optimize.minimize(
            lambda x: (0.5 * (x - self.centre) @ self.a @ (x - self.centre), self.a @ (x - self.centre)),
            np.full(SIZE, 0.5),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, 1)] * SIZE,
            options={"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-10},
        )
        assert found.success
        return found.x, found.fun


def waves(image: Tensor) -> Tensor:
    """A cost with many minima, some at the box, and gradients that no quadratic has."""
    target = torch.linspace(-0.3, 1.3, image.numel()).view_as(image).to(image)
    return ((image - target) ** 2).mean() + 0.05 * torch.sin(25 * image).mean() + image.diff(dim=-1).abs().mean()


@pytest.mark.parametrize("condition", [1, 10, 100, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_box_lbfgs_finds_the_solution_of_scipy_s_lbfgsb(condition: float, seed: int) -> None:
    quadratic = Quadratic(condition, seed)
    x, cost = quadratic.minimum()
    assert 20 < ((x <= 0) | (x >= 1)).sum() < 70  # the bounds matter
    enough = 1e-6 * (quadratic(quadratic.start).item() - cost)
    steps = minimise(evaluator(quadratic), quadratic.start, 600)
    assert any(e.cost - cost < enough and np.abs(e.image.numpy().ravel() - x).max() < 1e-3 for e in steps)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_box_lbfgs_does_not_care_for_the_unit_of_the_cost(scale: float) -> None:
    plain, scaled = (
        [e.image for e in minimise(evaluator(q), q.start, 30)] for q in (Quadratic(100), Quadratic(100, scale=scale))
    )
    assert torch.allclose(plain[-1], scaled[-1], atol=1e-6)


def test_box_lbfgs_finds_the_corner_that_a_linear_cost_points_to() -> None:
    slope = torch.linspace(-1, 1, SIZE, dtype=torch.float64).view(SHAPE)
    *_, last = minimise(evaluator(lambda x: (slope * x).sum()), torch.full(SHAPE, 0.5, dtype=torch.float64), 200)
    assert torch.equal(last.image, (slope < 0).double())


def test_adam_comes_near_the_minimum() -> None:
    quadratic = Quadratic(10)
    _, cost = quadratic.minimum()
    *_, last = minimise(evaluator(quadratic), quadratic.start, 300, "adam")
    assert last.cost - cost < 1e-3 * (quadratic(quadratic.start).item() - cost)


def test_box_lbfgs_learns_from_the_steps_that_were_really_taken() -> None:
    """Curvature pairs are differences of pictures inside the box, and of their gradients."""
    quadratic = Quadratic(10)
    evaluate = evaluator(quadratic)
    methods = []

    def make(like: Tensor, steps: int) -> BoxLBFGS:
        methods.append(BoxLBFGS(like, steps, memory=15))
        return methods[0]

    walked = [quadratic.start, *(e.image.clone() for e in minimise(evaluate, quadratic.start, 15, make))]
    assert any(0 in image or 1 in image for image in walked)
    pairs = methods[0].pairs.stored
    for row, (before, after) in enumerate(itertools.pairwise(walked[:-1])):
        assert torch.allclose(pairs[row], (after - before).reshape(-1))
        change = evaluate(after)[1] - evaluate(before)[1]
        assert torch.allclose(pairs[15 + row], change.reshape(-1))


def test_local_lengths_are_shorter_where_the_gradient_is_stronger() -> None:
    gradient = torch.randn(1, 3, 40, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient[..., 30:] *= 3
    found = local_lengths(gradient, 0.25)[0, 0]
    energy = (gradient[0] ** 2).mean(0).numpy()
    for row, column in ((0, 0), (20, 12), (20, 29), (39, 59)):
        window = energy[max(0, row - 9) : row + 10, max(0, column - 9) : column + 10]
        assert found[row, column].item() == pytest.approx((window.mean() / energy.mean()) ** -0.125)
    assert found[:, 39:].max() < found[:, :21].min()


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (5, 7)], ids=str)
def test_local_lengths_of_an_even_gradient_are_one_at_any_size(shape: tuple[int, int]) -> None:
    assert torch.allclose(local_lengths(torch.full((1, 3, *shape), -2.0), 0.25), torch.ones(1, 1, *shape))
    assert local_lengths(torch.zeros(1, 3, *shape), 0.25).isfinite().all()
    assert torch.equal(local_lengths(torch.rand(1, 3, *shape), 0.0), torch.ones(1, 1, *shape))


def textbook_two_loop(pairs: list, g: np.ndarray, initial: Callable, gain: float) -> np.ndarray:
    """Nocedal & Wright 2006, algorithm 7.4, with the scaling of equation 7.20 for an initial matrix of any shape."""
    q, alphas = g.copy(), []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (y @ s))
        q = q - alphas[-1] * y
    s, y = pairs[-1]
    r = gain * (s @ y) / (y @ initial(y)) * initial(q)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + s * (alpha - y @ r / (y @ s))
    return -r


def two_loop(pairs: np.ndarray, order: list[int], g: np.ndarray, initial: Callable, gain: float) -> tuple:
    """The function under test with pairs (2 m, N); only those in `order` count, from old to new."""
    memory = len(pairs) // 2
    oldest_first = [*(set(range(memory)) - set(order)), *order]
    trusted = torch.tensor([row in order for row in range(memory)])
    remembered = lbfgs_pairs.LbfgsPairs(torch.from_numpy(pairs), torch.float64)
    remembered.hold(torch.ones(pairs.shape[1], dtype=torch.float64))
    direction, scale = lbfgs.two_loop(
        remembered,
        torch.tensor(oldest_first),
        trusted,
        torch.from_numpy(g),
        initial,
        gain,
        lambda v: torch.tensor(0.25, dtype=v.dtype),
    )
    return direction.numpy(), scale.item()


@pytest.mark.parametrize("order", [[0], [0, 1, 2, 3], [2, 3, 0, 1], [3, 1]], ids=str)
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_two_loop_is_the_textbook_s(order: list[int], gain: float) -> None:
    random = np.random.default_rng(3)
    steps = random.normal(size=(4, SIZE))
    changes = steps * random.uniform(0.5, 4, SIZE) + 0.1 * random.normal(size=(4, SIZE))
    diagonal, g = random.uniform(0.5, 2, SIZE), random.normal(size=SIZE)
    expected = textbook_two_loop([(steps[i], changes[i]) for i in order], g, lambda v: diagonal * v, gain)
    pairs = np.concatenate([steps, changes])
    found, scale = two_loop(pairs, order, g, lambda v: torch.from_numpy(diagonal) * v, gain)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)
    newest = order[-1]
    y = changes[newest]
    assert scale == pytest.approx(gain * (steps[newest] @ y) / (y @ (diagonal * y)))


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("flat", [False, True], ids=["negative", "zero but for rounding"])
def test_two_loop_leaves_out_pairs_without_positive_curvature(bad: int, flat: bool) -> None:
    random = np.random.default_rng(4)
    steps = random.normal(size=(3, SIZE))
    changes = steps * random.uniform(0.5, 4, SIZE)
    changes[bad] -= steps[bad] * (steps[bad] @ changes[bad]) / (steps[bad] @ steps[bad]) if flat else 2 * changes[bad]
    g = random.normal(size=SIZE)
    found, _ = two_loop(np.concatenate([steps, changes]), [0, 1, 2], g, lambda v: v, 1.0)
    good = [(steps[i], changes[i]) for i in range(3) if i != bad]
    expected = textbook_two_loop(good, g, lambda v: v, 1.0)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", [[], [0, 1, 2, 3]], ids=["none trusted", "all zero"])
def test_two_loop_without_a_pair_is_steepest_descent(order: list[int]) -> None:
    g = np.linspace(-1, 1, SIZE)
    direction, scale = two_loop(np.zeros((8, SIZE)), order, g, lambda v: 3 * v, 1.0)
    assert np.allclose(direction, -0.75 * g)
    assert scale == 0


def test_pixels_are_held_where_they_are_pushed_out_of_the_box() -> None:
    x = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.5, 0.5])
    g = torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0])
    assert lbfgs.free_pixels(x, g).tolist() == [0, 1, 1, 1, 0, 1, 1, 1]


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 4)], ids=str)
def test_frequency_preconditioner_is_symmetric_and_positive_definite(size: tuple[int, int]) -> None:
    apply = lbfgs.frequency_preconditioner(*size, 0.8, device=torch.device("cpu"), dtype=torch.float64)
    count = 3 * size[0] * size[1]
    units = torch.eye(count, dtype=torch.float64).view(count, 1, 3, *size)
    matrix = torch.stack([apply(unit).reshape(-1) for unit in units])
    assert matrix.dtype == torch.float64
    assert torch.allclose(matrix, matrix.T, atol=1e-12)
    assert torch.linalg.eigvalsh(matrix).min() > 1e-3


def test_frequency_preconditioner_damps_by_a_power_of_the_frequency() -> None:
    apply = lbfgs.frequency_preconditioner(16, 32, power=0.5, device=torch.device("cpu"), dtype=torch.float64)
    across = torch.arange(32, dtype=torch.float64) / 32 * 2 * torch.pi
    slow, fast = (torch.cos(r * across).expand(1, 3, 16, 32) for r in (2, 8))
    gains = [(apply(wave) / wave).median().item() for wave in (slow, fast)]
    assert torch.allclose(apply(slow), gains[0] * slow, atol=1e-12)
    assert gains[0] / gains[1] == pytest.approx(2)


@BOTH
def test_every_iterate_stays_in_the_box_and_is_evaluated_there(optimiser: str) -> None:
    seen: list[Tensor] = []
    start = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) * 3 - 1
    yielded = [e.image for e in minimise(evaluator(waves, seen), start, 80, optimiser)]
    assert all(image.min() >= 0 and image.max() <= 1 for image in seen + yielded)


@BOTH
@pytest.mark.parametrize("steps", [1, 2, 25])
def test_exactly_so_many_steps_are_yielded_each_with_its_own_cost(optimiser: str, steps: int) -> None:
    seen: list[Tensor] = []
    yielded = list(minimise(evaluator(waves, seen), torch.full(SHAPE, 0.5), steps, optimiser))
    assert len(yielded) == steps
    assert len(seen) == steps + 1
    assert all(e.cost == waves(e.image).item() for e in yielded)
    assert all(torch.equal(e.image, image) for e, image in zip(yielded, seen[1:], strict=True))


@BOTH
def test_yielded_pictures_are_not_changed_afterwards(optimiser: str) -> None:
    yielded, copies = [], []
    for evaluation in minimise(evaluator(waves), torch.full(SHAPE, 0.5), 25, optimiser):
        yielded.append(evaluation.image)
        copies.append(evaluation.image.clone())
    assert all(torch.equal(image, copy) for image, copy in zip(yielded, copies, strict=True))


@BOTH
def test_the_start_is_left_as_it_was(optimiser: str) -> None:
    start = torch.full(SHAPE, 0.5)
    list(minimise(evaluator(waves), start, 5, optimiser))
    assert torch.equal(start, torch.full(SHAPE, 0.5))


@BOTH
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["cost", "gradient", "one number of the gradient"])
def test_what_is_not_finite_never_reaches_the_picture(optimiser: str, bad: float, where: str) -> None:
    """Evaluations 2, 7 and 8 go wrong, as when bfloat16 overflows for a moment."""
    plain, calls = evaluator(waves), []

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        terms, good = plain(image)
        calls.append(image)
        if len(calls) not in (2, 7, 8):
            return terms, good
        if where == "cost":
            return torch.full_like(terms, bad), good
        gradient = torch.full(SHAPE, bad) if where == "gradient" else good.clone()
        gradient[0, 1, 2, 3] = bad
        return terms, gradient

    yielded = list(minimise(evaluate, torch.full(SHAPE, 0.5), 20, optimiser))
    assert len(yielded) == 20
    assert len(calls) == 21 + 3
    assert all(image.isfinite().all() for image in calls)
    assert all(e.cost == pytest.approx(waves(e.image).item()) for e in yielded)


@BOTH
def test_a_region_without_a_cost_is_not_entered(optimiser: str) -> None:
    """The minimum lies at 0.9 everywhere, and above a mean of 0.6 the cost is NaN."""

    def cost(image: Tensor) -> Tensor:
        return ((image - 0.9) ** 2).sum() + (0.6 - image.mean()).sqrt() * 0

    images = []
    try:
        for evaluation in minimise(evaluator(cost), torch.full(SHAPE, 0.5), 60, optimiser):
            assert np.isfinite(evaluation.cost)
            images.append(evaluation.image)
    except DivergedError:
        pass  # giving up is right when even small steps enter it
    assert images
    assert all(image.isfinite().all() and image.mean() <= 0.6 for image in images)


@BOTH
@pytest.mark.parametrize("good", [0, 1, 5])
def test_run_that_stays_not_finite_is_given_up(optimiser: str, good: int) -> None:
    plain, calls, yielded = evaluator(waves), [], []

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(image)
        terms, gradient = plain(image)
        return (terms if len(calls) <= good else terms * torch.nan), gradient

    def run() -> None:
        yielded.extend([None])
        for evaluation in minimise(evaluate, torch.full(SHAPE, 0.5), 20, optimiser):
            yielded.append(evaluation)

    with pytest.raises(DivergedError):
        run()
    assert len(yielded) - 1 == max(0, good - 1)
    assert len(calls) == (good + 8 if good else 1), "eight smaller steps are tried"


def test_step_that_is_not_finite_is_tried_again_from_the_same_picture_and_smaller() -> None:
    class Walk:
        """Adds a number to each pixel, half of it after a retreat."""

        step = 0.1

        def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
            started.append(image.mean().item())
            return image + self.step

        def retreat(self) -> None:
            self.step /= 2

    started: list[float] = []
    plain, calls = evaluator(waves), itertools.count(1)

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        terms, gradient = plain(image)
        return (terms * torch.nan if next(calls) in (3, 4) else terms), gradient

    found = list(minimise(evaluate, torch.full(SHAPE, 0.2), 3, lambda *_: Walk()))
    assert started == pytest.approx([0.2, 0.3, 0.3, 0.3, 0.325])
    assert [e.image.mean().item() for e in found] == pytest.approx([0.3, 0.325, 0.35])
    assert [e.note is None for e in found] == [True, False, True], "each failure is told once"


@BOTH
def test_flat_cost_moves_nothing(optimiser: str) -> None:
    *_, last = minimise(evaluator(lambda x: (x * 0).sum()), torch.full(SHAPE, 0.3), 5, optimiser)
    assert torch.equal(last.image, torch.full(SHAPE, 0.3))


def test_adam_begins_anew_after_a_retreat_with_half_the_rate() -> None:
    image, random = torch.full(SHAPE, 0.5), torch.Generator().manual_seed(0)
    gradients = [torch.randn(SHAPE, generator=random) for _ in range(8)]
    walked, fresh = (loop.ProjectedAdam(image, 8, rate=rate, final_rate=rate) for rate in (0.04, 0.02))
    for gradient in gradients[:4]:
        walked.propose(image, gradient)
    walked.retreat()
    for gradient in gradients[4:]:
        assert torch.allclose(walked.propose(image, gradient), fresh.propose(image, gradient), atol=1e-6)


def test_lbfgs_takes_steps_of_a_fourth_at_most_after_a_retreat() -> None:
    """The minimum is far away, so that each step but the first is as long as it may be."""
    image, lengths = torch.full((1, 3, 16, 16), 0.2), []
    method = BoxLBFGS(image)
    for step in range(8):
        if step == 4:
            method.retreat()
        moved = method.propose(image, 1e-3 * (image - 10))
        lengths.append(lbfgs.rms((moved - image).reshape(-1)).item())
        image = moved
    assert max(lengths[:4]) == pytest.approx(0.05, rel=1e-3)
    assert max(lengths[4:]) == pytest.approx(0.0125, rel=1e-3)


@pytest.fixture
def torch_adam() -> type[torch.optim.Adam]:
    """Torch's Adam. The first one in a process loads the compiler of torch, which on a fresh checkout takes 5 s."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    return torch.optim.Adam


def test_projected_adam_walks_as_torch_s_adam_where_the_box_is_far(torch_adam: type[torch.optim.Adam]) -> None:
    steps, rate, final_rate = 40, 0.005, 0.0005
    target = torch.linspace(0.3, 0.7, SIZE, dtype=torch.float64).view(SHAPE)

    def cost(x: Tensor) -> Tensor:
        return ((x - target) ** 2 * (1 + target)).sum()

    evaluate = evaluator(cost)
    ours = theirs = torch.full(SHAPE, 0.5, dtype=torch.float64)
    method = loop.ProjectedAdam(ours, steps, rate, final_rate)
    theirs = theirs.clone().requires_grad_()
    adam = torch_adam([theirs], lr=rate, betas=(0.9, 0.99), eps=1e-30)
    falling = torch.optim.lr_scheduler.ExponentialLR(adam, (final_rate / rate) ** (1 / (steps - 1)))
    for _ in range(steps):
        ours = method.propose(ours, evaluate(ours)[1])
        theirs.grad = evaluate(theirs.detach())[1]
        adam.step()
        falling.step()
        assert torch.allclose(ours, theirs.detach(), atol=1e-9)
    assert ours.min() > 0
    assert ours.max() < 1


@pytest.mark.parametrize("start", [0.0, 0.5, 1.0])
@BOTH
def test_neither_optimiser_stalls_at_the_start(optimiser: str, start: float) -> None:
    first = torch.full(SHAPE, start)
    *_, last = minimise(evaluator(lambda x: 1e-9 * ((x - 0.4) ** 2).sum()), first, 40, optimiser)
    assert (last.image - 0.4).abs().max() < 0.25 * abs(start - 0.4)


def test_long_history_in_chunks_and_narrow_gives_the_same_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairs of a large picture are processed in parts, are fewer, and are bfloat16."""
    quadratic = Quadratic(10)
    evaluate = evaluator(quadratic)

    def walked() -> list[torch.Tensor]:
        return [e.image.clone() for e in minimise(evaluate, quadratic.start, 12)]

    usual = walked()
    length = quadratic.start.numel()
    for module in (lbfgs_pairs, lbfgs):
        monkeypatch.setattr(module, "CHUNK", length // 3 - 1)
    chunked = walked()
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(usual[:6], chunked[:6], strict=True))
    monkeypatch.setattr(lbfgs_pairs, "PAIRS_BYTES", 1)
    assert lbfgs_pairs.pairs_for(length, 12, torch.float32) == (lbfgs_pairs.FEWEST_PAIRS, torch.bfloat16)
    costs = [evaluate(images[-1])[0][0] for images in (usual, walked())]
    start = evaluate(quadratic.start)[0][0]
    assert start - costs[1] > 0.9 * (start - costs[0])


class _NanAfter:
    """An optimiser that proposes a picture of NaN from its second step on."""

    def __init__(self, image: Tensor, steps: int) -> None:
        self.steps_taken = 0

    def propose(self, image: Tensor, gradient: Tensor) -> Tensor:
        self.steps_taken += 1
        return image * 0.9 if self.steps_taken == 1 else torch.full_like(image, torch.nan)

    def retreat(self) -> None:
        pass


def test_picture_of_nan_is_refused_where_its_cost_is_finite() -> None:
    """A kernel that computes max(0, x) makes 0 of NaN."""

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.nan_to_num(image)
        return seen.sum()[None], torch.ones_like(seen)

    steps = minimise(evaluate, torch.full((1, 3, 8, 8), 0.5), 5, _NanAfter)
    assert torch.isfinite(next(steps).image).all()
    with pytest.raises(DivergedError):
        next(steps)


@BOTH
@pytest.mark.parametrize("size", [1e15, 1e25, 1e33])
def test_cost_of_any_size_is_minimised(size: float, optimiser: str) -> None:
    """Squares of such gradients are infinite in float32."""
    goal = torch.linspace(0.2, 0.8, 3 * 16 * 16).view(1, 3, 16, 16)

    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        away = image - goal
        return size * away.square().mean()[None], 2 * size / away.numel() * away

    *_, last = minimise(evaluate, torch.full_like(goal, 0.5), 60, optimiser)
    assert (last.image - goal).abs().mean() < 0.02
    assert last.moved


@BOTH
@pytest.mark.parametrize(
    ("start", "slope", "moved"),
    [(0.5, 0.0, False), (0.0, 1.0, False), (1.0, -1.0, False), (0.5, 1.0, True)],
)
def test_steps_that_change_nothing_say_so(start: float, slope: float, moved: bool, optimiser: str) -> None:
    def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
        return (slope * image).sum()[None], torch.full_like(image, slope)

    found = list(minimise(evaluate, torch.full((1, 3, 16, 16), start), 3, optimiser))
    assert [evaluation.moved for evaluation in found] == [moved] * 3


@BOTH
@pytest.mark.parametrize("steps", [1, 7])
def test_the_last_step_needs_costs_alone_and_ends_with_the_same_picture(optimiser: str, steps: int) -> None:
    start, seen, seen_alone = torch.full(SHAPE, 0.5), [], []

    def costs(image: Tensor) -> Tensor:
        seen_alone.append(image)
        return waves(image)[None]

    *_, usual = minimise(evaluator(waves), start, steps, optimiser)
    *_, last = minimise(evaluator(waves, seen), start, steps, optimiser, costs)
    assert torch.equal(last.image, usual.image)
    assert last.terms == usual.terms
    assert (len(seen), len(seen_alone)) == (steps, 1)


def test_a_last_step_without_finite_costs_is_taken_again_and_smaller() -> None:
    tried: list[Tensor] = []

    def costs(image: Tensor) -> Tensor:
        tried.append(image)
        return waves(image)[None] * (1 if len(tried) > 1 else torch.nan)

    *_, last = minimise(evaluator(waves), torch.full(SHAPE, 0.5), 3, costs=costs)
    assert len(tried) == 2
    assert last.cost == waves(tried[1]).item()
    assert "smaller steps" in last.note
