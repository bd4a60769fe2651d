"""The handlers behind the buttons and the endpoint, called without a page."""

from __future__ import annotations

import dataclasses
import inspect
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import png
import pytest
from gradio.components.image_editor import EditorDataBlobs as ImageData
from PIL import Image, ImageColor

import nst
from nst import Settings, recipe
from nst.settings import CHOICES, QUALITIES, STYLE_LAYER_WORDS
from nst.ui.server import examples, uploads
from nst.ui.stylise import after_run, handlers, share, status_text
from nst.ui.stylise.controls import PAGE_COLOURS, show_recurring
from nst.ui.stylise.curve import COLUMNS, SERIES_COLOURS, curve_rows
from nst.ui.stylise.form import BRUSHES, PICTURES, masks_of, run_request


@pytest.mark.parametrize("size", [384.5, float("nan"), float("inf"), None])
def test_a_size_that_is_no_whole_number_is_named_in_the_answer(size: float | None) -> None:
    photo, style, _, _ = examples.first_sight()
    answers = handlers.stylise(photo, style, 1, 10, *[0.2] * 5, "relu4_2", size, "draft", "lbfgs", "content", 0, 0)
    assert "must be a whole number" in next(answers)["status"]


def test_an_unexpected_fault_becomes_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Iterator[nst.Event]:
        raise RuntimeError("/secret/path.py: index out of range")

    monkeypatch.setattr(handlers, "stylise_events", broken)
    photo, style, _, _ = examples.first_sight()
    answers = handlers.stylise(photo, style, 1, 10, *[0.2] * 5, "relu4_2", 64, "draft", "lbfgs", "content", 0, 0)
    assert "secret" not in next(answers)["status"]
    with pytest.raises(Exception, match="Something went wrong on the server") as caught:
        next(answers)
    assert "secret" not in str(caught.value)


def test_closing_the_handler_closes_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def endless(*arguments: object, **options: object) -> Iterator[nst.Event]:
        try:
            yield from real_events(*arguments, **options)
        finally:
            closed.append(True)

    real_events = handlers.stylise_events
    monkeypatch.setattr(handlers, "stylise_events", endless)
    photo, style, _, _ = examples.first_sight()
    frames = handlers.stylise(photo, style, 1, 10, *[0.2] * 5, "relu4_2", 64, "draft", "lbfgs", "content", 0, 0)
    next(frames)
    next(frames)
    assert not closed
    frames.close()
    assert closed


def test_the_curve_has_every_series_from_the_first_step_on() -> None:
    photo, style, _, _ = examples.first_sight()
    history = nst.stylise(photo, style, Settings(size=64, pyramid=False, steps=2)).history
    rows = curve_rows(history[:1])
    assert list(rows["series"]) == list(SERIES_COLOURS)
    values = dict(zip(rows["series"], 10 ** rows[COLUMNS[1]], strict=True))
    assert values["total J"] == pytest.approx(history[0].total)
    assert values["relu3_1"] == pytest.approx(history[0].style_layers["relu3_1"])
    assert len(curve_rows(history)) == 2 * len(SERIES_COLOURS)


def brushed(*words: str) -> Image.Image:
    """A layer with a stripe for each brush."""
    layer = Image.new("RGBA", (80, 40), (0, 0, 0, 0))
    for index, word in enumerate(words):
        layer.paste(ImageColor.getrgb(BRUSHES[word]), (index * 20, 0, index * 20 + 15, 40))
    return layer


def test_each_brush_is_the_place_of_its_style() -> None:
    masks = masks_of(brushed("red", "green", "blue", "yellow"), 4)
    for index, mask in enumerate(masks):
        values = np.asarray(mask)
        assert (values[:, index * 20 : index * 20 + 15] == 255).all()
        assert values.sum() == 255 * 15 * 40


def test_one_style_takes_any_brush_and_the_first_brush_alone_blends_all() -> None:
    assert len(masks_of(brushed("green", "blue"), 1)) == 1
    assert np.count_nonzero(masks_of(brushed("green", "blue"), 1)[0]) == 2 * 15 * 40
    assert len(masks_of(brushed("red"), 3)) == 1
    assert masks_of(None, 3) == []


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_white_mask_is_for_all_styles(mode: str) -> None:
    """As a photo editor makes it, or painted in white on nothing."""
    mask = Image.new(mode, (80, 40), (255, 0, 0, 0) if mode == "RGBA" else 0)
    mask.paste("white", (0, 0, 30, 40))
    (whole,) = masks_of(mask, 3)
    assert whole.getbbox() == (0, 0, 30, 40)


