"""What the gate reads in a request's body: the function it calls, and files named by addresses, however they hide."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from nst.ui.server import bodies
from nst.ui.server.bodies import Refused

URL = "https://pictures.example/a.png"


@pytest.mark.parametrize(
    "value",
    [
        {"path": URL},
        {"path": URL.upper()},
        {"path": f" {URL}"},
        {"url": URL},
        {"path": None, "url": URL},
        {"path": URL, "url": None, "meta": {"_type": "gradio.FileData"}},
        [[{"image": {"path": URL}, "caption": "a"}]],
        {"background": None, "layers": [{"path": "/tmp/a.png"}, {"path": URL}], "composite": None},
        {"value": {"path": URL}, "__type__": "update"},
        {"path": "/tmp/a.png", "meta": {"path": URL}},
    ],
)
def test_an_address_is_found_wherever_a_file_can_be(value: object) -> None:
    with pytest.raises(Refused, match="no addresses here"):
        bodies.refuse_addresses([1, "text", value], "no addresses here")


def test_a_file_of_the_page_has_a_url_that_nothing_loads() -> None:
    own = {"path": "/tmp/nst/a.png", "url": "http://127.0.0.1:7860/gradio_api/file=/tmp/nst/a.png"}
    bodies.refuse_addresses([own, URL, {"name": URL}, None], "no addresses here")


def test_a_deep_value_needs_no_recursion() -> None:
    deep: object = {"path": URL}
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(Refused):
        bodies.refuse_addresses(deep, "no addresses here")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"7", b"{", b"[" * 100_000, b"\xff\xfe\xff", b'{"a": 1} x'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        bodies.parsed(body)


def test_a_body_is_read_to_its_end_and_given_again() -> None:
    async def play(most_bytes: int) -> list[dict]:
        sent = [{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.request", "body": b"cd"}]
        messages = iter([*sent, {"type": "http.disconnect"}])

        async def receive() -> dict:
            return next(messages)

        replay = bodies.again(await bodies.whole(receive, most_bytes), receive)
        return [await replay(), await replay()]

    first, second = asyncio.run(play(4))
    assert (first["body"], first["more_body"], second["type"]) == (b"abcd", False, "http.disconnect")
    with pytest.raises(Refused, match="too long"):
        asyncio.run(play(3))


def function(name: str, inputs: int = 2, private: int = 0, runs: bool = True, event: str = "click") -> SimpleNamespace:
    blocks = [SimpleNamespace(skip_api=number < private) for number in range(inputs)]
    return SimpleNamespace(api_name=name, inputs=blocks, fn=len if runs else None, targets=[(1, event)])


PAGE = SimpleNamespace(
    fns={
        0: function("stylise"),
        1: function("js", runs=False),
        2: function("go_on", 3, private=1),
        3: function("close", 0, event="unload"),
    }
)


def test_a_function_is_found_by_number_or_name() -> None:
    assert bodies.function_of(PAGE, {"fn_index": 2}, "stylise").api_name == "go_on"
    assert bodies.function_of(PAGE, {}, "stylise").api_name == "stylise"
    # gradio would take some of these for a number, so the gate and gradio could see different functions
    for wrong in (9, -1, "0", 0.0, True, [], {}, None):
        with pytest.raises(Refused, match="no such function"):
            bodies.function_of(PAGE, {"fn_index": wrong}, "predict")
    for closed in (1, 3):
        with pytest.raises(Refused, match="no such function"):
            bodies.function_of(PAGE, {"fn_index": closed}, "predict")


def test_a_call_has_a_value_for_each_input() -> None:
    go_on = PAGE.fns[2]
    assert bodies.check_values(go_on, {"data": [1, 2, 3]}, simple=False) == [1, 2, 3]
    assert bodies.check_values(go_on, {"data": [1, 2]}, simple=True) == [1, 2], "without the State"
    for request in ({}, {"data": None}, {"data": [1, 2]}, {"data": {"0": 1}}, {"data": [1, 2, 3], "batched": True}):
        with pytest.raises(Refused):
            bodies.check_values(go_on, request, simple=False)


def test_a_session_is_a_short_text() -> None:
    assert bodies.session_of({"session_hash": "abc"}) == "abc"
    assert bodies.session_of({}) is None
    for wrong in (7, ["a"], "a" * 101):
        with pytest.raises(Refused):
            bodies.session_of(json.loads(json.dumps({"session_hash": wrong})))


def test_a_file_must_have_been_uploaded_and_still_be_there(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    mark = {"meta": {"_type": "gradio.FileData"}}
    bodies.check_files([{"path": str(tmp_path / "a.png"), **mark}, {"path": "/etc/passwd"}], str(tmp_path))
    for path, sentence in {
        "/etc/passwd": "only be used after it was uploaded",
        f"{tmp_path}/../b.png": "only be used after it was uploaded",
        str(tmp_path / "swept.png"): "This file is gone",
        "\0": "no JSON object",
    }.items():
        with pytest.raises(Refused, match=sentence):
            bodies.check_files([[{"image": {"path": path, **mark}}]], str(tmp_path))
    with pytest.raises(Refused):
        bodies.check_files({"path": str(tmp_path / "a.png"), "meta": 7}, str(tmp_path))


def test_what_is_nested_too_deep_for_gradio_is_refused() -> None:
    for depth, refused in ((40, False), (60, True), (900, True)):
        body = b'{"data": ' + b"[" * depth + b"]" * depth + b"}"
        try:
            bodies.parsed(body)
            assert not refused
        except Refused:
            assert refused
