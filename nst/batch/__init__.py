"""Many pictures at once: what is painted, by which workers, and what the manifest remembers of it."""

from nst.batch.driver import run

__all__ = ["run"]
