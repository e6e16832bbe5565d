"""How fast, and how large: what bench.py measures, and the memory of a run."""
