"""Batches are held to single runs of the command line, byte for byte, whatever is killed on the way."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from test_command_line import OPTIONS

import nst
from nst import Settings, recipe
from nst.__main__ import _batch_parser, main
from nst.batch import driver, workers
from nst.batch.manifest import NAME, Manifest
from nst.batch.work_list import WorkItem, check_files, named, read
from nst.batch.workers import Outcome, Task
from nst.images import encode

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
QUICK = ["--size", "64", "--quality", "draft", "--steps", "3", "--init", "noise", "--seed", "7"]
QUICK += ["--device", "cpu", "--precision", "float32"]


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with style.png and in `in` 12 photos: one corrupt, one far too long, one twice."""
    style.save(tmp_path / "style.png")
    place = tmp_path / "in"
    place.mkdir()
    for number in range(9):
        photo.rotate(40 * number).save(place / f"p{number}.png")
    (place / "p9 corrupt.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    photo.resize((16 * 51, 16)).save(place / "p10 long.png")
    (place / "p11 again.png").write_bytes((place / "p4.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(*more: str) -> list[str]:
    return ["batch", "in", "--style", "style.png", "-o", "out", *QUICK, *more]


def started(*more: str) -> subprocess.Popen:
    """The batch in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "nst", *arguments(*more)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def lines(place: str | Path = "out") -> list[dict]:
    """The manifest, half lines left out."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in (Path(place) / NAME).read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def painted(place: str | Path = "out") -> Counter:
    return Counter(line["output"] for line in lines(place) if line["error"] is None)


def wait_until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Processes that this one started and that run, by Linux' /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


def runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def assert_like_single_runs(photos: list[str]) -> None:
    """Every picture in `out` is what the command line makes of its photo alone."""
    for stem in photos:
        assert main([f"in/{stem}.png", "style.png", "-o", "single.png", *QUICK]) == 0
        assert Path(f"out/{stem}.png").read_bytes() == Path("single.png").read_bytes(), stem


GOOD = [*(f"p{number}" for number in range(9)), "p11 again"]


@LINUX
def test_killed_half_way_and_started_again_it_makes_the_pictures_of_single_runs(folder: Path, capsys) -> None:
    first = started("--workers", "1")
    wait_until(lambda: len(painted()) >= 4)
    helpers = children(first.pid)
    first.kill()
    first.communicate()
    before = painted()
    assert 4 <= len(before) < len(GOOD)
    assert helpers
    wait_until(lambda: not any(map(runs, helpers)), 10)  # nobody goes on painting without a driver
    times = {name: (folder / "out" / name).stat().st_mtime_ns for name in before}
    with (folder / "out" / NAME).open("ab") as file:
        file.write(b'{"output": "p8.png", "photo": "in/p')

    second = started("--workers", "1")
    said, complaints = second.communicate(timeout=100)
    assert second.returncode == 1
    assert painted() == Counter({f"{stem}.png": 1 for stem in GOOD})  # none twice
    assert {name: (folder / "out" / name).stat().st_mtime_ns for name in before} == times
    failed = {line["photo"]: line["error"] for line in lines() if line["error"]}
    assert set(failed) == {str(Path("in") / name) for name in ("p9 corrupt.jpg", "p10 long.png")}
    assert "50 to 1" in failed[str(Path("in") / "p10 long.png")]
    kept = len(before) + ("p11 again.png" not in before)  # the same as p4, which is painted once
    assert f"{len(GOOD) - kept} painted, {kept} kept, 2 failed of 12" in said
    assert all(error in complaints for error in failed.values())
    assert "Traceback" not in complaints
    assert {path.name for path in (folder / "out").iterdir()} == {NAME, *(f"{stem}.png" for stem in GOOD)}
    assert_like_single_runs(GOOD)


@LINUX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_whole_pictures_and_no_process(number: int, code: int, folder: Path) -> None:
    running = started("--workers", "2" if number == signal.SIGINT else "1")
    wait_until(painted)
    helpers = children(running.pid)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
    asked = time.monotonic()
    _, complaints = running.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert running.returncode == code
    assert "Traceback" not in complaints
    assert "goes on from here" in complaints
    wait_until(lambda: not any(map(runs, helpers)), 10)
    files = {path.name for path in (folder / "out").iterdir()} - {NAME}
    assert files == set(painted())
    for name in files:
        Image.open(folder / "out" / name).load()
    assert len(files) < len(GOOD)


def test_a_killed_worker_is_replaced_and_its_picture_painted(folder: Path) -> None:
    for number in range(4, 9):
        (folder / "in" / f"p{number}.png").unlink()
    (worker,) = crew = workers.local("cpu", 1)
    orders = named(read(_batch_parser().parse_args(arguments()[1:])), ".png", folder / "out")
    (folder / "out").mkdir()
    reports = driver.run(orders, crew, Manifest(folder / "out"))
    statuses = [next(reports).status, next(reports).status]
    (process,) = worker.processes
    process.kill()
    statuses += [report.status for report in reports]
    assert Counter(statuses) == {"painted": 5, "failed": 2}
    assert painted() == Counter({f"{stem}.png": 1 for stem in ("p0", "p1", "p2", "p3", "p11 again")})
    assert worker.executor is None  # stopped
    assert_like_single_runs(["p2", "p3"])


class Fake:
    """A worker that answers at once, and dies as often as `mortal` says: by photo, and at its start."""

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

    def _answer(self, who: bytes | None, outcome: Outcome | None) -> Future:
        future = Future()
        self.mortal[who] = self.mortal.get(who, 0) - 1
        future.set_exception(EOFError()) if self.mortal[who] >= 0 else future.set_result(outcome)
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
    assert again() == {"0", "1", "2"}  # those of seed 1 lie there now
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


# The names of outputs

STEMS = st.lists(st.sampled_from(["a", "A", "a_s", "a_s_t", "s", "ä", "a\u0308", "ß", "ss", "a.b"]), min_size=1)


@given(STEMS, st.lists(st.sampled_from(["s", "S", "t", "x/s"]), min_size=1, max_size=3))
@examples(max_examples=200, deadline=None)
def test_names_never_collide_and_come_from_the_inputs(stems: list[str], kinds: list[str]) -> None:
    asked = [
        WorkItem(Path(f"{number}/{stem}.jpg"), (Path(f"{kinds[number % len(kinds)]}.png"),), Settings())
        for number, stem in enumerate(stems)
    ]
    files = named(asked, ".png", Path("out"))
    assert list(files.values()) == asked
    folded = {file.name.casefold() for file in files}
    assert len(folded) == len(asked)
    assert all(file.name.startswith(order.photo.stem) for file, order in files.items())
    assert list(named(asked, ".png", Path("out"))) == list(files)


def test_a_name_says_no_more_than_it_must(tmp_path: Path) -> None:
    def names(*pairs: tuple[str, str]) -> list[str]:
        asked = [WorkItem(Path(photo), (Path(style),), Settings()) for photo, style in pairs]
        return [file.stem for file in named(asked, ".png", tmp_path)]

    assert names(("a.jpg", "s.jpg"), ("b.jpg", "s.jpg")) == ["a", "b"]
    assert names(("a.jpg", "s.jpg"), ("a.jpg", "t.jpg"), ("b.jpg", "s.jpg")) == ["a_s", "a_t", "b"]
    first, second = names(("1/a.jpg", "s.jpg"), ("2/a.jpg", "s.jpg"))
    assert first.startswith("a_s_")
    assert second.startswith("a_s_")


def test_a_result_never_overwrites_an_input(folder: Path, capsys) -> None:
    (folder / "in" / "link").symlink_to(folder / "in")
    for place in ("in", "in/link", "in/../in"):
        assert main(["batch", "in/p1.png", "--style", "style.png", "-o", place, *QUICK]) == 2
        assert "overwritten" in capsys.readouterr().err


def test_a_result_never_overwrites_what_the_batch_reads_nor_another_result(folder: Path, capsys) -> None:
    (folder / "in" / "list.csv").write_text("content,style\nlist.jpg,p0.png\n")
    (folder / "in" / "list.jpg").write_bytes((folder / "in" / "p1.png").read_bytes())
    (folder / "out").mkdir()
    os.link(folder / "style.png", folder / "out" / "p0.png")
    (folder / "out" / "p1.png").symlink_to(folder / "out" / "p2.png")
    for command in (
        ["in/list.csv", "-o", "in", "--costs"],
        ["in/p0.png", "--style", "style.png", "-o", "out"],
        ["in/p1.png", "in/p2.png", "--style", "style.png", "-o", "out"],
    ):
        assert main(["batch", *command, *QUICK]) == 2
        assert "overwritten" in capsys.readouterr().err
    assert painted("out") == painted("in") == Counter()


def test_recipe_is_not_overwritten_by_the_batch(tmp_path: Path) -> None:
    item = WorkItem(Path("p.jpg"), (Path("s.jpg"),), Settings(), recipe=tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"the recipe of 'p\.jpg', would be overwritten"):
        check_files({tmp_path / "p.png": item}, _batch_parser().parse_args(["p.jpg", "-o", str(tmp_path)]))


def test_a_row_that_starts_from_another_rows_result_is_told_to_wait_for_it(folder: Path, capsys) -> None:
    (folder / "list.csv").write_text("content,style,start\nin/p0.png,style.png,\nin/p1.png,style.png,out/p0.png\n")
    assert main(["batch", "list.csv", "-o", "out", *QUICK]) == 2
    errors = capsys.readouterr().err
    assert "'out/p0.png', the start of 'in/p1.png', would be overwritten by the result of 'in/p0.png'" in errors
    assert "one batch after the other" in errors


@pytest.mark.parametrize("stem", ["n" * 251, "\u7ed3" * 83, "e\u0301" * 83])
def test_names_that_would_be_too_long_are_shortened_and_stay_different(stem: str, tmp_path: Path) -> None:
    asked = [WorkItem(Path(f"{stem}.jpg"), (Path(f"{stem}{n}.jpg"),), Settings()) for n in range(3)]
    files = named(asked, ".webp", tmp_path)
    assert len(files) == 3
    for file in files:
        file.write_bytes(b"")
        file.with_suffix(".csv").write_bytes(b"")


def test_output_folder_whose_path_is_too_long_is_refused_before_painting(folder: Path, capsys) -> None:
    assert main(["batch", "in/p0.png", "--style", "style.png", "-o", "/".join(["d" * 200] * 25), *QUICK]) == 2
    assert "too long" in capsys.readouterr().err


# What is asked for


def asked(*given: str) -> list[WorkItem]:
    return read(_batch_parser().parse_args([*given, "-o", "out"]))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_a_single_run_reaches_a_batch_and_a_row(name: str, folder: Path) -> None:
    given, value = OPTIONS[name]
    expected = Settings(**{name: value})
    assert asked("in/p1.png", "--style", "style.png", *given)[0].settings == expected
    cells: dict[str, list[str]] = {}
    for word in given:
        if word.startswith("--"):
            column = word.removeprefix("--").replace("-", "_")
            cells.setdefault(column, [])
        else:
            cells[column].append(word)
    with open("rows.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["content", "style", *cells], ["in/p1.png", "style.png", *("|".join(v) or "yes" for v in cells.values())]]
        )
    (order,) = asked("rows.csv")
    assert order == WorkItem(Path("in/p1.png"), (Path("style.png"),), expected)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_go_before_the_command_and_start_from_their_folder(separator: str, folder: Path) -> None:
    rows = [
        ["Content", "style", "size", "no-pyramid", "mask", "start", "bits"],
        ["p1.png", "", "", "no", "", "", ""],
        ["p2.png", "../style.png|p3.png", "100", "yes", "p4.png", "p5.png", "16"],
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    (folder / "in" / "rows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())  # as a spreadsheet saves it
    plain, special = asked("in/rows.csv", "--style", "style.png", "--size", "80", "--beta", "3", "--mask", "m.png")
    assert plain == WorkItem(Path("in/p1.png"), (Path("style.png"),), Settings(size=80, beta=3), (Path("m.png"),))
    assert special == WorkItem(
        Path("in/p2.png"), (Path("in/../style.png"), Path("in/p3.png")), Settings(size=100, beta=3, pyramid=False),
        (Path("in/p4.png"),), Path("in/p5.png"), 16,
    )  # fmt: skip


def test_photos_come_from_folders_patterns_and_by_name_each_once(folder: Path, photo) -> None:
    photo.save(folder / "in" / ".hidden.png")
    (folder / "in" / "notes.txt").write_text("no photo")
    (folder / "in" / "out").mkdir()
    photo.save(folder / "in" / "out" / "p1.png")
    photo.save(folder / "[odd].PNG")
    names = [order.photo.as_posix() for order in asked("in", "in/p[12].png", "[odd].PNG", "--style", "s")]
    assert sorted(names) == sorted(["[odd].PNG", *(path.as_posix() for path in Path("in").glob("p*.*"))])
    deep = _batch_parser().parse_args(["in/**/*.png", "--style", "s", "-o", "in/out"])
    assert not [order for order in read(deep) if order.photo.parent.name == "out"]  # earlier results are no photos


def test_recipe_gives_the_settings_that_options_change(folder: Path, photo, style) -> None:
    chosen = Settings(size=64, steps=1, pyramid=False, beta=33, style_layers={"relu3_1": 0.7}, seed=5)
    result = nst.stylise(photo, style, chosen)
    text = recipe.text(recipe.Recipe.of(result, {}))
    encode.save(result.painting.pixels(), "recipe.png", text=text)
    (order,) = asked("in/p1.png", "--style", "style.png", "--recipe", "recipe.png")
    assert order.settings == chosen
    (order,) = asked("in/p1.png", "--style", "s", "--recipe", "recipe.png", "--seed", "6", "--lambda", "relu1_1=1")
    assert order.settings == Settings(**{**vars(chosen), "seed": 6, "style_layers": {"relu3_1": 0.7, "relu1_1": 1.0}})
    assert main(["in/p1.png", "style.png", "-o", "out.png", "--recipe", "recipe.png"]) == 0  # a single run too
    assert Path("out.png").stat().st_size


BAD = {
    "no style": ["in/p1.png"],
    "missing photo": ["missing.png", "--style", "style.png"],
    "nothing in the folder": ["empty", "--style", "style.png"],
    "pattern without a match": ["in/*.bmp", "--style", "style.png"],
    "illegal setting": ["in", "--style", "style.png", "--size", "3"],
    "no recipe": ["in", "--style", "style.png", "--recipe", "style.png"],
    "missing recipe": ["in", "--style", "style.png", "--recipe", "missing.png"],
    "16 bits of JPEG": ["in", "--style", "style.png", "--format", "jpg", "--bits", "16"],
    "no workers": ["in", "--style", "style.png", "--workers", "0"],
    "missing device": ["in", "--style", "style.png", "--device", "cuda:99"],
    "output is a file": ["in", "--style", "style.png", "-o", "style.png"],
    "missing table": ["missing.csv", "--style", "style.png"],
    "unknown column": ["unknown.csv", "--style", "style.png"],
    "bad cell": ["cell.csv", "--style", "style.png"],
    "row too long": ["long.csv", "--style", "style.png"],
    "no content": ["content.csv", "--style", "style.png"],
    "binary table": ["binary.csv", "--style", "style.png"],
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_is_refused_in_a_line_before_the_start(case: str, folder: Path, capsys) -> None:
    (folder / "empty").mkdir()
    (folder / "unknown.csv").write_text("content,sepia\nin/p1.png,1\n")
    (folder / "cell.csv").write_text("content,size\nin/p1.png,100\nin/p2.png,big\n")
    (folder / "long.csv").write_text("content,size\nin/p1.png,100,200\n")
    (folder / "content.csv").write_text("style,size\nstyle.png,100\n")
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    assert main(["batch", "-o", "out", *BAD[case]]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert not (folder / "out").exists()
    if case == "bad cell":
        assert "line 3" in said


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
    """A worker needs no disk in common with the driver."""
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


def test_each_picture_of_a_folder_or_a_pattern_of_styles_is_a_style_by_turns(folder: Path) -> None:
    (folder / "styles").mkdir()
    for name in ("s1.png", "s2.png", ".hidden.png", "words.txt"):
        (folder / "styles" / name).write_bytes(b"")
    (folder / "list.csv").write_text("content,style,beta\nin/p0.png,styles,2\nin/p1.png,style.png|styles,\n")

    def pairs(*given: str) -> list[tuple[str, ...]]:
        return [(item.photo.name, *(style.name for style in item.styles)) for item in asked(*given)]

    each = [("p0.png", "s1.png"), ("p0.png", "s2.png"), ("p1.png", "s1.png"), ("p1.png", "s2.png")]
    assert pairs("in/p0.png", "in/p1.png", "--style", "styles") == each
    assert pairs("in/p[01].png", "--style", "styles/*.png") == each
    blended = [("p0.png", "s1.png"), ("p0.png", "s2.png")]
    blended += [("p1.png", "style.png", "s1.png"), ("p1.png", "style.png", "s2.png")]
    assert pairs("list.csv") == blended
    assert [item.settings.beta for item in asked("list.csv")] == [2, 2, 10, 10]
    names = [file.stem for file in named(asked("in/p0.png", "--style", "styles"), ".png", Path("out"))]
    assert names == ["p0_s1", "p0_s2"]
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no picture found at 'empty'"):
        asked("in/p0.png", "--style", "empty")


def test_brackets_in_a_folder_s_name_are_found_and_patterns_still_are(folder: Path) -> None:
    (folder / "in [2024]").mkdir()
    for name in ("a.png", "b.png", "c.jpg"):
        (folder / "in [2024]" / name).write_bytes(b"")

    def names(*given: str) -> list[str]:
        return [item.photo.name for item in asked(*given, "--style", "style.png")]

    assert names("in [2024]/*.png") == ["a.png", "b.png"]
    assert names("in [[]2024]/[ac].*") == ["a.png", "c.jpg"]
    assert names("in [2024]/**/*.jpg") == ["c.jpg"]
    assert names("in/p[0-2].png") == ["p0.png", "p1.png", "p2.png"]
    with pytest.raises(ValueError, match="with its brackets as a pattern and as they are"):
        names("in [2023]/*.png")


def test_pictures_that_are_left_out_as_results_are_the_reason_told(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder / "in")
    parsed = _batch_parser().parse_args([".", "--style", "../style.png", "-o", "."])
    with pytest.raises(ValueError, match=r"the 12 pictures at '.' are in the output folder"):
        read(parsed)


def test_path_with_a_zero_byte_fails_alone(tmp_path: Path) -> None:
    orders = orders_for(tmp_path, b"a", b"b")
    bad = next(iter(orders))
    orders[bad] = WorkItem(Path("a\0.png"), orders[bad].styles, orders[bad].settings)
    found = statuses(driver.run(orders, [Fake({})], Manifest(tmp_path / "out")))
    assert sorted(found.values()) == ["failed", "painted"]
