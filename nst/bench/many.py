"""The time of a batch compared with the engine alone. Both paint alternately, so a busy machine slows both alike."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from nst.batch import driver, workers
from nst.batch.manifest import Manifest
from nst.batch.work_list import WorkItem
from nst.bench.engine import Row
from nst.bench.visitor import PHOTO, STYLE
from nst.objective.targets import StyleCache
from nst.settings import Settings
from nst.transfer import stylise


def many(quick: bool) -> Iterator[Row]:
    """Seconds per draft of 384 px: in this process, by one worker and by one Ray actor, on two cores two threads each.

    `outside_s` is the time before the first step and after the last one: decoding, and in a batch also reading,
    sending, encoding and writing. It shows what a batch adds even when other programs disturb the rest.
    """
    size, turns = (128, 2) if quick else (384, 9)
    style_cache = StyleCache()
    with ExitStack() as stack, TemporaryDirectory() as folder:
        ways: dict[str, Callable[[int], float]] = {
            "engine alone": lambda turn: stylise(PHOTO, STYLE, _draft(size, turn)).seconds,
            "engine with style cache": lambda turn: stylise(PHOTO, STYLE, _draft(size, turn), memo=style_cache).seconds,
            "batch, 1 worker": _next_of(workers.local("cpu", 1), size, Path(folder) / "local", stack),
        }
        if actors := _actors(stack):
            ways["Ray, 1 actor"] = _next_of(actors, size, Path(folder) / "ray", stack)
        for paint in ways.values():
            paint(0)  # warm up
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        outside: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(1, turns + 1):
            for way in list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]:
                began = time.perf_counter()
                inside = ways[way](turn)
                seconds[way].append(time.perf_counter() - began)
                outside[way].append(seconds[way][-1] - inside)
    alone = seconds["engine alone"]
    for way, taken in seconds.items():
        ratio = median(other / one for other, one in zip(taken, alone, strict=True))
        row = {"way": f"{way:20}", "px": size, "median_s": median(taken), "best_s": min(taken), "ratio": ratio}
        yield {**row, "outside_s": median(outside[way])}


def _draft(size: int, seed: int) -> Settings:
    """Settings of a draft. The seed does not change the picture, but a batch paints each seed as a new picture."""
    return Settings(size=size, quality="draft", seed=seed)


def _next_of(crew: list[workers.Worker], size: int, folder: Path, stack: ExitStack) -> Callable[[int], float]:
    """A function that lets a batch with these workers paint and write its next picture -> the engine's seconds."""
    folder.mkdir()
    items = {folder / f"{seed}.png": WorkItem(PHOTO, (STYLE,), _draft(size, seed)) for seed in range(99)}
    manifest = Manifest(folder)
    reports = stack.enter_context(closing(driver.run(items, crew, manifest)))
    return lambda _turn: next(reports) and list(manifest.entries.values())[-1]["seconds"]


def _actors(stack: ExitStack) -> list[workers.Worker]:
    """One actor on a Ray cluster that has this machine as its only node; none if Ray is not installed."""
    try:
        import ray
        from ray.cluster_utils import Cluster

        from nst.batch import ray_workers
    except ImportError:
        return []
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": workers.CORES, "include_dashboard": False})
    stack.callback(started.shutdown)
    stack.callback(ray.shutdown)
    return ray_workers.workers(started.address, 1)


def crews(quick: bool) -> Iterator[Row]:
    """Pictures per minute and memory: one worker with all cores against two workers that share them, alternately."""
    size, turns = (128, 1) if quick else (384, 3)
    sets = {number: workers.local("cpu", number) for number in (1, 2)}
    seeds = itertools.count()
    pace: dict[int, list[float]] = {number: [] for number in sets}
    try:
        for crew in sets.values():
            for worker in crew:
                worker.start("vgg19").result()
                _paint(worker, size, 1, seeds)  # warm up
        for _ in range(turns):
            for number, crew in sets.items():
                began = time.perf_counter()
                with ThreadPoolExecutor(number) as pool:
                    list(pool.map(lambda worker: _paint(worker, size, 2 // number, seeds), crew))  # noqa: B023
                pace[number].append(2 * 60 / (time.perf_counter() - began))
        for number, crew in sets.items():
            peak = max(worker.executor.submit(_peak_mib).result() for worker in crew)
            row = {"workers": number, "threads_each": crew[0].threads, "px": size}
            yield {**row, "per_minute": median(pace[number]), "best": max(pace[number]), "mib_per_worker": peak}
    finally:
        for worker in itertools.chain(*sets.values()):
            worker.stop()


def _paint(worker: workers.Worker, size: int, count: int, seeds: Iterator[int]) -> None:
    pictures = {"photo": PHOTO.read_bytes(), "style 1": STYLE.read_bytes()}
    for _ in range(count):
        worker.submit(workers.Task(pictures, _draft(size, next(seeds)), "png")).result()


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
