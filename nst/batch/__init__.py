"""Batches: the list of pictures to paint, the workers that paint them, and the manifest that records them."""

from nst.batch.driver import run

__all__ = ["run"]
