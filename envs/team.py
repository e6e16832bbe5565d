"""The former name of `envs.base`, by which environments of your own may import from it."""

from envs.base import DrawnEnvironment, TeamEnvironment, next_timestep

__all__ = ["DrawnEnvironment", "TeamEnvironment", "next_timestep"]
