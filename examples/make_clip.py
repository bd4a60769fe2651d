"""Makes the example clip: a camera that pans over the cup of coffee. `python examples/make_clip.py`"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from PIL import Image  # noqa: E402

from nst.film import writing  # noqa: E402
from nst.film.clip import Clip  # noqa: E402

FRAMES, RATE = 36, 12
SIZE, SEEN = (384, 288), (440, 330)  # px of the clip, and of the part of the photo that a frame shows
ACROSS, DOWN = 4.4, 1.8  # px of the photo from frame to frame


def main() -> None:
    photo = Image.open(HERE / "photos" / "coffee.jpg")
    boxes = [(ACROSS * t, DOWN * t, ACROSS * t + SEEN[0], DOWN * t + SEEN[1]) for t in range(FRAMES)]
    frames = [photo.resize(SIZE, Image.Resampling.LANCZOS, box) for box in boxes]
    path = HERE / "clips" / "coffee.mp4"
    writing.write(path, frames, Clip(path, "folder", *SIZE, Fraction(RATE), FRAMES / RATE))


if __name__ == "__main__":
    main()
