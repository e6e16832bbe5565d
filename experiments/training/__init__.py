"""Trains, and writes a run's folder."""
