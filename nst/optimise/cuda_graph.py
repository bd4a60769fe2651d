"""Record a step as a CUDA graph: the host then starts hundreds of kernels with one call."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable

import torch

from nst import torch_private

WARM_UP_CALLS = 1  # cuDNN chooses its algorithms and cuFFT plans in the first one, neither of which can be recorded
# Streams that no step runs on now: cuBLAS keeps 32 MiB for each that it has ever met.
_idle: defaultdict[torch.device, list[torch.cuda.Stream]] = defaultdict(list)


class CapturedStep:
    """Calls `step`, a function without arguments that works on memory that stays where it is, and soon replays it.

    The first calls run as they are, on a stream of their own; then one is recorded, and every later call replays the
    record. Where recording fails, calls go on as they are and `failure` says why. `step` must not wait for the device.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step = step
        self.device = device
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.failure: str | None = None
        self.stream = _taken(device)
        weakref.finalize(self, _idle[device].append, self.stream)

    def __call__(self) -> None:
        self.calls += 1
        if self.graph is None and self.failure is None and self.calls > WARM_UP_CALLS:
            self._record()
        if self.graph is not None:
            self.graph.replay()
        else:
            self._run_aside()

    def _record(self) -> None:
        free, total = torch.cuda.mem_get_info(self.device)
        if free < total / 2:
            torch.cuda.empty_cache()  # what is recorded has memory of its own, and could not take this
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.device(self.device), torch.cuda.stream(self.stream):
                graph.capture_begin(pool, capture_error_mode="thread_local")  # other threads may go on with other work
                try:
                    self.step()
                finally:
                    graph.capture_end()
        except RuntimeError as error:  # whatever CUDA, cuDNN or cuFFT do not let be recorded
            # The step's own, where ending the record failed as well. A name for it would keep the tensors of the step.
            self.failure = str(error.__context__ or error).splitlines()[0]
            _clear_away(pool, self.device)
        else:
            self.graph = graph

    def _run_aside(self) -> None:
        """As the documentation of CUDA graphs asks for: what warms up must not run on the default stream."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            self.step()
        current.wait_stream(self.stream)


def _clear_away(pool: tuple[int, int], device: torch.device) -> None:
    """Undo what torch 2.11 leaves after a capture that could not be ended.

    That is memory which nothing else can use, and a random generator that still takes part in the capture.
    """
    with torch.cuda.device(device):
        index = torch.cuda.current_device()
    torch_private.release_pool(pool, index)
    generator = torch.cuda.default_generators[index]
    generator.graphsafe_set_state(generator.clone_state())


def _taken(device: torch.device) -> torch.cuda.Stream:
    try:
        return _idle[device].pop()
    except IndexError:
        return torch.cuda.Stream(device)
