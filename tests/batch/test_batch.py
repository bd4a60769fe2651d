"""The driver of a batch, with workers that answer at once and die when told to; and its manifest."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

import nst
from nst import Settings, recipe
from nst.batch import driver, workers
from nst.batch.manifest import NAME, WRITER, Manifest
from nst.batch.work_list import WorkItem, named
from nst.batch.workers import Outcome, Task
from nst.command_line import main
from nst.images import encode
from tests.batch.batches import arguments, asked, lines


class Fake:
    """A worker that answers at once. `mortal` maps a photo, or None for a start, to the number of deaths."""

    deaths = (EOFError,)

    def __init__(self, mortal: dict[bytes | None, int]) -> None:
        self.mortal, self.asked, self.stopped = mortal, [], 0

    def start(self, backbone: str) -> Future:
        return self._answer(None, None)

    def submit(self, task: Task) -> Future:
        photo = task.pictures["photo"]
        self.asked.append(photo)
        return self._answer(photo, Outcome(photo + b" painted", "curve", {"seconds": 1.0}))

    def stop(self) -> None:
        self.stopped += 1

    def _answer(self, cause: bytes | None, outcome: Outcome | None) -> Future:
        future = Future()
        self.mortal[cause] = self.mortal.get(cause, 0) - 1
        future.set_exception(EOFError()) if self.mortal[cause] >= 0 else future.set_result(outcome)
        return future


def orders_for(place: Path, *photos: bytes) -> dict[Path, WorkItem]:
    (place / "style").write_bytes(b"style")
    for number, photo in enumerate(photos):
        (place / f"{number}.png").write_bytes(photo)
    asked = [WorkItem(place / f"{number}.png", (place / "style",), Settings()) for number in range(len(photos))]
    (place / "out").mkdir(exist_ok=True)
    return named(asked, ".png", place / "out")


def statuses(reports: Iterator[driver.Report]) -> dict[str, str]:
    return {report.photo.stem: report.status for report in reports}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_death_costs_no_picture_and_two_during_one_picture_cost_only_that(number: int, tmp_path: Path) -> None:
    crew = [Fake({b"once": 1, b"always": 9}) for _ in range(number)]
    for worker in crew[1:]:
        worker.mortal = crew[0].mortal
    orders = orders_for(tmp_path, b"a", b"once", b"b", b"always", b"c", b"d")
    found = statuses(driver.run(orders, crew, Manifest(tmp_path / "out")))
    assert found == {**dict.fromkeys("01245", "painted"), "3": "failed"}
    asked = Counter(photo for worker in crew for photo in worker.asked)
    assert asked == {b"a": 1, b"once": 2, b"b": 1, b"always": 2, b"c": 1, b"d": 1}
    (error,) = [line["error"] for line in lines(tmp_path / "out") if line["error"]]
    assert "died 2 times" in error
    assert all(worker.stopped for worker in crew)


def test_workers_that_never_start_end_the_batch_with_a_sentence(tmp_path: Path) -> None:
    crew = [Fake({None: 9}), Fake({None: 9})]
    with pytest.raises(driver.NoWorkersError, match="no worker stays alive"):
        list(driver.run(orders_for(tmp_path, b"a"), crew, Manifest(tmp_path / "out")))
    assert [worker.mortal[None] for worker in crew] == [7, 7]  # two tries each


def test_workers_that_are_never_ready_are_not_waited_for_for_ever(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(driver, "READY_WITHIN_S", 1)
    absent = Fake({})
    absent.start = lambda backbone: Future()
    with pytest.raises(driver.NoWorkersError):
        list(driver.run(orders_for(tmp_path, b"a"), [absent], Manifest(tmp_path / "out")))
    assert absent.stopped


def test_a_worker_that_is_never_ready_does_not_hold_up_the_others(tmp_path: Path) -> None:
    absent, present = Fake({}), Fake({})
    absent.start = lambda backbone: Future()
    orders = orders_for(tmp_path, b"a", b"b", b"c")
    assert set(statuses(driver.run(orders, [absent, present], Manifest(tmp_path / "out"))).values()) == {"painted"}
    assert (absent.asked, present.asked) == ([], [b"a", b"b", b"c"])
    assert absent.stopped


def test_nothing_is_started_when_all_is_there(tmp_path: Path) -> None:
    orders = orders_for(tmp_path, b"a", b"b")
    list(driver.run(orders, [Fake({})], Manifest(tmp_path / "out")))
    idle = Fake({None: 9})
    assert set(statuses(driver.run(orders, [idle], Manifest(tmp_path / "out"))).values()) == {"kept"}
    assert idle.mortal[None] == 9


def test_a_picture_is_painted_again_when_file_input_or_settings_changed(tmp_path: Path) -> None:
    orders = orders_for(tmp_path, b"a", b"b", b"c")

    def again(**change: object) -> set[str]:
        asked = {file: WorkItem(o.photo, o.styles, Settings(**change)) for file, o in orders.items()}
        found = statuses(driver.run(asked, [Fake({})], Manifest(tmp_path / "out")))
        return {name for name, status in found.items() if status == "painted"}

    assert again() == {"0", "1", "2"}
    assert again() == set()
    (tmp_path / "out" / "0.png").unlink()
    (tmp_path / "1.png").write_bytes(b"other")
    assert again() == {"0", "1"}
    assert again(seed=1) == {"0", "1", "2"}
    assert again() == {"0", "1", "2"}  # the pictures of seed 1 are there now
    (tmp_path / "style").write_bytes(b"other style")
    assert again() == {"0", "1", "2"}
    assert again() == set()


def test_equal_photos_are_painted_once(tmp_path: Path) -> None:
    orders, worker = orders_for(tmp_path, b"a", b"a", b"b", b"a"), Fake({})
    found = statuses(driver.run(orders, [worker], Manifest(tmp_path / "out"), curves=True))
    assert found == {"0": "painted", "1": "kept", "2": "painted", "3": "kept"}
    assert sorted(worker.asked) == [b"a", b"b"]
    assert [(tmp_path / "out" / f"{n}.png").read_bytes() for n in range(4)] == [
        b"a painted", b"a painted", b"b painted", b"a painted",
    ]  # fmt: skip
    assert all((tmp_path / "out" / f"{n}.csv").read_text() == "curve" for n in range(4))


def test_missing_inputs_and_names_that_cannot_be_written_fail_alone(tmp_path: Path) -> None:
    orders = orders_for(tmp_path, b"a", b"b", b"c")
    (tmp_path / "0.png").unlink()
    (tmp_path / "out" / "1.png").mkdir()
    assert statuses(driver.run(orders, [Fake({})], Manifest(tmp_path / "out"))) == {
        "0": "failed", "1": "failed", "2": "painted",
    }  # fmt: skip
    errors = {line["output"]: line["error"] for line in lines(tmp_path / "out")}
    assert "'0.png' cannot be opened" in errors["0.png"]
    assert "'1.png' cannot be written" in errors["1.png"]


def test_manifest_says_what_was_painted_from_what(folder: Path, capsys) -> None:
    for path in sorted((folder / "in").iterdir())[1:]:
        path.unlink()
    assert main(arguments("--workers", "1", "--costs", "--format", "webp")) == 0
    (line,) = lines()
    single = nst.stylise("in/p0.png", "style.png", Settings(**line["settings"]))
    assert line["costs"]["total"] == pytest.approx(single.history[-1].total)
    assert line["inputs"].keys() == {"photo", "style 1"}
    assert line["seconds"] > 0
    assert line["stopped"] == "completed"
    assert (line["height"], line["width"]) == single.image.size[::-1]
    with (folder / "out" / "p0.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == line["steps"] == len(single.history)
    assert Image.open(folder / "out" / "p0.webp").format == "WEBP"


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_manifest_survives_a_line_cut_off_anywhere(cut: int, tmp_path: Path) -> None:
    one, two = ({"output": f"{n}.png", "key": n, "error": None, "photo": "ü" * 20} for n in "ab")
    Manifest(tmp_path).add(one)
    with (tmp_path / NAME).open("ab") as file:
        file.write(json.dumps(two).encode()[:cut])
    again = Manifest(tmp_path)
    again.add({**two, "key": "c"})
    assert Manifest(tmp_path).keys == {"a.png": "a", "b.png": "c"}


def test_what_a_killed_batch_left_half_written_is_removed_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    def killed(self: Path, target: Path) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        for name, writer in (("a.png", WRITER), ("b.png", "")):  # of a batch, and of a single run that is writing now
            with pytest.raises(OSError, match="killed"):
                encode.write(b"half", tmp_path / name, writer)
    assert len(list(tmp_path.iterdir())) == 2
    Manifest(tmp_path).close()
    left = [path.name for path in tmp_path.iterdir() if path.name != NAME]
    assert len(left) == 1
    assert WRITER not in left[0]


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: 8)
    assert [worker.threads for worker in workers.local("cpu", None)] == [workers.CORES] * (8 // workers.CORES)
    assert [worker.threads for worker in workers.local("cpu", 3)] == [2, 2, 2]
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: 1)
    assert [worker.threads for worker in workers.local("cpu", None)] == [1]


def test_each_gpu_has_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(workers.torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(workers.torch.cuda, "get_device_name", lambda index: "a GPU")
    monkeypatch.setattr(workers.torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert [worker.device for worker in workers.local("auto", None)] == ["cuda:0", "cuda:1", "cuda:2"]
    assert [worker.device for worker in workers.local("auto", 4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
    assert [worker.device for worker in workers.local("cuda:1", None)] == ["cuda:1"]


def test_a_task_carries_no_path(folder: Path) -> None:
    """A worker does not need the driver's disk."""
    sent: list[Task] = []
    worker = Fake({})
    worker.submit = lambda task: sent.append(task) or Fake.submit(worker, task)
    orders = named(asked(str(folder / "in" / "p1.png"), "--style", str(folder / "style.png")), ".png", folder / "out")
    (folder / "out").mkdir()
    list(driver.run(orders, [worker], Manifest(folder / "out")))
    assert sent
    assert str(folder) not in repr(vars(sent[0]))


