"""The page's one public endpoint, through a real client, and the handlers behind the buttons."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageColor

from nst import Settings
from nst.settings import CHOICES, QUALITIES, STYLE_LAYER_WORDS
from nst.ui.server import examples
from nst.ui.stylise import handlers, share
from nst.ui.stylise.curve import COLUMNS, SERIES_COLOURS, level_mark
from nst.ui.stylise.form import BRUSHES, run_request

SMALL = {"size": 128, "quality": "draft"}


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


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


@pytest.fixture(scope="module")
def yields(client: Client, inputs: dict[str, object]) -> list[tuple]:
    """The outputs of a small run that a client receives, in order."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(QUALITIES, "draft", (4, 3, 2))
        return list(client.submit(**inputs, **SMALL, api_name="/stylise"))


def test_the_endpoint_streams_picture_curve_and_status(yields: list[tuple]) -> None:
    assert len(yields) >= 4
    pictures = [Image.open(picture["path"] if isinstance(picture, dict) else picture) for picture, _, _ in yields]
    assert pictures[-1].size == (128, 85)
    assert len({picture.resize((32, 21)).tobytes() for picture in pictures}) >= 3, "the picture changes while it works"
    _, plot, status = yields[-1]
    assert plot["columns"] == list(COLUMNS)
    assert {row[2] for row in plot["data"]} == {*SERIES_COLOURS, level_mark(128)}
    assert status.startswith("Finished: 128 x 85 px")


def test_masks_styles_layers_and_colours_reach_the_engine(
    client: Client, inputs: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUALITIES, "draft", (1, 1, 1))
    mask = tmp_path / "mask.png"
    left = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    left.paste(ImageColor.getrgb(BRUSHES["red"]), (0, 0, 100, 200))
    left.save(mask)
    second = handle_file(examples.styles()["woodcut"])
    picture, _, _ = client.predict(
        **inputs, **SMALL, style_2=second, share_2=0.5, mask=handle_file(mask), mask_edge=0, colour="luminance",
        other_layers={"headers": ["layer", "lambda", "content"], "data": [["relu1_2", 0.3, 0], ["conv3_3", 0, 0.5]]},
        style_scale=0.5, averaging=0.5, api_name="/stylise",
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


def test_a_path_that_was_not_uploaded_is_refused(address: str, untouched: dict[str, object]) -> None:
    secret = {"path": str(Path(__file__)), "meta": {"_type": "gradio.FileData"}}
    given = {**untouched, "other_layers": None, "photo": secret, "style": secret}
    answer = httpx.post(f"{address}gradio_api/call/stylise", json={"data": [*given.values()]})
    assert answer.status_code == 400
    assert "can only be used after it was uploaded" in answer.json()["detail"]


@pytest.fixture(scope="module")
def untouched(client: Client) -> dict[str, object]:
    """The endpoint's parameters by name, with the values of the controls when the page opens."""
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/stylise"]["parameters"]
    given = {item["parameter_name"]: item["parameter_default"] for item in parameters}
    assert list(given) == list(handlers.PARAMETERS)
    shown = {name: given[name]["path"] for name in share.EXAMPLES}
    return {**given, **shown, "other_layers": given["other_layers"]["data"]}


def opened(query: str) -> tuple[str, dict[str, object]]:
    """The state of the page when it is opened with this query: the status, and controls by name."""
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


def test_the_endpoint_takes_all_colours_and_the_page_offers_four(
    client: Client, inputs: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUALITIES, "draft", (2, 1, 1))
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
