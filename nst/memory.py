"""How much memory a run needs and how much is free, which decides whether the network sees the picture in tiles."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from nst.features.layers import kernel_elements
from nst.objective import recurrence
from nst.objective.tiles import CHANNELS, MIB, Stretch, budget_of, stretches
from nst.optimise.lbfgs_pairs import CHUNK, pairs_for
from nst.settings import LIMITS, QUALITIES, Settings, layer_names

OutOfMemoryError = torch.OutOfMemoryError  # for nst.ui, which does not import torch
# Parts of the messages of the plain `RuntimeError`s with which torch on a CPU says that memory ran out.
LACKS_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "bad_alloc")

SMALLEST_TILE_MIB = 16  # smaller tiles consist mostly of margin
TILE_MIB = 160  # activations that a tile keeps for its gradient on a CPU; twice as much is no faster
SHARE = 0.5  # of the free memory that one run may use
UNKNOWN_MIB = 4096  # assumed to be free where the system does not say
PICTURES = 8  # of the result's size that exist beside the network: photo, picture, gradient, steps, copies
STORED_MIB = 165  # weights as stored, and what the library loads for the first convolution
# Factors on the activations that are kept for the gradient, fitted to measured peaks. Blocks of changing sizes leave
# gaps on the heap, more so in tiles; the system maps large blocks apart, and these leave none.
REMEMBERED = 0.9
GAPS, MOST_GAPS_MIB = 0.8, 250
REMEMBERED_IN_TILES = 2.3  # gaps included
# Activations of the first block that measuring the guide of a style picture leaves behind, gaps included, fitted too.
GUIDE_MAPS = 5
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Memory:
    """The most that a run holds at once, above the idle program."""

    mib: float
    tile_bytes: float | None  # activations that a tile keeps for its gradient; None: the network sees the picture whole

    @property
    def tiled(self) -> bool:
        return self.tile_bytes is not None


def plan_memory(
    settings: Settings, size: Sequence[int], device: torch.device, dtype: torch.dtype, styles: int = 1
) -> Memory:
    """Whole or in tiles, and the estimate, for a picture of this size (height, width) and this number of styles."""
    free_mib = available_mib(device)
    path = path_of(settings)
    if settings.tile_px is not None:
        tile_bytes = budget_of(settings.tile_px, path, dtype.itemsize)
        return Memory(memory_mib(settings, size, dtype, tile_bytes, styles), tile_bytes)
    whole_mib = memory_mib(settings, size, dtype, None, styles)
    if whole_mib <= SHARE * free_mib:
        return Memory(whole_mib, None)
    most_mib = SHARE * free_mib / 8 if device.type == "cuda" else min(TILE_MIB, SHARE * free_mib / 4)
    tile_bytes = max(SMALLEST_TILE_MIB, most_mib) * MIB
    return Memory(memory_mib(settings, size, dtype, tile_bytes, styles), tile_bytes)


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on whatever device and in whatever library."""
    if isinstance(error, (OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LACKS_MEMORY)


@contextlib.contextmanager
def one_error() -> Iterator[None]:
    """Whenever memory runs out in this context, the exception is `OutOfMemoryError`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, OutOfMemoryError) or not lacks_memory(error):
            raise
        raise OutOfMemoryError("out of memory; choose a smaller size, or smaller pictures") from error


def smaller(tile_bytes: float | None) -> float:
    """The next `tile_bytes` to try after memory ran out. `OutOfMemoryError` when tiles are as small as is sensible."""
    if tile_bytes is not None and tile_bytes <= SMALLEST_TILE_MIB * MIB:
        raise OutOfMemoryError("out of memory even in small tiles; choose a smaller size")
    return TILE_MIB * MIB if tile_bytes is None else max(SMALLEST_TILE_MIB * MIB, tile_bytes / 4)


def path_of(settings: Settings) -> tuple[str, ...]:
    """The network's layers up to the deepest one in the costs."""
    names = layer_names(settings.backbone)
    return names[: 1 + max(map(names.index, settings.layers))]


def memory_mib(
    settings: Settings, size: Sequence[int], dtype: torch.dtype, tile_bytes: float | None = None, styles: int = 1
) -> float:
    """Estimate of the most that the last level of a run holds at once, in MiB above the idle program.

    `size` is (height, width) of the picture, px, and `styles` the number of style pictures.
    """
    pixels, path = math.prod(size), path_of(settings)
    picture = 3 * 4 * pixels
    longer_px = min(max(size) * settings.style_scale, max(LIMITS.style_size, *size))
    paintings = styles * 3 * 4 * 0.75 * longer_px**2  # their shape is not known: 4:3 is assumed
    resting = PICTURES * picture + paintings + _optimiser_bytes(settings, pixels)
    resting += STORED_MIB * MIB + _placed_bytes(path, dtype)
    resting += sum(_grid_bytes(layer, dtype) for layer in settings.content_layers) * pixels
    resting += _guide_bytes(settings, dtype)
    if tile_bytes is None:
        remembered = Stretch(path, 1).bytes_per_px(dtype.itemsize) * pixels
        return (resting + REMEMBERED * remembered + min(GAPS * remembered, MOST_GAPS_MIB * MIB)) / MIB
    parts = stretches(path)
    kept = 2 * sum(_grid_bytes(part.names[-1], dtype) for part in parts[:-1]) * pixels  # with their gradients
    remembered = max(min(tile_bytes, part.bytes_per_px(dtype.itemsize) * pixels) for part in parts)
    return (resting + kept + REMEMBERED_IN_TILES * remembered) / MIB


def _optimiser_bytes(settings: Settings, pixels: int) -> float:
    """Of past steps and gradients."""
    length = 3 * pixels
    if settings.optimiser != "lbfgs":
        return 2 * 4 * length
    pairs, dtype = pairs_for(length, settings.steps or QUALITIES[settings.quality][-1], torch.float32)
    return 2 * pairs * (dtype.itemsize * length + 4 * min(CHUNK, length))


def _placed_bytes(path: Sequence[str], dtype: torch.dtype) -> float:
    """Of the kernels, which the first run makes and `nst.features.extractor` keeps: later ones find them there."""
    widths = [3, *(CHANNELS[int(name[4]) - 1] for name in path if name.startswith("conv"))]
    return sum(kernel_elements(before, after, dtype) * dtype.itemsize for before, after in pairwise(widths))


def _guide_bytes(settings: Settings, dtype: torch.dtype) -> float:
    """Of measuring what recurs in a style picture: kernels that the run itself does not need, and activations."""
    if settings.style_parts == "all":
        return 0
    names = layer_names(settings.backbone)
    whole, path = names[: 1 + names.index(recurrence.LAYER)], path_of(settings)
    kernels = max(0, _placed_bytes(whole, dtype) - _placed_bytes(path, dtype))
    return kernels + GUIDE_MAPS * CHANNELS[0] * dtype.itemsize * 0.75 * recurrence.LONGER_PX**2  # 4:3, as above


def _grid_bytes(layer: str, dtype: torch.dtype) -> float:
    """Of a layer's activations, per pixel of the picture."""
    names = layer_names()
    stride = 2 ** sum(name.startswith("pool") for name in names[: names.index(layer) + 1])
    return CHANNELS[int(layer[4]) - 1] * dtype.itemsize / stride**2


def available_mib(device: torch.device) -> float:
    """Memory, MiB, that a run could use on this device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + unused) / MIB
    return min(_system_mib(), _container_mib())


def _system_mib() -> float:
    """What Linux says is available; elsewhere `UNKNOWN_MIB`."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) / 1024
    return UNKNOWN_MIB


def _container_mib() -> float:
    """What is left of a container's limit (cgroups 2 and 1), infinite where there is none."""
    for limit, usage in CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # no such file; "max"
            return (int(Path(limit).read_text()) - int(Path(usage).read_text())) / MIB
    return math.inf
