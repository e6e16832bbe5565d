"""A policy as one value: how it starts, acts, remembers, and judges anybody's experience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.policies.distributions import Distribution
from oatrpo_jax.policies.gaussian import Gaussian
from oatrpo_jax.policies.layers import Layers
from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.policies.networks import Actor
from oatrpo_jax.types import PyTree


class Rows(Protocol):
    """Rows that hold what an agent saw, was allowed to do and did, and what went before."""

    @property
    def agents_view(self) -> jax.Array: ...

    @property
    def action_mask(self) -> jax.Array: ...

    @property
    def action(self) -> jax.Array: ...

    @property
    def recall(self) -> Recall | None: ...


@dataclass(frozen=True)
class Policy:
    """Functions of one policy's parameters; who calls them need not know whether it remembers.

    Attributes:
        network: the module behind it; make one with `of`.
    """

    network: Actor

    @classmethod
    def of(cls, config: Config, num_actions: int, is_continuous: bool = False) -> Policy:
        """Returns the policy for so many actions whose network is as the config says."""
        network = Actor(
            layers=Layers.of(config),
            memory_size=config.memory_size,
            num_actions=num_actions,
            is_continuous=is_continuous,
            initial_log_std=config.initial_log_std,
        )
        return cls(network)

    @property
    def remembers(self) -> bool:
        """Whether what it does depends on what it has seen before in the episode."""
        return self.network.memory_size > 0

    @property
    def action_type(self) -> jnp.dtype:
        """The kind of number that actions are made of."""
        return jnp.dtype(jnp.float32 if self.network.is_continuous else jnp.int32)

    def init(self, key: jax.Array, view_size: int) -> PyTree:
        """Returns fresh parameters; the key is consumed."""
        view, mask = jnp.zeros(view_size), jnp.ones(self.network.num_actions, bool)
        if not self.remembers:
            return self.network.init(key, view, mask)
        past = jnp.zeros(self.network.memory_size, jnp.float32), jnp.zeros(1, bool)
        return self.network.init(key, view[None], mask[None], past)

    def step(
        self, params: PyTree, view: jax.Array, mask: jax.Array, memory: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns ``[..., Z]`` outputs for what it does now, and its memory afterwards.

        Args:
            params: the policy's.
            view: ``[..., O]``.
            mask: ``[..., A]`` bool, True where the action is legal, or the dimension exists.
            memory: ``[..., H]`` before; None where it remembers nothing.
        """
        if memory is None:
            return self._apply(params, view, mask)
        ongoing = jnp.zeros((1, *view.shape[:-1]), bool)
        outputs, after = self._apply(params, view[None], mask[None], (memory, ongoing))
        return outputs[0], after

    def outputs(self, params: PyTree, rows: Rows) -> jax.Array:
        """Returns ``[..., Z]`` outputs on rows of anybody's experience, see `distributions`.

        Args:
            params: the policy's.
            rows: ``[..., T, E]`` whole sequences where it remembers, else with any axes.
        """
        recall, view, mask = rows.recall, rows.agents_view, rows.action_mask
        if recall is None:
            return self._apply(params, view, mask)[0]
        by_step = (jnp.moveaxis(x, -3, 0) for x in (view, mask))
        past = jnp.squeeze(recall.memory, -3), jnp.moveaxis(recall.ended, -2, 0)
        outputs, _ = self._apply(params, *by_step, past)
        return jnp.moveaxis(outputs, 0, -3)

    def _apply(self, params: PyTree, *seen: Any) -> tuple[jax.Array, jax.Array | None]:
        return cast(tuple[jax.Array, jax.Array | None], self.network.apply(params, *seen))

    def distribution(self, outputs: jax.Array) -> Distribution:
        """Returns the distribution over actions that ``[..., Z]`` outputs stand for."""
        if self.network.is_continuous:
            return Gaussian(outputs)
        # It brings in distrax: half of the time that importing this package would take.
        from oatrpo_jax.policies.categorical import Categorical

        return cast(Distribution, Categorical(logits=outputs))

    def on(self, params: PyTree, rows: Rows) -> Distribution:
        """Returns the distribution over actions on rows of anybody's experience."""
        return self.distribution(self.outputs(params, rows))

    def log_prob(self, params: PyTree, rows: Rows) -> jax.Array:
        """Returns ``[...]`` the log-probabilities of the actions on such rows."""
        return self.on(params, rows).log_prob(rows.action)
