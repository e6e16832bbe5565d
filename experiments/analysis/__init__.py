"""Reads the folders of runs: statistics, tables and pictures."""
