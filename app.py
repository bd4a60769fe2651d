"""Neural style transfer in the browser: `python app.py`."""

from __future__ import annotations

from nst.ui import build, launch_options

QUEUE_LENGTH = 20  # visitors waiting; the next one is told to come back

demo = build()
demo.queue(max_size=QUEUE_LENGTH)

if __name__ == "__main__":
    demo.launch(**launch_options())
