"""The measurements of experiments/bench.py, one module each."""
