"""The handlers behind the buttons and the endpoint, called without a page."""

from __future__ import annotations

import dataclasses
import inspect
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import png
import pytest
from PIL import Image, ImageColor

import nst
from nst import Settings, recipe
from nst.film.clip import open_clip
from nst.images import pictures, timelapse
from nst.images.packed import Packed
from nst.objective import targets
from nst.settings import CHOICES, QUALITIES, STYLE_LAYER_WORDS
from nst.ui.server import examples, uploads
from nst.ui.stylise import after_run, gallery, handlers, share, status_text
from nst.ui.stylise.controls import PAGE_COLOURS, show_recurring
from nst.ui.stylise.curve import COLUMNS, SERIES_COLOURS, curve_rows, level_mark
from nst.ui.stylise.form import BRUSHES, PICTURES, masks_of, run_request
from nst.ui.stylise.picture import Picture, Run
from nst.ui.stylise.visit import Visit
from tests.serving import usual_values


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


def test_a_second_run_of_the_page_measures_no_style_again(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, usual = [], targets._Measurer._measure_style
    monkeypatch.setattr(targets._Measurer, "_measure_style", lambda *asked: measured.append(1) or usual(*asked))
    targets.kept_styles().clear()
    photo, style, _, _ = examples.first_sight()
    for _ in range(2):
        list(handlers.stylise(photo, style, 1, 10, *[0.2] * 5, "relu4_2", 64, "sketch", "lbfgs", "content", 0, 0))
    assert len(measured) == 1


def test_the_curve_has_every_series_from_the_first_step_on() -> None:
    photo, style, _, _ = examples.first_sight()
    history = nst.stylise(photo, style, Settings(size=64, pyramid=False, steps=2)).history
    rows = curve_rows(history[:1])
    assert list(rows["series"]) == [*SERIES_COLOURS, level_mark(64)]
    values = dict(zip(rows["series"], 10 ** rows[COLUMNS[1]], strict=True))
    assert values["total J"] == pytest.approx(history[0].total, rel=0.002)  # as many digits as a tooltip shows
    assert values["relu3_1"] == pytest.approx(history[0].style_layers["relu3_1"], rel=0.002)
    assert len(curve_rows(history)) == 2 * len(SERIES_COLOURS) + 1


def test_the_curve_marks_where_a_level_begins() -> None:
    layers = dict.fromkeys(STYLE_LAYER_WORDS, 0.5)
    steps = [costs(step, 1.0, level=level) for step, level in enumerate((1, 1, 2, 2, 3), start=1)]
    sizes = {1: (64, 96), 2: (128, 192), 3: (384, 255)}
    history = [dataclasses.replace(one, style_layers=layers, size=sizes[one.level]) for one in steps]
    rows = curve_rows(history)
    marks = rows[~rows["series"].isin(SERIES_COLOURS)]
    assert marks["step"].tolist() == [1, 3, 3, 5, 5]
    assert marks["series"].tolist() == ["96 px", *["192 px"] * 2, *["384 px"] * 2], "a line from top to bottom each"
    assert marks[COLUMNS[1]].tolist()[1:3] == [max(rows[COLUMNS[1]]), min(rows[COLUMNS[1]])]


def test_a_larger_picture_is_never_shown_as_a_loss() -> None:
    started = SimpleNamespace(levels=(1, 2), steps=40, settings=Settings())
    shares = ((1, 0.9), (1, 0.1), (2, 0.6), (2, 0.05))
    history = [costs(step, 1.0, style=style, level=level) for step, (level, style) in enumerate(shares, start=1)]
    said = [
        status_text.progress(started, SimpleNamespace(costs=history[n], fraction=0.5, eta_seconds=7), history[: n + 1])
        for n in range(4)
    ]
    assert "Style 10 % matched" in said[0]
    assert "Style 90 % matched" in said[1]
    assert "Larger picture, finer detail now" in said[2]
    assert "%" not in said[2]
    assert "Style 95 % matched" in said[3]
    assert said[3].startswith("Stage 2 of 2: ")
    assert "7 s left" in said[3]
    limited = SimpleNamespace(levels=(1, 2), steps=40, settings=Settings(max_seconds=60))
    late = SimpleNamespace(costs=dataclasses.replace(history[0], seconds=20.0), fraction=0.2, eta_seconds=80)
    assert "80 s left, but it is stopped in 40 s" in status_text.progress(limited, late, history[:1])
    early = SimpleNamespace(costs=history[0], fraction=0.01, eta_seconds=120)
    assert "left" not in status_text.progress(started, early, history[:1]), "the first steps are slow"


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
def finished() -> Picture:
    """A picture of 64 px after three steps."""
    photo, style, _, _ = examples.first_sight()
    names = dict(inspect.signature(handlers.stylise).parameters.items())
    given = {name: item.default for name, item in names.items() if item.default is not item.empty}
    given |= {"photo": photo, "style": style, "content_layer": "relu4_2", "size": 64, "seed": 3, "alpha": 1, "beta": 20}
    given |= {f"lambda_{layer}": 0.25 for layer in STYLE_LAYER_WORDS}
    given |= {"quality": "draft", "optimiser": "lbfgs", "init": "content", "total_variation": 2.0}
    run = Run(run_request(given, pyramid=False, steps=3))
    for event in handlers.run_events(run.request):
        run.take(event)
    return run.picture()


@pytest.fixture
def visit(finished: Picture) -> Visit:
    """A visit whose first run has just painted the picture."""
    visit = Visit()
    number = visit.start()
    assert visit.do("begin", number)
    assert visit.end(number, dataclasses.replace(finished))
    return visit


def values_of(**changes: object) -> list[object]:
    """Values of `stylise` for a small draft."""
    photo, style, _, _ = examples.first_sight()
    return list({**usual_values(photo, style), "size": 64, "other_layers": [], **changes}.values())


def test_colours_of_the_finished_picture_change_without_a_run(visit: Visit, finished: Picture) -> None:
    updates = after_run.recolour(visit, "luminance", 1.0, "after")
    picture, painted = updates["picture"], finished.result.image
    assert picture.size == painted.size
    assert picture.tobytes() == finished.painting().recoloured("luminance", 1.0).picture().tobytes()
    assert picture.tobytes() != painted.tobytes()
    assert updates["compare"][1].tobytes() == picture.tobytes()
    back = after_run.recolour(visit, "style", 1.0, "after")
    assert back["picture"].tobytes() == painted.tobytes(), "changing colours must not wear the picture out"
    assert visit.strip[0].result.image is painted, "the strip has it as it was painted"


def test_colours_before_the_run_are_for_the_next_one_and_the_page_says_so(visit: Visit) -> None:
    assert list(after_run.recolour(visit, "luminance", 1.0, "before")) == ["status"]


def test_colours_chosen_during_a_run_are_those_of_its_picture(visit: Visit, finished: Picture) -> None:
    number = visit.start()
    visit.do("begin", number)
    assert after_run.recolour(visit, "luminance", 1.0, "after") == {}
    visit.end(number, dataclasses.replace(finished))
    assert visit.present.result.settings.colour == "luminance"
    assert after_run.show(visit)["picture"].tobytes() == finished.recoloured("luminance", 1.0).result.image.tobytes()


@pytest.mark.parametrize(
    ("format", "suffix", "mode"), [("png", ".png", "RGB"), ("jpeg", ".jpg", "RGB"), ("webp", ".webp", "RGB")]
)
def test_the_file_has_the_format_asked_for(finished: Picture, format: str, suffix: str, mode: str) -> None:
    path = Path(after_run.saved(finished, format))
    assert path.suffix == suffix
    file = Image.open(path)
    assert (file.size, file.mode) == (finished.result.image.size, mode)


def test_sixteen_bits_come_from_the_painting_and_not_from_the_eight_on_the_page(finished: Picture) -> None:
    def levels(of: Picture) -> int:
        rows = list(png.Reader(filename=after_run.saved(of, "png16")).asDirect()[2])
        return len({value for row in rows for value in row})

    assert levels(finished) > 500
    eight = dataclasses.replace(finished, packed=Packed.of(finished.painting(), bits=8))
    assert levels(eight) <= 256, "a stopped run has only eight"


def test_a_stopped_run_leaves_a_picture_with_a_recipe_that_says_at_which_step(visit: Visit) -> None:
    number = after_run.show_waiting(visit)["number"]
    frames = handlers.paint(visit, number, "png", *values_of(colour="luminance"))
    while "step 1 of" not in next(frames)["status"]:  # the first step always has a preview
        pass
    assert after_run.stop(visit) == {}, "the display comes with the run itself"
    *_, last = frames
    found = recipe.read(last["download"]["value"])
    assert found.steps in (1, 2), "the step that Stop interrupted counts if it had a preview"
    assert (found.stopped, found.settings.colour) == ("stopped", "luminance")
    assert last["status"].startswith(f"Stopped at step {found.steps} of 43. The picture so far is your result.")
    photo = pictures.scaled(Image.open(examples.first_sight()[0]).convert("RGB"), last["picture"].size[::-1])
    chroma = [np.asarray(picture.convert("YCbCr"), dtype=float)[..., 1:] for picture in (last["picture"], photo)]
    assert np.abs(chroma[0] - chroma[1]).mean() < 3, "previews and the stopped picture have the photo's colours"


def test_a_run_that_was_stopped_while_it_waited_shows_nothing(visit: Visit) -> None:
    number = after_run.show_waiting(visit)["number"]
    assert after_run.stop(visit) == {"cancelled": number}
    assert list(handlers.paint(visit, number, "png", *values_of())) == []
    updates = after_run.show_over(visit)
    assert updates["status"] == "Stopped before it began. Your last picture is still here."
    assert len(visit.strip) == 1
    assert after_run.show_over(visit) == {}, "once is enough"


def test_a_continuation_that_fails_leaves_the_picture(visit: Visit, finished: Picture) -> None:
    number = after_run.show_waiting(visit)["number"]
    frames = handlers.go_on(visit, number, "png", *values_of(photo=None))
    updates = next(frames)
    assert updates["status"].startswith("There is no photo yet")
    assert updates["picture"].tobytes() == finished.result.image.tobytes()
    with pytest.raises(gr.Error, match="There is no photo yet"):
        next(frames)
    assert visit.state == "failed"


def test_a_picture_of_the_strip_brings_back_photo_styles_curve_and_settings(visit: Visit, finished: Picture) -> None:
    updates = gallery.show(visit, SimpleNamespace(index=0))
    assert set(updates) == set(gallery.SHOWN)
    assert (updates["photo"], updates["style"], updates["style_2"]) == (*examples.first_sight()[:2], None)
    assert updates["beta"] == 20
    assert len(updates["chart"]) == 3 * len(SERIES_COLOURS) + 1  # and where the size is written
    lost = dataclasses.replace(finished.request, photo="/nowhere/photo.jpg", masks=(Image.new("L", (9, 9)),))
    lost.__dict__["fingerprints"] = finished.request.fingerprints  # known since the end of the run
    visit.present = dataclasses.replace(finished, request=lost)
    status = gallery.bring_back(visit, "Back.")["status"]
    gone = "Its photo is no longer on the server: choose it again before Continue."
    assert status.startswith(f"Back. {gone} What was brushed")
    with pytest.raises(gr.Error, match="This picture is gone"):
        gallery.show(visit, SimpleNamespace(index=1))


def test_a_picture_that_was_dropped_is_named_where_it_is_asked_for(visit: Visit) -> None:
    visit.present.drop("the budget is spent")
    sentence = "This picture is gone: the budget is spent"
    with pytest.raises(gr.Error, match=sentence):
        gallery.show(visit, SimpleNamespace(index=0))
    with pytest.raises(gr.Error, match=sentence):
        after_run.recolour(visit, "luminance", 1.0, "after")
    assert (
        sentence in next(handlers.go_on(visit, after_run.show_waiting(visit)["number"], "png", *values_of()))["status"]
    )


def test_the_png_says_how_it_was_painted_and_sets_the_controls_again(visit: Visit) -> None:
    path = after_run.show_file(visit, "png")["download"]["value"]
    restored = share.restore(path)
    assert set(restored) == {"status", *share.RESTORED}, "an update for every control, and for nothing else"
    status, strength = restored.pop("status"), restored.pop("strength")
    assert status.startswith("Settings restored: a picture of 64 x")
    assert "no control for pyramid, steps" in status
    assert strength == 65
    again = run_request({**dict.fromkeys(PICTURES), **restored, "photo": "a", "style": "b"})
    wanted = dataclasses.replace(visit.present.result.settings, pyramid=True, steps=None, style_blend=(1.0,))
    assert again.settings == wanted
    assert str(examples.FOLDER) not in Path(path).read_bytes().decode("latin1"), "no path of the server"


def test_colours_changed_after_the_run_are_in_the_recipe(visit: Visit) -> None:
    updates = after_run.recolour(visit, "pca", 0.5, "after")
    settings = recipe.read(updates["download"]["value"]).settings
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


def test_go_on_and_bigger_start_from_the_picture(
    visit: Visit, finished: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUALITIES, "draft", (2, 1, 1))
    for handler, longer in ((handlers.go_on, 64), (handlers.paint_bigger, 128)):
        visit.present = finished
        *_, updates = handler(visit, after_run.show_waiting(visit)["number"], "png", *values_of())
        assert max(updates["picture"].size) == longer
        assert len(visit.present.result.history) == QUALITIES["draft"][1]
        assert visit.present.request.start.tobytes() == finished.result.image.tobytes()
    fresh = Visit()
    refused = handlers.go_on(fresh, after_run.show_waiting(fresh)["number"], "png", *values_of())
    assert "press Stylise first" in next(refused)["status"]


def test_the_time_lapse_runs_from_the_photo_to_the_picture(visit: Visit, finished: Picture) -> None:
    film = Image.open(after_run.show_film(visit, "webp", False)["film"])
    assert film.n_frames >= 3
    first = np.asarray(film.convert("RGB"), dtype=float)
    photo = Image.open(examples.first_sight()[0]).convert("RGB").resize(film.size, Image.Resampling.LANCZOS)
    assert np.abs(first - np.asarray(photo)).mean() < 6
    film.seek(film.n_frames - 1)
    assert np.abs(np.asarray(film.convert("RGB"), dtype=float) - np.asarray(finished.result.image)).mean() < 6


def test_the_time_lapse_as_mp4_has_the_same_pictures_and_times(visit: Visit) -> None:
    updates = after_run.show_film(visit, "mp4", False)
    shown = Image.open(updates["film"])
    assert shown.format == "WEBP", "what the page shows stays a picture"
    clip = open_clip(updates["film_download"]["value"])
    assert (clip.width, clip.height) == tuple(side - side % 2 for side in shown.size)
    times_ms = timelapse.durations(shown.n_frames)
    assert clip.seconds == pytest.approx(sum(times_ms) / 1000, abs=0.03)
    film = list(clip.frames((clip.height, clip.width)))
    for number, when in ((0, 0), (1, times_ms[0] * clip.rate // 1000), (shown.n_frames - 1, -1)):
        shown.seek(number)
        expected = np.asarray(shown.convert("RGB").resize(film[0].size), float)
        assert np.abs(np.asarray(film[when], float) - expected).mean() < 6


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
    def read(layer: bytes | None) -> Image.Image | None:
        uploads.PAINTINGS["x"] = layer
        return uploads.painted_layer({"id": "x", "path": None})

    buffer = io.BytesIO()
    brushed("red").save(buffer, "PNG")
    assert read(buffer.getvalue()).getchannel("A").getextrema()[1] == 255
    assert "x" not in uploads.PAINTINGS, "what was read is not kept"
    empty = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(empty, "PNG")
    assert read(empty.getvalue()) is None
    assert read(None) is None
    assert uploads.painted_layer({"id": None, "path": None}) is None
    assert uploads.painted_layer(None) is None


@pytest.mark.parametrize("method", CHOICES["colour"])
def test_a_recipe_sets_colours_that_the_page_does_not_offer(visit: Visit, method: str) -> None:
    path = after_run.recolour(visit, method, 1.0, "after")["download"]["value"]
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
    assert shown[:, -width // 8 :].mean() > 0.9 * before[:, -width // 8 :].mean(), "the table recurs"
    with pytest.raises(Exception, match="There is no style picture yet"):
        show_recurring(None, "max")


def test_a_brushed_style_reaches_the_run_and_its_recipe(tmp_path: Path) -> None:
    layer = tmp_path / "layer.png"
    Image.new("RGBA", (60, 40), "black").save(layer)
    photo, style, _, _ = examples.first_sight()
    given = {**usual_values(photo, style), "other_layers": []}
    request = run_request({**given, "style_mask": str(layer)})
    assert request.style_masks == (str(layer),)
    assert request.fingerprints["style mask 1"] == recipe.fingerprint(layer)
    assert run_request(given).style_masks == ()