@pytest.mark.parametrize(
    ("words", "styles", "answer"),
    [(("green",), 2, "style 1 has no place"), (("red", "green", "blue"), 2, "blue stands for a style that is not")],
)
def test_brushes_and_styles_must_go_together(words: tuple[str, ...], styles: int, answer: str) -> None:
    with pytest.raises(ValueError, match=answer):
        masks_of(brushed(*words), styles)


@pytest.fixture(scope="module")
def kept() -> handlers.Kept:
    photo, style, _, _ = examples.first_sight()
    names = dict(inspect.signature(handlers.stylise).parameters.items())
    given = {name: item.default for name, item in names.items() if item.default is not item.empty}
    given |= {"photo": photo, "style": style, "content_layer": "relu4_2", "size": 64, "seed": 3, "alpha": 1, "beta": 20}
    given |= {f"lambda_{layer}": 0.25 for layer in STYLE_LAYER_WORDS}
    given |= {"quality": "draft", "optimiser": "lbfgs", "init": "content", "total_variation": 2.0}
    *_, last = handlers._painted(given, pyramid=False, steps=3)
    return last["kept"]


def test_colours_of_the_finished_picture_change_without_a_run(kept: handlers.Kept) -> None:
    updates = after_run.recolour(kept, "luminance", 1.0, "after", "png")
    picture = updates["picture"]
    assert picture.size == kept.picture.size
    assert picture.tobytes() == kept.result.painting.recoloured("luminance", 1.0).picture().tobytes()
    assert picture.tobytes() != kept.picture.tobytes()
    assert updates["compare"][1].tobytes() == picture.tobytes()
    back = after_run.recolour(updates["kept"], "style", 1.0, "after", "png")
    assert back["picture"].tobytes() == kept.picture.tobytes(), "changing colours must not wear the picture out"


@pytest.mark.parametrize(
    ("format", "suffix", "mode"), [("png", ".png", "RGB"), ("jpeg", ".jpg", "RGB"), ("webp", ".webp", "RGB")]
)
def test_the_file_has_the_format_asked_for(kept: handlers.Kept, format: str, suffix: str, mode: str) -> None:
    path = Path(after_run.saved(kept, format))
    assert path.suffix == suffix
    file = Image.open(path)
    assert (file.size, file.mode) == (kept.picture.size, mode)


def test_sixteen_bits_come_from_the_painting_and_not_from_the_eight_on_the_page(kept: handlers.Kept) -> None:
    def levels(of: handlers.Kept) -> int:
        rows = list(png.Reader(filename=after_run.saved(of, "png16")).asDirect()[2])
        return len({value for row in rows for value in row})

    assert levels(kept) > 500
    assert levels(dataclasses.replace(kept, result=None)) <= 256, "a stopped run has only eight"


def test_the_png_says_how_it_was_painted_and_sets_the_controls_again(kept: handlers.Kept) -> None:
    path = after_run.show_file(kept, "png")["download"].value["path"]
    restored = share.restore(path)
    assert set(restored) == {"status", *share.RESTORED}, "an update for every control, and for nothing else"
    status, strength = restored.pop("status"), restored.pop("strength")
    assert status.startswith("Settings restored: a picture of 64 x")
    assert "no control for pyramid, steps" in status
    assert strength == 65
    again = run_request({**dict.fromkeys(PICTURES), **restored, "photo": "a", "style": "b"})
    wanted = dataclasses.replace(kept.result.settings, pyramid=True, steps=None, style_blend=(1.0,))
    assert again.settings == wanted
    assert str(examples.FOLDER) not in Path(path).read_bytes().decode("latin1"), "no path of the server"


def test_colours_changed_after_the_run_are_in_the_recipe(kept: handlers.Kept) -> None:
    updates = after_run.recolour(kept, "pca", 0.5, "after", "png")
    settings = recipe.read(updates["download"].value["path"]).settings
    assert (settings.colour, settings.colour_amount) == ("pca", 0.5)


