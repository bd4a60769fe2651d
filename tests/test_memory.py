import math

import pytest
import torch

import nst
from nst import Degraded, Settings, Step, job, memory
from nst.objective.objective import Objective
from nst.objective.tiled import TiledObjective
from nst.objective.tiles import MIB

CPU = torch.device("cpu")
SIZE = (768, 1024)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch):
    def says(mib: float) -> None:
        monkeypatch.setattr(memory, "available_mib", lambda _: mib)

    return says


def chosen(size: tuple[int, int] = SIZE, device: str = "cpu", **given: object) -> memory.Memory:
    return memory.plan_memory(Settings(**given), size, torch.device(device), torch.float32)


def test_default_sizes_are_seen_whole(free) -> None:
    free(4096)
    for longer in (96, 256, 384, 512):
        assert not chosen((longer * 3 // 4, longer)).tiled


def test_print_sizes_are_seen_in_tiles_on_a_cpu(free) -> None:
    free(32_000)
    assert chosen((3072, 4096)).tile_bytes == memory.TILE_MIB * MIB


def test_large_gpu_sees_whole_what_a_small_one_sees_in_tiles(free) -> None:
    free(140_000)
    assert not chosen((3072, 4096), "cuda").tiled
    free(6000)
    assert chosen((3072, 4096), "cuda").tiled


def test_less_memory_means_smaller_tiles_and_a_smaller_estimate(free) -> None:
    found = []
    for mib in (8000, 1500, 400, 100):
        free(mib)
        found.append(chosen((1536, 2048)))
    sizes = [one.tile_bytes for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1] == memory.SMALLEST_TILE_MIB * MIB
    assert [one.mib for one in found] == sorted((one.mib for one in found), reverse=True)


def test_tile_asked_for_is_taken(free) -> None:
    free(32_000)
    for tile_px in (64, 512):
        found = chosen((96, 128), tile_px=tile_px)
        assert found.tile_bytes == pytest.approx(1056 * (tile_px + 16) ** 2)  # in float32, bytes per pixel


def test_estimate_of_tiles_grows_by_the_pictures_only() -> None:
    """Print size stays within 4 GB in tiles, and less of it is in proportion to the pixels than whole."""
    sizes = (1536, 2048), (3072, 4096)
    tiled = [memory.memory_mib(Settings(), size, torch.bfloat16, 192 * MIB) for size in sizes]
    whole = [memory.memory_mib(Settings(), size, torch.bfloat16) for size in sizes]
    assert tiled[1] < 3.7 * 1024 < whole[0] * 3
    assert tiled[1] / tiled[0] < whole[1] / whole[0]


@pytest.mark.parametrize(("limit", "used", "left"), [("300000000", "100000000", 200e6 / MIB), ("max", "5", math.inf)])
def test_container_limits_count(limit: str, used: str, left: float, tmp_path, monkeypatch) -> None:
    files = tmp_path / "max", tmp_path / "current"
    for file, text in zip(files, (limit, used), strict=True):
        file.write_text(text + "\n")
    monkeypatch.setattr(memory, "CGROUPS", (tuple(map(str, files)),))
    assert memory._container_mib() == pytest.approx(left)
    assert memory.available_mib(CPU) <= left


def test_run_in_tiles_is_the_run_without(photo, style) -> None:
    """The same picture except for rounding; no other part of the run depends on tiles."""
    given = {"size": 48, "steps": 1, "pyramid": False, "pooling": "average", "precision": "float32", "device": "cpu"}
    whole, tiled = (nst.stylise(photo, style, Settings(**given, tile_px=tile)) for tile in (None, 32))
    assert (whole.painting.painted - tiled.painting.painted).abs().max() < 1e-3
    assert tiled.history[-1].total == pytest.approx(whole.history[-1].total, rel=1e-4)


def test_out_of_memory_goes_on_in_tiles_where_it_stopped(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    usual = Objective.__call__

    def failing(self, image):
        called.append(type(self))
        if len(called) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(self, image)

    monkeypatch.setattr(Objective, "__call__", failing)
    settings = Settings(size=64, steps=5, pyramid=False, device="cpu")
    *events, finished = nst.stylise_events(photo, style, settings)
    assert [event.reason for event in events if isinstance(event, Degraded)] == [
        f"Goes on in tiles of {memory.TILE_MIB} MiB: the device is out of memory."
    ]
    assert [event.costs.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5]
    assert finished.result.stopped == "completed"
    costs = [cost.total for cost in finished.result.history]
    assert costs == sorted(costs, reverse=True)


def test_out_of_memory_in_the_smallest_tiles_is_an_error(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self, image):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Objective, "__call__", failing)
    monkeypatch.setattr(TiledObjective, "__call__", failing)
    with pytest.raises(torch.OutOfMemoryError, match="smaller size"):
        nst.stylise(photo, style, Settings(size=64, device="cpu"))


CPU_LACKS_MEMORY = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError(CPU_LACKS_MEMORY), MemoryError()], ids=repr
)
def test_previews_without_memory_are_left_out(error: Exception, photo, style, monkeypatch) -> None:
    """Also that of the last step."""

    def failing(self, image):
        raise error

    monkeypatch.setattr(Objective, "preview", failing)
    settings = Settings(size=32, steps=2, pyramid=False, device="cpu")
    *events, finished = nst.stylise_events(photo, style, settings)
    assert [event.preview for event in events if isinstance(event, Step)] == [None, None]
    assert not any(isinstance(event, Degraded) for event in events)
    assert finished.result.stopped == "completed"


@pytest.mark.parametrize(
    "error", [RuntimeError(CPU_LACKS_MEMORY), RuntimeError("std::bad_alloc"), MemoryError()], ids=repr
)
def test_lack_of_memory_has_one_exception(error: Exception, photo, style, monkeypatch) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(job.Job, "begin", failing)
    with pytest.raises(torch.OutOfMemoryError, match="smaller"):
        nst.stylise(photo, style)
    monkeypatch.setattr(job.pictures, "load", failing)
    with pytest.raises(torch.OutOfMemoryError, match="smaller"):
        nst.stylise_events(photo, style)
    with pytest.raises(RuntimeError, match="shape"), memory.one_error():
        raise RuntimeError("a wrong shape")
