"""Measures speed and memory against the textbook loop: `python -m nst.bench`."""
