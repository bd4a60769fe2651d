"""The grid of options takes about the same time for every shape of the photo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from nst import Event, Settings
from nst.estimate import levels_of
from nst.ui.stylise import variants
from nst.ui.stylise.form import RunRequest
from nst.ui.stylise.handlers import PARAMETERS

MOST_WORK = 600_000  # pixels times steps, with overhead: 1.5 s on two quiet cores


def planned(photo: Image.Image, size: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Image.Image, Settings]]:
    """The runs of a grid; none of them is painted."""
    begun = []

    def events(content: Image.Image, styles: object, settings: Settings, **_: object) -> Iterator[Event]:
        begun.append((content, settings))
        return iter(())

    style = Image.effect_noise((900, 700), 80).convert("RGB")
    monkeypatch.setattr(variants, "stylise_events", events)

    def run_request(given: object, **changes: object) -> RunRequest:
        return RunRequest(photo, (style,), (), None, Settings(size=size, **changes))

    monkeypatch.setattr(variants, "run_request", run_request)
    *_, updates = variants.paint(*PARAMETERS)
    assert (updates["options"], updates["status"][:9]) == ([], "8 options")
    return begun


@pytest.mark.parametrize("size", [128, 384, 1024])
@pytest.mark.parametrize("shape", [(900, 600), (512, 512), (600, 620), (1600, 200), (200, 2000), (64, 64), (3000, 80)])
def test_a_grid_takes_no_longer_for_another_shape(
    shape: tuple[int, int], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(Image.new("RGB", shape), size, monkeypatch)
    assert len(runs) == len({(run.beta, run.style_scale) for _, run in runs}) == len(variants.VARIANTS)
    for photo, settings in runs:
        assert settings.size <= size
        assert sum(level.work for level in levels_of(photo, settings)) < MOST_WORK
