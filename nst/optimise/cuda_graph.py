"""Record a step as a CUDA graph, so that the host starts hundreds of kernels with one call."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable

import torch

from nst import torch_private

WARM_UP_CALLS = 1  # in the first call cuDNN chooses algorithms and cuFFT makes plans, which cannot be recorded
# Streams that no step uses now. They are used again, because cuBLAS keeps 32 MiB for each stream that it ever ran on.
_idle: defaultdict[torch.device, list[torch.cuda.Stream]] = defaultdict(list)


class CapturedStep:
    """Calls `step`, which has no arguments and uses memory at fixed addresses, and replays it once it is recorded.

    The first calls run `step` itself, on a stream of their own. Then one call is recorded, and later calls replay it.
    Where recording fails, later calls run `step` itself and `failure` says why. `step` must not wait for the device.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step = step
        self.device = device
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.failure: str | None = None
        self.stream = _idle_stream(device)
        weakref.finalize(self, _idle[device].append, self.stream)

    def __call__(self) -> None:
        self.calls += 1
        if self.graph is None and self.failure is None and self.calls > WARM_UP_CALLS:
            self._record()
        if self.graph is not None:
            self.graph.replay()
        else:
            self._run_unrecorded()

    def _record(self) -> None:
        free, total = torch.cuda.mem_get_info(self.device)
        if free < total / 2:
            torch.cuda.empty_cache()  # a recording allocates from a pool of its own and cannot use cached memory
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.device(self.device), torch.cuda.stream(self.stream):
                graph.capture_begin(pool, capture_error_mode="thread_local")  # other threads may use CUDA meanwhile
                try:
                    self.step()
                finally:
                    graph.capture_end()
        except RuntimeError as error:  # CUDA, cuDNN or cuFFT cannot record something
            # Prefer the step's own error over the one from ending the capture. Do not bind it: its traceback keeps the
            # step's tensors alive.
            self.failure = str(error.__context__ or error).splitlines()[0]
            _undo_failed_capture(pool, self.device)
        else:
            self.graph = graph

    def _run_unrecorded(self) -> None:
        """On a stream of its own: CUDA graphs do not allow the warm-up on the default stream."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            self.step()
        current.wait_stream(self.stream)


def _undo_failed_capture(pool: tuple[int, int], device: torch.device) -> None:
    """Undo what torch 2.11 leaves after a capture that could not be ended.

    That is memory which nothing else can use, and a random generator that still takes part in the capture.
    """
    with torch.cuda.device(device):
        index = torch.cuda.current_device()
    torch_private.release_pool(pool, index)
    generator = torch.cuda.default_generators[index]
    generator.graphsafe_set_state(generator.clone_state())


def _idle_stream(device: torch.device) -> torch.cuda.Stream:
    """A stream that no step uses now, new if there is none."""
    try:
        return _idle[device].pop()
    except IndexError:
        return torch.cuda.Stream(device)
