"""The pictures that clients of the endpoint send."""

import pytest
from gradio_client import handle_file

from nst.ui.server import examples


@pytest.fixture(scope="module")
def inputs() -> dict[str, object]:
    photo, style, _, _ = examples.first_sight()
    return {"photo": handle_file(photo), "style": handle_file(style)}
