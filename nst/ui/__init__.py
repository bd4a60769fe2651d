"""The web page: the only room that imports gradio."""

from nst.ui.page import build, launch_options

__all__ = ["build", "launch_options"]
