"""A policy as one value: how it starts, acts, remembers, and judges anybody's experience."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, cast

import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.policies.distributions import Distribution
from oatrpo_jax.policies.gaussian import Gaussian
from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.policies.networks import Actor, RecurrentActor
from oatrpo_jax.types import PyTree


class HasViews(Protocol):
    """Rows that hold what an agent saw, what it was allowed to do, and what went before."""

    @property
    def agents_view(self) -> jax.Array: ...

    @property
    def action_mask(self) -> jax.Array: ...

    @property
    def recall(self) -> Recall | None: ...


class Views(NamedTuple):
    """Such rows, and nothing else; fields have leading axes ``[..., T, E]``.

    Attributes:
        agents_view: ``[..., O]``.
        action_mask: ``[..., A]``.
        recall: what the policy would remember; None where it remembers nothing.
    """

    agents_view: jax.Array
    action_mask: jax.Array
    recall: Recall | None = None


@dataclass(frozen=True)
class Policy:
    """Functions of one policy's parameters; who calls them need not know whether it remembers.

    Attributes:
        config: says how the network is built.
        num_actions: A; D where actions are continuous.
        is_continuous: whether an action is a vector ``[D]`` of real numbers, not one of A.
    """

    config: Config
    num_actions: int
    is_continuous: bool = False

    @property
    def remembers(self) -> bool:
        """Whether what it does depends on what it has seen before in the episode."""
        return self.config.memory_size > 0

    @property
    def action_type(self) -> jnp.dtype:
        """The kind of number that actions are made of."""
        return jnp.dtype(jnp.float32 if self.is_continuous else jnp.int32)

    @cached_property
    def network(self) -> Actor | RecurrentActor:
        """The module behind it."""
        kind = RecurrentActor if self.remembers else Actor
        return kind(self.config, self.num_actions, self.is_continuous)

    def init(self, key: jax.Array, view_size: int) -> PyTree:
        """Returns fresh parameters; the key is consumed."""
        view, mask = jnp.zeros(view_size), jnp.ones(self.num_actions, bool)
        if not self.remembers:
            return self.network.init(key, view, mask)
        memory = jnp.zeros(self.config.memory_size, jnp.float32)
        return self.network.init(key, view[None], mask[None], memory, jnp.zeros(1, bool))

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
            return jnp.asarray(self.network.apply(params, view, mask)), None
        ongoing = jnp.zeros((1, *view.shape[:-1]), bool)
        outputs, after = self.network.apply(params, view[None], mask[None], memory, ongoing)
        return outputs[0], jnp.asarray(after)

    def outputs(self, params: PyTree, rows: HasViews) -> jax.Array:
        """Returns ``[..., Z]`` outputs on rows of anybody's experience, see `distributions`.

        Args:
            params: the policy's.
            rows: ``[..., T, E]`` whole sequences where it remembers, else with any axes.
        """
        recall, view, mask = rows.recall, rows.agents_view, rows.action_mask
        if recall is None:
            return jnp.asarray(self.network.apply(params, view, mask))
        by_step = (jnp.moveaxis(x, -3, 0) for x in (view, mask))
        memory, ended = jnp.squeeze(recall.memory, -3), jnp.moveaxis(recall.ended, -2, 0)
        outputs, _ = self.network.apply(params, *by_step, memory, ended)
        return jnp.moveaxis(outputs, 0, -3)

    def distribution(self, outputs: jax.Array) -> Distribution:
        """Returns the distribution over actions that ``[..., Z]`` outputs stand for."""
        if self.is_continuous:
            return Gaussian(outputs)
        # It brings in distrax: half of the time that importing this package would take.
        from oatrpo_jax.policies.categorical import Categorical

        return cast(Distribution, Categorical(logits=outputs))

    def on(self, params: PyTree, rows: HasViews) -> Distribution:
        """Returns the distribution over actions on rows of anybody's experience."""
        return self.distribution(self.outputs(params, rows))
