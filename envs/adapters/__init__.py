"""Environments of other libraries under our protocol; each module is a family of `envs.make`."""
