import pytest
import torch

import nst
from nst import Settings
from nst.objective import targets
from nst.objective.targets import StyleCache, digest

QUICK = Settings(size=48, quality="draft", steps=1, device="cpu", precision="float32")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Measurements of style pictures, in order: their scale and settings."""
    calls, plain = [], targets._Measurer._measure_style

    def measure(measuring, painting, alpha, scale):
        calls.append((scale, measuring.settings))
        return plain(measuring, painting, alpha, scale)

    monkeypatch.setattr(targets._Measurer, "_measure_style", measure)
    return calls


def test_digest_tells_shape_and_values() -> None:
    values = torch.arange(6.0)
    different = [values, values.view(2, 3), values.flip(0), values + 1e-6, None]
    assert len(set(map(digest, different))) == len(different)
    assert digest(values) == digest(values.clone())


def test_a_style_is_measured_once_per_size_and_the_picture_stays_the_same(photo, style, measured) -> None:
    memo, other = StyleCache(), photo.rotate(180)
    expected = [nst.stylise(content, style, QUICK).image.tobytes() for content in (photo, other)]
    alone = len(measured)
    assert [nst.stylise(content, style, QUICK, memo=memo).image.tobytes() for content in (photo, other)] == expected
    assert len(measured) - alone == alone / 2  # those of the second photo were cached


@pytest.mark.parametrize(
    "change",
    [
        {"statistic": "wasserstein"},
        {"pooling": "average"},
        {"style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}},
        {"style_scale": 2.0},
        {"precision": "bfloat16"},
        {"size": 64},
    ],
    ids=str,
)
def test_whatever_matters_is_measured_anew(change: dict, photo, style, measured) -> None:
    changed = Settings(**{**vars(QUICK), **change})
    memo = StyleCache()
    nst.stylise(photo, style, QUICK, memo=memo)
    before = len(measured)
    assert nst.stylise(photo, style, changed, memo=memo).history[-1].style == pytest.approx(
        nst.stylise(photo, style, changed).history[-1].style, rel=1e-6
    )
    assert len(measured) - before == 2 * len({scale for scale, settings in measured if settings == changed})


def test_transparency_of_a_style_matters(photo, style, measured) -> None:
    clear = style.copy()
    clear.putalpha(style.convert("L"))
    memo = StyleCache()
    nst.stylise(photo, style, QUICK, memo=memo)
    before = len(measured)
    nst.stylise(photo, clear, QUICK, memo=memo)
    assert len(measured) > before
