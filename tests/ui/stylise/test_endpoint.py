"""The page's one public endpoint, through a real client, and the handlers behind the buttons."""

from __future__ import annotations

import dataclasses
import inspect
import io
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import httpx
import numpy as np
import png
import pytest
from gradio.components.image_editor import EditorDataBlobs as ImageData
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageColor

import nst
from nst import Settings, recipe
from nst.settings import CHOICES, QUALITIES, STYLE_LAYER_WORDS
from nst.ui.server import examples, uploads
from nst.ui.stylise import after_run, handlers, share, status_text
from nst.ui.stylise.controls import PAGE_COLOURS
from nst.ui.stylise.curve import COLUMNS, SERIES_COLOURS, curve_rows
from nst.ui.stylise.form import BRUSHES, PICTURES, masks_of, run_request

SMALL = {"size": 128, "quality": "draft"}


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


@pytest.fixture(scope="module")
def inputs() -> dict[str, object]:
    photo, style, _, _ = examples.first_sight()
    return {"photo": handle_file(photo), "style": handle_file(style)}


def test_two_endpoints_are_public_and_document_their_parameters(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/stylise", "/repaint"]
    assert endpoints["/repaint"]["parameters"] == endpoints["/stylise"]["parameters"]
    assert len(endpoints["/repaint"]["returns"]) == 1
    parameters = {item["parameter_name"]: item for item in endpoints["/stylise"]["parameters"]}
    lambdas = {f"lambda_{layer}" for layer in STYLE_LAYER_WORDS}
    assert set(parameters) >= {"photo", "style", "alpha", "beta", "size", "quality", *lambdas}
    assert all(item["parameter_has_default"] for name, item in parameters.items())
    assert len(endpoints["/stylise"]["returns"]) == 3


def test_the_endpoint_streams_picture_curve_and_status(client: Client, inputs: dict[str, object]) -> None:
    yields = list(client.submit(**inputs, **SMALL, api_name="/stylise"))
    assert len(yields) >= 4
    pictures = [Image.open(picture["path"] if isinstance(picture, dict) else picture) for picture, _, _ in yields]
    assert pictures[-1].size == (128, 85)
    assert len({picture.resize((32, 21)).tobytes() for picture in pictures}) >= 3, "the picture changes while it works"
    _, plot, status = yields[-1]
    assert plot["columns"] == list(COLUMNS)
    assert {row[2] for row in plot["data"]} == set(SERIES_COLOURS)
    assert status.startswith("Finished: 128 x 85 px")
    assert "cpu" in status or "cuda" in status


def test_masks_styles_layers_and_colours_reach_the_engine(
    client: Client, inputs: dict[str, object], tmp_path: Path
) -> None:
    mask = tmp_path / "mask.png"
    left = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    left.paste(ImageColor.getrgb(BRUSHES["red"]), (0, 0, 100, 200))
    left.save(mask)
    second = handle_file(examples.styles()["woodcut"])
    picture, _, _ = client.predict(
        **inputs, **SMALL, style_2=second, share_2=0.5, mask=handle_file(mask), mask_edge=0, colour="luminance",
        other_layers={"headers": ["layer", "lambda", "content"], "data": [["relu1_2", 0.3, 0], ["conv3_3", 0, 0.5]]},
        style_scale=1.5, averaging=0.5, api_name="/stylise",
    )  # fmt: skip
    painted = np.asarray(Image.open(picture).convert("RGB"), dtype=float)
    photo = Image.open(examples.first_sight()[0]).convert("RGB").resize((128, 85), Image.Resampling.LANCZOS)
    away = np.abs(painted - np.asarray(photo)).mean(axis=-1)
    assert away[:, 50:].mean() < 4, "beyond the mask is the photo, as JPEG keeps it"
    assert away[:, :35].mean() > 3 * away[:, 50:].mean()


def test_wrong_places_weights_and_layers_end_in_a_sentence(
    client: Client, inputs: dict[str, object], tmp_path: Path
) -> None:
    empty, green = tmp_path / "empty.png", tmp_path / "green.png"
    Image.new("L", (60, 40)).save(empty)
    Image.new("RGB", (60, 40), BRUSHES["green"]).save(green)
    second = handle_file(examples.styles()["woodcut"])
    table = {"headers": ["layer", "lambda", "content"], "data": [["relu1_2", "much", 0]]}
    for bad, answer in (
        ({"mask": handle_file(empty)}, "The mask is empty; paint where the style goes"),
        ({"mask": handle_file(green), "style_2": second}, "Style 1 has no place: brush with red"),
        ({"style_2": second, "share_1": 0, "share_2": 0}, "only zeros; raise the weight of at least one"),
        ({"other_layers": table}, "Relu1_2 has 'much' in the table of layers; give a number"),
    ):
        with pytest.raises(AppError, match=answer):
            client.predict(**inputs, **SMALL, **bad, api_name="/stylise")


def test_bad_input_ends_in_a_sentence(client: Client, inputs: dict[str, object], tmp_path: Path) -> None:
    text = tmp_path / "holiday.png"
    text.write_text("this is not a picture")
    with pytest.raises(AppError, match="not a picture this program reads; save it as PNG or JPEG"):
        client.predict(**{**inputs, "photo": handle_file(text)}, **SMALL, api_name="/stylise")
    thin = tmp_path / "thin.png"
    Image.new("RGB", (1020, 20)).save(thin)
    with pytest.raises(AppError, match="1020 x 20 px, longer than 50 to 1; crop it"):
        client.predict(**{**inputs, "photo": handle_file(thin)}, **SMALL, api_name="/stylise")
    with pytest.raises(AppError, match="There is no photo yet"):
        client.predict(**{**inputs, "photo": None}, **SMALL, api_name="/stylise")


def test_no_answer_to_bad_input_shows_a_path_or_a_traceback(client: Client, inputs: dict[str, object]) -> None:
    for bad in ({"alpha": -1}, {"beta": 1e9}, {"size": 10_000}, {"content_layer": "relu9_9"}, {"quality": "best"}):
        with pytest.raises(Exception) as caught:  # noqa: PT011 (gradio's own checks and ours differ in type)
            client.predict(**inputs, **{**SMALL, **bad}, api_name="/stylise")
        assert "Traceback" not in str(caught.value)
        assert str(Path(__file__).resolve().parents[3]) not in str(caught.value)


def test_cancelling_a_client_ends_the_run_within_a_step(
    address: str, inputs: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []
    real_events = handlers.stylise_events

    def counted(*arguments: object, **options: object) -> Iterator[nst.Event]:
        for event in real_events(*arguments, **options):
            steps.append(time.monotonic())
            yield event

    monkeypatch.setattr(handlers, "stylise_events", counted)
    visitor = Client(address, verbose=False)
    job = visitor.submit(**inputs, size=512, quality="fine", api_name="/stylise")
    while len(job.outputs()) < 3:
        time.sleep(0.05)
    job.cancel()
    cancelled = time.monotonic()
    time.sleep(4)
    assert steps[-1] - cancelled < 2, "the run went on although nobody was waiting for it"


@pytest.mark.parametrize("size", [384.5, float("nan"), float("inf"), None])
def test_a_size_that_is_no_whole_number_is_named_in_the_answer(size: float | None) -> None:
    photo, style, _, _ = examples.first_sight()
    answers = handlers.stylise(photo, style, 1, 10, *[0.2] * 5, "relu4_2", size, "draft", "lbfgs", "content", 0, 0)
    assert "must be a whole number" in next(answers)["status"]


def test_a_path_that_was_not_uploaded_is_refused(address: str) -> None:
    secret = {"path": str(Path(__file__)), "meta": {"_type": "gradio.FileData"}}
    data = {"data": [secret, secret, 1, 10, *[0.2] * 5, "relu4_2", 128, "draft", "lbfgs", "content", 0, 0]}
    event = httpx.post(f"{address}gradio_api/call/stylise", json=data).json()["event_id"]
    answer = httpx.get(f"{address}gradio_api/call/stylise/{event}", timeout=60).text
    assert "event: error" in answer
    assert "not a picture" not in answer, "the server opened a file that the visitor only named"


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


@pytest.fixture(scope="module")
def untouched(client: Client) -> dict[str, object]:
    """The endpoint's parameters by name, with the values of the controls when the page opens."""
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/stylise"]["parameters"]
    given = {item["parameter_name"]: item["parameter_default"] for item in parameters}
    assert list(given) == list(handlers.PARAMETERS)
    return {**given, "other_layers": given["other_layers"]["data"]}


def opened(query: str) -> tuple[str, dict[str, object]]:
    """What the page shows when it is opened with this query: the status, and controls by name."""
    shown = share.from_address(SimpleNamespace(query_params=dict(parse_qsl(query))))
    return shown["status"], {name: shown[name] for name in share.RESTORED if name != "strength"}


def test_a_link_of_untouched_controls_is_empty(untouched: dict[str, object]) -> None:
    assert share.show_query(*untouched.values())["link"] == ""


def test_a_link_leaves_the_controls_alone_that_it_does_not_name(untouched: dict[str, object]) -> None:
    _, controls = opened("seed=7")
    assert controls == {name: untouched[name] for name in controls} | {"seed": 7}


CONTENT = [  # content layers that the page can express
    {"relu4_1": 2.0},
    {"relu4_2": 2.0},
    {"relu3_2": 1.0},
    {"relu4_2": 0.5, "relu4_1": 1.0},
    {"relu3_1": 0.25, "relu1_1": 3.0, "relu4_3": 1.0},
    {"conv4_2": 0.7, "relu4_1": 1e-6},
    {"pool2": 5.0, "relu5_4": 1.0},
]


@pytest.mark.parametrize("layers", CONTENT, ids=str)
def test_weights_of_content_layers_in_the_address_reach_the_run(layers: dict, untouched: dict[str, object]) -> None:
    query = share.to_query(Settings(content_layers=layers))
    status, controls = opened(query)
    assert "ignored" not in status
    assert run_request({**untouched, **controls, "photo": "a", "style": "b"}).settings.content_layers == layers
    again = share.show_query(*{**untouched, **controls}.values())["link"]
    assert Settings(**share.from_query(again)[0]).content_layers == layers


@pytest.mark.parametrize("query", ["content_layers=conv4_2:1", "content_layers=relu4_1:0,pool3:2", "tile_px=64"])
def test_what_the_page_cannot_express_is_said_and_changes_nothing(query: str, untouched: dict[str, object]) -> None:
    name = query.partition("=")[0]
    status, controls = opened(query)
    assert f"{name} in the address is ignored: the page has no control for it." in status
    assert controls == {name: untouched[name] for name in controls}


def test_numbers_that_a_control_cannot_send_end_in_a_sentence_with_the_limit(untouched: dict[str, object]) -> None:
    for name, value, sentence in (
        ("alpha", "much", r"alpha='much' cannot be read; write a number from 0 to 1000000"),
        ("seed", 1.5, r"seed=1\.5 must be a whole number from 0 to"),
        ("size", 9000.0, r"size=9000 px is over the limit of 8192 px"),
        ("original_size", 1, r"original_size=1 must be True or False"),
        ("other_layers", [["relu1_2", float("nan"), 0]], r"relu1_2 has nan in the table of layers; give a number"),
        ("other_layers", [["relu1_2", 0, -1]], r"relu1_2 has -1 in the table of layers; give a number from 0 to"),
    ):
        with pytest.raises(ValueError, match=sentence):
            run_request({**untouched, "photo": "a", "style": "b", name: value})


@pytest.mark.parametrize("method", CHOICES["colour"])
def test_a_recipe_sets_colours_that_the_page_does_not_offer(kept: handlers.Kept, method: str) -> None:
    path = after_run.recolour(kept, method, 1.0, "after", "png")["download"].value["path"]
    colour = share.restore(path)["colour"]
    if method in PAGE_COLOURS:
        assert colour == method
    else:
        assert colour.value == method
        assert [value for _, value in colour.choices] == [*PAGE_COLOURS, method]


def test_the_endpoint_takes_all_colours_and_the_page_offers_four(client: Client, inputs: dict[str, object]) -> None:
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/stylise"]["parameters"]
    (colour,) = [item for item in parameters if item["parameter_name"] == "colour"]
    assert colour["type"]["enum"] == list(CHOICES["colour"])
    offered = [item for item in client.config["components"] if item["props"].get("label") == "Colours"]
    assert [choice for choice, _ in offered[0]["props"]["choices"]] == [
        "style: the style picture's colours",
        "luminance: the photo's colours, the painting's light and dark",
        "linear: the photo's palette, moved as little as possible",
        "histogram: the photo's palette, shade by shade",
    ]
    *_, status = client.predict(**inputs, **SMALL, colour="pca", api_name="/stylise")
    assert status.startswith("Finished")
    with pytest.raises(AppError, match="Colour='linear' is not known; choose from style, luminance, symmetric"):
        client.predict(**inputs, **SMALL, colour="linear", api_name="/stylise")


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


def test_go_on_and_bigger_start_from_the_picture(kept: handlers.Kept) -> None:
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
