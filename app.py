"""Neural style transfer in the browser: `python app.py` is `nst page`, and the file that a Hugging Face Space runs."""

import sys
from typing import Any

from nst import serve


def __getattr__(name: str) -> Any:
    """`demo`, the page itself, for gradio's reloader (`gradio app.py`) and for programs that mount or test it."""
    if name == "demo":
        return serve.page()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    sys.exit(serve.main(sys.argv[1:]))