@pytest.mark.parametrize("kind", ["foreign", "text"])
def test_a_foreign_file_restores_nothing_and_says_why(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "other.png"
    if kind == "foreign":
        Image.new("RGB", (20, 20)).save(path)
    else:
        path.write_text("hello")
    updates = share.restore(str(path))
    assert updates["status"].startswith("No settings restored: this")
    assert set(updates) == {"status"}, "every control stays"


def test_go_on_and_bigger_start_from_the_picture(kept: handlers.Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUALITIES, "draft", (2, 1, 1))
    photo, style, _, _ = examples.first_sight()
    values = [photo, style, 1, 10, *[0.2] * 5, "relu4_2", 64, "draft", "lbfgs", "content", 0, 0]
    defaults = [item.default for item in list(inspect.signature(handlers.stylise).parameters.values())[len(values) :]]
    for handler, longer in ((handlers.go_on, 64), (handlers.paint_bigger, 128)):
        *_, updates = handler(kept, *values, *defaults)
        after = updates["kept"]
        assert max(updates["picture"].size) == longer
        assert len(after.result.history) == QUALITIES["draft"][1]
        assert after.request.start.tobytes() == kept.picture.tobytes()
    refused = handlers.go_on(None, *values, *defaults)
    assert "press Stylise first" in next(refused)["status"]


def test_the_time_lapse_runs_from_the_photo_to_the_picture(kept: handlers.Kept) -> None:
    film = Image.open(after_run.show_film(kept, "webp", False)["film"])
    assert film.n_frames >= 3
    first = np.asarray(film.convert("RGB"), dtype=float)
    photo = Image.open(examples.first_sight()[0]).convert("RGB").resize(film.size, Image.Resampling.LANCZOS)
    assert np.abs(first - np.asarray(photo)).mean() < 6
    film.seek(film.n_frames - 1)
    assert np.abs(np.asarray(film.convert("RGB"), dtype=float) - np.asarray(kept.picture)).mean() < 6


def costs(step: int, total: float, style: float = 0.2, level: int = 1) -> nst.Costs:
    return nst.Costs(step, level, (9, 9), 0.0, total, 0.5, style, {}, 0.0)


@pytest.mark.parametrize(
    ("totals", "answer"),
    [
        ([2.0] * 5, ""),
        ([2.0 - 0.05 * n for n in range(20)], "still improving"),
        ([2.0 - 0.0005 * n for n in range(20)], "barely changing: you can stop"),
    ],
)
def test_the_trend_is_told_in_words(totals: list[float], answer: str) -> None:
    assert status_text.trend([costs(n, total) for n, total in enumerate(totals, start=1)]) == answer


def test_a_new_level_is_no_trend_yet() -> None:
    history = [costs(n, 5.0 - 0.1 * n, level=1 + n // 15) for n in range(1, 20)]
    assert status_text.trend(history) == ""


def test_how_much_is_matched_is_a_share_of_what_was_asked() -> None:
    assert status_text.matched(costs(1, 1.0, style=0.07), Settings()) == "style 93 % matched"
    double = Settings(style_layers=dict.fromkeys(STYLE_LAYER_WORDS, 0.4))
    assert status_text.matched(costs(1, 1.0, style=0.14), double) == "style 93 % matched"
    assert status_text.matched(costs(1, 1.0), Settings(beta=0)) == "content 50 % matched"
    assert status_text.matched(costs(1, 1.0), Settings(balance=False)) == ""


def test_a_painted_layer_that_is_empty_or_no_picture_is_no_mask(tmp_path: Path) -> None:
    editor = uploads.brush_input()
    read = editor.preprocess

    def sent(layer: bytes | None) -> ImageData:
        editor.blob_storage["x"] = ImageData(background=None, layers=[layer], composite=None)
        return SimpleNamespace(id="x")

    buffer = io.BytesIO()
    brushed("red").save(buffer, "PNG")
    assert read(sent(buffer.getvalue())).getchannel("A").getextrema()[1] == 255
    assert not editor.blob_storage, "what was read is not kept"
    empty = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(empty, "PNG")
    assert read(sent(empty.getvalue())) is None
    assert read(sent(None)) is None
    assert read(None) is None


@pytest.mark.parametrize("method", CHOICES["colour"])
def test_a_recipe_sets_colours_that_the_page_does_not_offer(kept: handlers.Kept, method: str) -> None:
    path = after_run.recolour(kept, method, 1.0, "after", "png")["download"].value["path"]
    colour = share.restore(path)["colour"]
    if method in PAGE_COLOURS:
        assert colour == method
    else:
        assert colour.value == method
        assert [value for _, value in colour.choices] == [*PAGE_COLOURS, method]


def test_what_stands_in_the_style_picture_once_is_shown_dark() -> None:
    cup = str(Path(examples.photos()["coffee"]))
    shown = np.asarray(show_recurring(cup, "max")["recurring"].convert("L"), dtype=float)
    before = np.asarray(Image.open(cup).convert("L").resize(shown.shape[::-1]), dtype=float)
    height, width = shown.shape
    middle = (slice(height // 4, height // 2), slice(2 * width // 5, 3 * width // 5))
    assert shown[middle].mean() < before[middle].mean() / 2
    assert shown[-height // 8 :].mean() > 0.8 * before[-height // 8 :].mean(), "the table recurs"
    with pytest.raises(Exception, match="There is no style picture yet"):
        show_recurring(None, "max")
