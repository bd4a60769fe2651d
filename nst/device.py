"""Choose where and in which precision a run computes, and say why."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

import torch

from nst import openmp

# Instruction set with matrix products in bfloat16 -> its name in `torch.cpu.get_capabilities`, the fastest first.
NATIVE_BFLOAT16 = {"AMX": "amx_tile", "AVX512_BF16": "avx512_bf16"}

LOADED_EARLY = "slow beside busy programs: torch was imported before nst"


@dataclass(frozen=True)
class Compute:
    """A device, the number format of the network there, and the reason for the choice, a phrase for people."""

    device: torch.device
    dtype: torch.dtype
    reason: str

    def __str__(self) -> str:
        return f"{self.device}, {str(self.dtype).removeprefix('torch.')} ({self.reason})"


def choose_device(device: str = "auto", precision: str = "auto") -> Compute:
    """The choice for `Settings.device` and `Settings.precision`. `ValueError` if the device is not there."""
    place, why_there = _device(device)
    if place.type == "cpu" and openmp.TOO_LATE and torch.get_num_threads() > 1:
        why_there += f", {LOADED_EARLY}"
    if precision != "auto":
        return Compute(place, getattr(torch, precision), f"{why_there}, precision as asked")
    dtype, why_precision = _fastest_dtype(place)
    return Compute(place, dtype, f"{why_there}, {why_precision}")


def device_names() -> list[str]:
    """Values of `Settings.device` that use each device of this machine once: all GPUs, or "auto" where it has one."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{index}" for index in range(count)] if count > 1 else ["auto"]


def true_float32(image: torch.Tensor) -> AbstractContextManager:
    """A context in which cuDNN's float32 convolutions are float32, not TF32. It does nothing for a picture on a CPU.

    cuDNN chooses algorithms by its own estimate. To try them out (`benchmark`) takes 0.3 to 0.5 s for each new size and
    made steps 0 to 2 % faster (H200, 128 to 2048 px); in float32 it also took 35 GB.
    """
    return CUDNN_IN_FLOAT32 if image.is_cuda else nullcontext()


class _CudnnInFloat32(AbstractContextManager):
    """A context of cuDNN's flags, which belong to the process: the first run to enter sets them, the last restores.

    If each run restored the flags that it found, the first of two runs on two GPUs to leave would change those of the
    other.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.flags = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.flags.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False))
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.flags.close()


CUDNN_IN_FLOAT32 = _CudnnInFloat32()


def _device(device: str) -> tuple[torch.device, str]:
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        if available:
            return torch.device("cuda", 0), torch.cuda.get_device_name(0)
        return torch.device("cpu"), "no CUDA GPU"
    chosen = torch.device(device)
    if chosen.type == "cuda":
        index = chosen.index or 0
        if index >= available:
            raise ValueError(f"device={device!r} is not there ({available} CUDA devices found); choose 'auto' or 'cpu'")
        return torch.device("cuda", index), torch.cuda.get_device_name(index)
    return chosen, "CPU as asked"


def _fastest_dtype(device: torch.device) -> tuple[torch.dtype, str]:
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):  # Ampere: the first with bfloat16 matrix units
            return torch.bfloat16, "bfloat16 tensor cores"
        return torch.float32, "no native bfloat16"
    if native := _native_cpu_bfloat16():
        return torch.bfloat16, f"CPU has {native}"
    return torch.float32, "CPU has no native bfloat16"


def _native_cpu_bfloat16() -> str | None:
    """The instruction set that makes bfloat16 fast on this CPU. None: emulated bfloat16 is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return next((name for name, key in NATIVE_BFLOAT16.items() if capabilities.get(key)), None)
