"""A match in numpy that stands in for the engine: its episodes depend on seed and actions alone."""

from functools import cache

import jax
import numpy as np

import envs
from envs.football.types import End

SCENARIO = "academy_3_vs_1_with_keeper"


@cache
def kickoff():
    """Returns what the academy shows at the start, as the engine's adapter tells it."""
    env = envs.make(f"football:{SCENARIO}")
    facts = jax.jit(lambda key: env.facts(env.reset(key)[0]))(jax.random.key(0))
    return {name: np.asarray(leaf) for name, leaf in facts._asdict().items()}


class MadeUpMatch:
    """Agents' actions and the seed shift the ball; it is out after 5 to 20 steps."""

    def __init__(self, scenario=SCENARIO):
        assert scenario == SCENARIO
        self._kickoff = kickoff()

    def start(self, seed, is_reversed):
        self._place, self._steps, self.end = seed % 1000 + 0.5 * is_reversed, 0, End.NOT
        self._length = 5 + seed % 16

    def step(self, actions):
        assert self.end == End.NOT
        for agent, action in enumerate(actions):
            # The order of actions matters as well as their sum.
            self._place = (self._place * 31 + action * (agent + 1)) % 997
        self._steps += 1
        self.end = End.OUT if self._steps == self._length else End.NOT

    def facts(self):
        shift = 0.0 if self._steps == 0 else self._place / 10_000
        return self._kickoff | {"ball": (self._kickoff["ball"] + shift).astype(np.float32)}