def test_whatever_fails_in_the_work_function_is_the_picture_s_error(monkeypatch: pytest.MonkeyPatch, folder) -> None:
    task = Task({"photo": Path("in/p1.png").read_bytes(), "style 1": b"no picture"}, Settings(), "png")
    assert workers.paint(task).error.startswith("the style picture is not a picture")
    monkeypatch.setattr(workers, "stylise", lambda *args, **options: 1 / 0)
    assert workers.paint(task).error == "ZeroDivisionError: division by zero"


def test_path_with_a_zero_byte_fails_alone(tmp_path: Path) -> None:
    orders = orders_for(tmp_path, b"a", b"b")
    bad = next(iter(orders))
    orders[bad] = WorkItem(Path("a\0.png"), orders[bad].styles, orders[bad].settings)
    found = statuses(driver.run(orders, [Fake({})], Manifest(tmp_path / "out")))
    assert sorted(found.values()) == ["failed", "painted"]


OTHER_LINES = [
    b"{}", b"12", b"null", b"[]", b'"output"', b"\xff\xfe", b"[" * 100_000, b"", b'{"output": "a.png"}',
    b'{"output": 1, "key": "k", "error": null}', b'{"output": "a.png", "key": [], "error": null}',
    b'{"output": "..", "key": "k", "error": null}', b'{"output": "../a.png", "key": "k", "error": null}',
    b'{"output": "", "key": "k", "error": null}',
]  # fmt: skip


