"""The work list of a batch: photos, options and rows of a table, and the names of the outputs."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import nst
from nst import Settings, recipe
from nst.batch.work_list import WorkItem, check_files, named, read
from nst.command_line import _batch_parser, main
from nst.images import encode
from tests.batch.batches import QUICK, asked, painted
from tests.random_settings import all_settings
from tests.test_command_line import OPTIONS, cells_of

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
        ["Content", "style", "size", "no-pyramid", "mask", "start", "bits", "style_mask"],
        ["p1.png", "", "", "no", "", "", "", ""],
        ["p2.png", "../style.png|p3.png", "100", "yes", "p4.png", "p5.png", "16", "p6.png|p7.png"],
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    (folder / "in" / "rows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())  # as a spreadsheet saves it
    plain, special = asked("in/rows.csv", "--style", "style.png", "--size", "80", "--beta", "3", "--mask", "m.png")
    assert plain == WorkItem(Path("in/p1.png"), (Path("style.png"),), Settings(size=80, beta=3), (Path("m.png"),))
    assert special == WorkItem(
        Path("in/p2.png"), (Path("in/../style.png"), Path("in/p3.png")), Settings(size=100, beta=3, pyramid=False),
        (Path("in/p4.png"),), Path("in/p5.png"), 16, style_masks=(Path("in/p6.png"), Path("in/p7.png")),
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


@given(all_settings())
@examples(max_examples=60, deadline=None)
def test_settings_come_back_from_a_row(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> None:
    path = tmp_path_factory.getbasetemp() / "random.csv"
    cells = cells_of(settings)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["content", "style", *cells], ["p", "s", *map("|".join, cells.values())]])
    (order,) = asked(str(path))
    assert order.settings == settings


SWITCHES = {"pyramid": "--no-pyramid", "balance": "--no-balance", "original_size": "--original-size"}


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(("cell", "on"), [("yes", True), ("TRUE", True), ("no", False), (" False ", False)])
def test_a_switch_in_a_row_overrides_the_command(name: str, cell: str, on: bool, folder: Path) -> None:
    for column, value in ((name, on), (f"no_{name}", not on)):
        (folder / "rows.csv").write_text(f"content,{column}\na.png,{cell}\nb.png,\n")
        for command in ([], [SWITCHES[name]]):
            row, plain = asked("rows.csv", "--style", "s.png", *command)
            assert getattr(row.settings, name) == value
            assert getattr(plain.settings, name) == (getattr(Settings(), name) != bool(command))


@pytest.mark.parametrize(
    ("column", "cell", "sentence"),
    [
        ("no_pyramid", "maybe", "pyramid='maybe' cannot be read; write yes or no"),
        ("size", "100|200", "size='100|200' cannot be read; write a whole number from 32 to 8192 px"),
        ("steps", "yes", "steps='yes' cannot be read; write a whole number from 1 to 10000"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_its_line(column, cell, sentence, folder: Path) -> None:
    (folder / "rows.csv").write_text(f"content,{column}\na.png,\nb.png,{cell}\n")
    with pytest.raises(ValueError, match=r"rows\.csv, line 3: ") as caught:
        asked("rows.csv", "--style", "s.png")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_empty_rows_and_empty_cells_beyond_the_header_are_skipped(separator: str, folder: Path) -> None:
    rows = ["content,style,size", ",,", "a.png,s.png,64", ",,,,,", "", " , ,", "b.png,s.png,80,,", ",,"]
    (folder / "rows.csv").write_text("\n".join(rows).replace(",", separator))
    assert [(order.photo.name, order.settings.size) for order in asked("rows.csv")] == [("a.png", 64), ("b.png", 80)]


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
