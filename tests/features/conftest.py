"""What the tests of the network share: a picture, and the device where layers are computed."""

import pytest
from PIL import Image
from torch import Tensor

from nst.images import pictures


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """A file named `*_gpu.py` repeats tests of other files on a GPU."""
    return "cuda" if request.path.stem.endswith("_gpu") else "cpu"


@pytest.fixture(scope="module")
def picture(photo: Image.Image) -> Tensor:
    """A 64 px square of the photo, with sun, house and grass."""
    return pictures.to_tensor(photo.crop((40, 20, 152, 120)).resize((64, 64)))