def test_lines_of_a_manifest_that_are_no_entries_are_passed_over(tmp_path: Path) -> None:
    known = {"output": "b.png", "key": "b", "error": None}
    (tmp_path / NAME).write_bytes(b"\n".join([*OTHER_LINES, json.dumps(known).encode(), *OTHER_LINES]))
    manifest = Manifest(tmp_path)
    assert manifest.keys == {"b.png": "b"}
    manifest.add({**known, "output": "c.png"})
    assert Manifest(tmp_path).keys == {"b.png": "b", "c.png": "b"}


def test_run_that_stopped_early_is_told(tmp_path: Path) -> None:
    worker = Fake({})
    worker.submit = lambda task: _finished(Outcome(b"file", facts={"stopped": "budget", "steps": 3}))
    (report,) = driver.run(orders_for(tmp_path, b"a"), [worker], Manifest(tmp_path / "out"))
    assert (report.status, report.early_end) == ("painted", "stopped early at step 3: its time was up")


def _finished(outcome: Outcome) -> Future:
    future = Future()
    future.set_result(outcome)
    return future


def test_worker_s_png_holds_its_recipe(folder: Path) -> None:
    pictures = {"photo": Path("in/p1.png"), "style 1": Path("style.png"), "mask 1": Path("in/p2.png")}
    pictures["style mask 1"] = Path("in/p2.png")
    settings = Settings(size=32, steps=1, pyramid=False, device="cpu", max_seconds=600)
    files = {name: path.read_bytes() for name, path in pictures.items()}
    found = recipe.read(workers.paint(Task(files, settings, "png")).file)
    assert found.settings == Settings(size=32, steps=1, pyramid=False)
    photo, *others = ([path] for path in pictures.values())
    assert found.inputs == recipe.fingerprints(*photo, *others[:2], style_masks=others[2])
    assert workers.paint(Task(files, settings, "jpeg")).file[:2] == b"\xff\xd8"
