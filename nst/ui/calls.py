"""How the page calls its handlers."""

from __future__ import annotations

# Handlers that do not compute: they answer at once, outside the queue, and are no endpoint for programs.
AT_ONCE = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
IN_BROWSER = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}  # a line of JavaScript alone

# Runs: one at a time, for each uses the whole device.
ON_DEVICE = {"concurrency_limit": 1, "concurrency_id": "device", "show_progress": "hidden"}
