"""The page's one public endpoint, through a real client, and the handlers behind the buttons."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import nst
from nst import Settings
from nst.settings import STYLE_LAYER_WORDS
from nst.ui import examples, handlers
from nst.ui.curve import COLUMNS, SERIES_COLOURS, curve

SMALL = {"size": 128, "quality": "draft"}


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


@pytest.fixture(scope="module")
def inputs() -> dict[str, object]:
    photo, style, _, _ = examples.first_sight()
    return {"photo": handle_file(photo), "style": handle_file(style)}


def test_stylise_is_the_one_public_endpoint_and_documents_its_parameters(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/stylise"]
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


def test_bad_input_ends_in_a_sentence(client: Client, inputs: dict[str, object], tmp_path: Path) -> None:
    text = tmp_path / "holiday.png"
    text.write_text("this is not a picture")
    with pytest.raises(AppError, match="not a picture this program reads; save it as PNG or JPEG"):
        client.predict(**{**inputs, "photo": handle_file(text)}, **SMALL, api_name="/stylise")
    thin = tmp_path / "thin.png"
    Image.new("RGB", (1000, 20)).save(thin)
    with pytest.raises(AppError, match="choose a size of 800 px or more, or crop"):
        client.predict(**{**inputs, "photo": handle_file(thin)}, **SMALL, api_name="/stylise")
    with pytest.raises(AppError, match="There is no photo yet"):
        client.predict(**{**inputs, "photo": None}, **SMALL, api_name="/stylise")


def test_no_answer_to_bad_input_shows_a_path_or_a_traceback(client: Client, inputs: dict[str, object]) -> None:
    for bad in ({"alpha": -1}, {"beta": 1e9}, {"size": 10_000}, {"content_layer": "relu9_9"}, {"quality": "best"}):
        with pytest.raises(Exception) as caught:  # noqa: PT011 (gradio's own checks and ours differ in type)
            client.predict(**inputs, **{**SMALL, **bad}, api_name="/stylise")
        assert "Traceback" not in str(caught.value)
        assert str(Path(__file__).parents[1]) not in str(caught.value)


def test_cancelling_a_client_ends_the_run_within_a_step(
    address: str, inputs: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []
    real_events = handlers.stylise_events

    def counted(*arguments: object) -> Iterator[nst.Event]:
        for event in real_events(*arguments):
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
    assert "must be a whole number" in next(answers)[2]


def test_a_path_that_was_not_uploaded_is_refused(address: str) -> None:
    secret = {"path": str(Path(__file__)), "meta": {"_type": "gradio.FileData"}}
    data = {"data": [secret, secret, 1, 10, *[0.2] * 5, "relu4_2", 128, "draft", "lbfgs", "content", 0, 0]}
    event = httpx.post(f"{address}gradio_api/call/stylise", json=data).json()["event_id"]
    answer = httpx.get(f"{address}gradio_api/call/stylise/{event}", timeout=60).text
    assert "event: error" in answer
    assert "not a picture" not in answer, "the server opened a file that the visitor only named"


def test_an_unexpected_fault_becomes_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[nst.Event]:
        raise RuntimeError("/secret/path.py: index out of range")

    monkeypatch.setattr(handlers, "stylise_events", broken)
    photo, style, _, _ = examples.first_sight()
    answers = handlers.stylise(photo, style, 1, 10, *[0.2] * 5, "relu4_2", 64, "draft", "lbfgs", "content", 0, 0)
    assert "secret" not in next(answers)[2]
    with pytest.raises(Exception, match="Something went wrong on the server") as caught:
        next(answers)
    assert "secret" not in str(caught.value)


def test_closing_the_handler_closes_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def endless(*arguments: object) -> Iterator[nst.Event]:
        try:
            yield from real_events(*arguments)
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
    rows = curve(history[:1])
    assert list(rows["series"]) == list(SERIES_COLOURS)
    values = dict(zip(rows["series"], 10 ** rows[COLUMNS[1]], strict=True))
    assert values["total J"] == pytest.approx(history[0].total)
    assert values["relu3_1"] == pytest.approx(history[0].style_layers["relu3_1"])
    assert len(curve(history)) == 2 * len(SERIES_COLOURS)
