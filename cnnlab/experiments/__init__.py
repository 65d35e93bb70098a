"""Experiments that only the studies run, with many seeds, and what the notebooks read of them."""
