"""Settings in an address: the original settings are the oracle, and an address may hold any text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from nst import Settings
from nst.ui.server import examples as shipped
from nst.ui.stylise import share
from tests.random_settings import FIELDS, OTHER, all_settings
from tests.serving import usual_values


@examples(max_examples=100, deadline=None)
@given(all_settings())
def test_settings_come_back_from_the_address(settings: Settings) -> None:
    query = share.to_query(settings)
    changes, notices = share.from_query(query)
    assert notices == []
    assert Settings(**changes) == settings
    assert share.from_query("?" + query) == share.from_query(dict(parse_qsl(query, keep_blank_values=True)))
    assert share.from_query("?" + query) == (changes, [])


@pytest.mark.parametrize(
    ("settings", "query"),
    [
        (Settings(), ""),
        (Settings(beta=40.0, size=512), "beta=40&size=512"),
        (Settings(style_layers={"relu1_1": 0.3, "relu2_1": 0}), "style_layers=relu1_1:0.3,relu2_1:0"),
        (Settings(style_blend=(0.75, 1.0), pyramid=False), "style_blend=0.75,1&pyramid=false"),
        (Settings(alpha=0, content_layers={}), "alpha=0&content_layers="),
        (Settings(total_variation=1e-7, device="cuda:1"), "total_variation=1e-07&device=cuda:1"),
    ],
)
def test_address_is_short_and_readable(settings: Settings, query: str) -> None:
    assert share.to_query(settings) == query


BAD = [
    ("size=abc", "size", "'abc' cannot be read"),
    ("size=384.5", "size", "cannot be read"),
    ("size=9000", "size", "over the limit of 8192"),
    ("beta=nan", "beta", "must be a number"),
    ("beta=inf", "beta", "outside 0 to"),
    ("beta=", "beta", "'' cannot be read"),
    ("quality=best", "quality", "choose from sketch, draft"),
    ("pyramid=maybe", "pyramid", "cannot be read"),
    ("style_layers=relu1_1", "style_layers", "cannot be read"),
    ("style_layers=relu1_1:0.2:3", "style_layers", "cannot be read"),
    ("style_layers=relu9_9:1", "style_layers", "not a layer of vgg19"),
    ("style_blend=0,0", "style_blend", "only zeros"),
    ("style_blend=", "style_blend", "cannot be read"),
    ("content_layers=", "content_layers", "raise one"),
    ("seed=-1", "seed", "under the limit"),
    ("seed=" + "9" * 60, "seed", "over the limit"),
    ("seed=" + "9" * 5000, "seed", "cannot be read"),
    ("device=<script>", "device", "not known"),
    ("quality=" + "x" * 8000, "quality", "cannot be read"),
    ("beta=0." + "1" * 63, "beta", "cannot be read"),
    ("quality=a%0Ab%00", "quality", "not known"),
]


@pytest.mark.parametrize(("query", "name", "reason"), BAD, ids=lambda part: part[:30])
def test_bad_value_in_an_address_is_left_out_with_a_notice(query: str, name: str, reason: str) -> None:
    changes, notices = share.from_query(f"alpha=2&{query}&steps=9")
    assert changes == {"alpha": 2.0, "steps": 9}
    assert len(notices) == 1
    assert notices[0].startswith(f"{name} in the address is ignored: ")
    assert reason in notices[0]
    assert notices[0].endswith(".")
    assert len(notices[0]) <= share.LONGEST_NOTICE + 1
    assert notices[0].isprintable()


def test_values_that_need_each_other_are_taken_together() -> None:
    changes, notices = share.from_query("total_variation=1&beta=0&style_layers=&alpha=0")
    assert (changes, notices) == ({"alpha": 0, "beta": 0, "style_layers": {}, "total_variation": 1}, [])
    changes, notices = share.from_query("alpha=0&beta=0")
    assert changes == {"alpha": 0.0}
    assert "nothing to minimise" in notices[0]
    changes, notices = share.from_query("style_layers=relu3_4:1&backbone=vgg16-torchvision")
    assert changes == {"style_layers": {"relu3_4": 1.0}}
    assert notices[0].startswith("backbone in the address is ignored: style_layers has 'relu3_4'")


def test_what_others_put_into_an_address_is_left_alone() -> None:
    assert share.from_query("__theme=dark&utm_source=x&strength=3&size=64&__class__=1") == ({"size": 64}, [])


def test_address_that_is_too_long_is_ignored_whole() -> None:
    padding = "x" * share.LONGEST_QUERY
    for query in (f"size=64&quality={padding}", {"size": "64", "quality": padding}, f"size=64&{padding}"):
        changes, notices = share.from_query(query)
        assert changes == {}
        assert len(notices) == 1
        assert "over 8192 characters" in notices[0]


values = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [*map(str, OTHER.values()), "nan", "-0", "1e400", ":", "a:1,", "relu1_1:1", "0", "None", "[]", "{}"]
    ),
)


@examples(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), values, max_size=8) | st.text(max_size=200))
def test_no_address_raises_and_what_is_left_is_legal(query: str | dict[str, str]) -> None:
    changes, notices = share.from_query(query)
    Settings(**changes)
    if isinstance(query, dict):
        assert len(changes) + len(notices) == len(query.keys() & FIELDS.keys())
    assert all(notice.endswith(".") and len(notice) < 500 for notice in notices)


def test_a_link_names_the_examples_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    own = tmp_path / "own.png"
    Image.new("RGB", (40, 30)).save(own)
    values = {**usual_values(shipped.photos()["coffee"], shipped.styles()["mosaic"]), "other_layers": []}
    made = share.show_query(*values.values())
    assert made["link"].startswith("photo=coffee&style=mosaic&")
    shown = share.from_address(SimpleNamespace(query_params=dict(parse_qsl(made["link"]))))
    assert (shown["photo"], shown["style"]) == (shipped.photos()["coffee"], shipped.styles()["mosaic"])
    made = share.show_query(*{**values, "style": str(own)}.values())
    assert "style=" not in made["link"].split("&")[:2]
    assert made["status"] == "The link holds the settings. Send the style with it: a link holds no pictures."
    forged = share.from_address(SimpleNamespace(query_params={"photo": "../../etc/passwd"}))
    assert forged == {}


@pytest.mark.parametrize("written", ["much", "101", "-1", "nan"])
def test_strength_that_is_none_gets_a_notice(written: str) -> None:
    updates = share.from_address(SimpleNamespace(query_params={"strength": written}))
    assert f"strength in the address is ignored: '{written}' is no number from 0 to 100." in updates["status"]
    assert updates["strength"] == 50


def test_strength_in_an_address_sets_beta_unless_beta_is_there() -> None:
    assert share.from_address(SimpleNamespace(query_params={"strength": "75"}))["beta"] == 31.6
    updates = share.from_address(SimpleNamespace(query_params={"strength": "75", "beta": "3"}))
    assert updates["beta"] == 3
    assert "strength in the address is ignored: beta is there, too." in updates["status"]
