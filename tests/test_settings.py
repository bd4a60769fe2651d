import dataclasses
import math

import numpy as np
import pytest

from nst import Settings
from nst.features.extractor import BACKBONES, POOLINGS
from nst.images.colour import METHODS
from nst.objective.statistics import STATISTICS
from nst.optimise.loop import OPTIMISERS
from nst.settings import BLOCKS, CHOICES, LIMITS, QUALITIES, layer_names

CONTRACT = {
    "alpha": 1.0,
    "beta": 10.0,
    "content_layers": {"relu4_2": 1.0},
    "style_layers": {"relu1_1": 0.2, "relu2_1": 0.2, "relu3_1": 0.2, "relu4_1": 0.2, "relu5_1": 0.2},
    "style_blend": None,
    "style_scale": 1.0,
    "statistic": "gram",
    "style_parts": "all",
    "colour": "style",
    "colour_when": "after",
    "colour_amount": 1.0,
    "mask_edge": 0.0,
    "size": 384,
    "original_size": False,
    "quality": "balanced",
    "steps": None,
    "pyramid": True,
    "optimiser": "lbfgs",
    "init": "content",
    "pooling": "max",
    "total_variation": 0.0,
    "averaging": 0.0,
    "plateau": 0.0,
    "balance": True,
    "backbone": "vgg19",
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "tile_px": None,
    "max_seconds": None,
}


def test_defaults_are_the_contract_s() -> None:
    assert dataclasses.asdict(Settings()) == CONTRACT


def test_every_field_has_a_sentence_for_people() -> None:
    assert all(field.metadata["help"].endswith(".") for field in dataclasses.fields(Settings))


ILLEGAL = [
    ("alpha", -0.5),
    ("alpha", math.nan),
    ("alpha", "1"),
    ("alpha", True),
    ("alpha", 1_000_001),
    ("alpha", 10**400),
    ("beta", math.inf),
    ("beta", None),
    ("total_variation", -1),
    ("style_scale", 0.24),
    ("style_scale", 4.01),
    ("style_scale", math.nan),
    ("statistic", "mean"),
    ("colour", "sepia"),
    ("colour", None),
    ("colour_when", "never"),
    ("colour_amount", 1.01),
    ("colour_amount", -0.1),
    ("mask_edge", 1.5),
    ("mask_edge", math.nan),
    ("averaging", 1.0),
    ("averaging", -0.1),
    ("plateau", 2),
    ("plateau", "soon"),
    ("original_size", 1),
    ("size", 31),
    ("size", LIMITS.size + 1),
    ("size", 384.0),
    ("size", "384"),
    ("size", True),
    ("quality", "best"),
    ("quality", ["draft"]),
    ("steps", 0),
    ("steps", 10_001),
    ("steps", 2.5),
    ("pyramid", 1),
    ("balance", None),
    ("optimiser", "sgd"),
    ("init", "grey"),
    ("pooling", "min"),
    ("backbone", "resnet50"),
    ("backbone", None),
    ("seed", -1),
    ("seed", 2**63),
    ("device", "tpu"),
    ("device", "cuda:x"),
    ("device", 0),
    ("precision", "float16"),
    ("tile_px", LIMITS.smallest_tile - 1),
    ("tile_px", LIMITS.size + 1),
    ("tile_px", 64.0),
    ("max_seconds", -1),
    ("max_seconds", math.nan),
    ("style_blend", 0.5),
    ("style_blend", ()),
    ("style_blend", (1, -1)),
    ("style_blend", (0, 0)),
    ("style_blend", "ab"),
    ("style_blend", (1,) * 5),
    ("content_layers", "relu4_2"),
    ("content_layers", {"relu9_9": 1.0}),
    ("content_layers", {}),
    ("style_layers", {"relu1_1": -1}),
    ("style_layers", {"relu1_1": "much"}),
    ("style_layers", {"relu1_1": 0.0}),
    ("style_layers", {1: 1.0}),
    ("style_layers", ["relu1_1"]),
]


