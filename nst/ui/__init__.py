"""The web page: the only place besides `app.py` that knows gradio."""

from nst.ui.page import build, launch_options

__all__ = ["build", "launch_options"]
