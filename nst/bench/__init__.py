"""What speed and memory cost, measured against the textbook: `python -m nst.bench`."""