@pytest.mark.parametrize(("name", "value"), ILLEGAL, ids=lambda part: str(part)[:24])
def test_illegal_value_raises_naming_the_field(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Settings(**{name: value})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", -0.5),
        ("alpha", 1_000_001),
        ("size", 31),
        ("style_scale", 4.01),
        ("averaging", 1.0),
        ("mask_edge", 1.5),
        ("quality", "best"),
        ("seed", 2**63),
        ("style_blend", (0, 0)),
    ],
    ids=str,
)
def test_error_names_the_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Settings(**{name: value})
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("name", CHOICES)
def test_error_lists_every_choice(name: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Settings(**{name: "nonsense"})
    assert all(choice in str(caught.value) for choice in CHOICES[name])


def test_error_lists_the_layers_of_the_backbone() -> None:
    with pytest.raises(ValueError, match="vgg16-torchvision") as caught:
        Settings(backbone="vgg16-torchvision", style_layers={"relu3_4": 1.0})
    assert "relu3_3" in str(caught.value)


def test_nothing_to_minimise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha=0.*beta=0"):
        Settings(alpha=0, beta=0)


def test_empty_layers_are_legal_with_a_weight_of_zero() -> None:
    assert Settings(alpha=0, content_layers={}).content_layers == {}
    assert Settings(beta=0, style_layers={}).style_layers == {}


LEGAL = [
    ("size", LIMITS.smallest_size),
    ("size", LIMITS.size),
    ("size", np.int64(256)),
    ("steps", 1),
    ("steps", LIMITS.steps),
    ("alpha", 0),
    ("alpha", LIMITS.weight),
    ("beta", np.float32(2)),
    ("seed", 2**63 - 1),
    ("device", "cuda:3"),
    ("max_seconds", 0),
    ("tile_px", LIMITS.smallest_tile),
    ("tile_px", LIMITS.size),
    ("style_blend", [0.7, 0.3]),
    ("style_blend", (0, 0, 0, 1)),
    ("style_blend", (1, 0)),
    ("style_scale", LIMITS.smallest_style_scale),
    ("style_scale", LIMITS.style_scale),
    ("averaging", LIMITS.averaging),
    ("colour_amount", 0),
    ("colour_amount", 1),
    ("mask_edge", 1),
    ("plateau", 1),
    ("original_size", True),
]


@pytest.mark.parametrize(("name", "value"), LEGAL, ids=str)
def test_the_limits_themselves_are_legal(name: str, value: object) -> None:
    kept = getattr(Settings(**{name: value}), name)
    assert kept == (tuple(value) if isinstance(value, list) else value)


def test_settings_cannot_change_under_a_run() -> None:
    lambdas = {"relu1_1": 1.0}
    settings = Settings(style_layers=lambdas)
    lambdas["relu1_1"] = 5.0
    assert settings.style_layers == {"relu1_1": 1.0}
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.alpha = 2.0


def test_defaults_are_not_shared_between_settings() -> None:
    assert Settings().style_layers is not Settings().style_layers


@pytest.mark.parametrize(
    ("name", "implementations"),
    [
        ("quality", QUALITIES),
        ("backbone", BLOCKS),
        ("backbone", BACKBONES),
        ("pooling", POOLINGS),
        ("optimiser", OPTIMISERS),
        ("statistic", STATISTICS),
    ],
)
def test_every_choice_is_implemented(name: str, implementations: dict) -> None:
    assert set(CHOICES[name]) == set(implementations)


def test_every_colour_is_implemented_but_the_style_s_own_which_needs_nothing() -> None:
    assert set(CHOICES["colour"]) - {"style"} == set(METHODS)


@pytest.mark.parametrize("layer", layer_names("vgg19"))
def test_any_layer_may_hold_content_or_style_with_its_own_weight(layer: str) -> None:
    chosen = Settings(content_layers={layer: 0.3}, style_layers={layer: 2})
    assert (chosen.content_layers, chosen.style_layers) == ({layer: 0.3}, {layer: 2})
    assert set(chosen.layers) == {layer}


@pytest.mark.parametrize("blend", [(0, 0), [0.0, 0, 0, 0], (0,)], ids=str)
def test_blend_of_zeros_says_what_to_do(blend: list | tuple) -> None:
    with pytest.raises(ValueError, match=r"style_blend=\(.*only zeros; raise the weight"):
        Settings(style_blend=blend)


def test_layer_names_of_vgg19_follow_the_paper() -> None:
    names = layer_names("vgg19")
    assert names[:5] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1")
    assert names[-1] == "pool5"
    assert len(names) == 2 * 16 + 5
    assert "relu3_4" in names


def test_layer_names_of_vgg16_are_fewer() -> None:
    assert set(layer_names("vgg19")) - set(layer_names("vgg16-torchvision")) == {
        f"{kind}{block}_4" for kind in ("conv", "relu") for block in (3, 4, 5)
    }
