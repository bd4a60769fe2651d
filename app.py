"""Neural style transfer in the browser: `python app.py`."""

from __future__ import annotations

import contextlib
import os

# OpenMP's threads spin while they wait for each other. When anything else wants a core, as on a shared host, that makes
# a step up to seven times slower; spinning for a short while only costs 4 % on an idle machine. Read when torch loads.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401, on ZeroGPU it must come before torch

from nst import malloc
from nst.ui import build, launch_options
from nst.ui.server import files

malloc.prepare()
files.keep_apart()
demo = build()

if __name__ == "__main__":
    demo.launch(**launch_options())
