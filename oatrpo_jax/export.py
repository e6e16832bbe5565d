"""Trained actors as an artefact that runs without this library: StableHLO and named arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from oatrpo_jax.checks import check_labels
from oatrpo_jax.learner import Learner, LearnerState

if TYPE_CHECKING:
    from jax.export import Exported

PLATFORMS = ("cpu", "cuda", "tpu")


def actor_parameters(state: LearnerState) -> dict[str, jax.Array]:
    """Returns the actors' parameters ``[G, ...]`` by name, such as ``params/MLP_0/Dense_0/bias``.

    What `export_actors` returns takes them in this form.  Where inputs are standardised, the
    statistics of views are among them: ``views/mean`` and ``views/variance``, ``[O]``.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(_read_to_act(state))
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _read_to_act(state: LearnerState) -> dict[str, Any]:
    """Returns all that policies act by, as a tree of arrays."""
    if (norm := state.input_norm) is None:
        return state.policies.params
    views = {"mean": norm.views.mean, "variance": norm.views.variance}
    return {**state.policies.params, "views": views}


def with_actors(state: LearnerState, actors: Mapping[str, jax.Array]) -> LearnerState:
    """Returns the learner acting by other parameters, in the form of `actor_parameters`."""
    tree = jax.tree.structure(_read_to_act(state))
    params = jax.tree.unflatten(tree, [actors[name] for name in actor_parameters(state)])
    if (norm := state.input_norm) is not None:
        lost = dict.fromkeys(("lost_mean", "lost_variance"), jnp.zeros_like(norm.views.mean))
        norm = norm._replace(views=norm.views._replace(**params.pop("views"), **lost))
    policies = state.policies._replace(params=params)
    return state._replace(policies=policies, input_norm=norm)


def export_actors(
    learner: Learner, state: LearnerState, platforms: Sequence[str] = PLATFORMS
) -> Exported:
    """Returns the team's policies as one function, lowered to StableHLO for several platforms.

    Its ``call(params, agents_view, action_mask)`` takes `actor_parameters`, ``[b, N, O]`` float32
    views and ``[b, N, A]`` bool masks, True where an action is legal, for any number of rows
    ``b >= 1``; it returns ``[b, N, A]`` float32 logits and ``[b, N]`` int32 greedy actions.  Which
    agent acts with which policy, by the state's labels, is part of the function.

    Where actions are continuous, masks are ``[b, N, D]``, True where the dimension exists; it
    returns ``[b, N, D]`` float32 log deviations, -1e9 where there is no dimension, and means, which
    are the greedy actions.  They are raw: the environment maps them into its box.

    Where policies remember, it is ``call(params, memory, agents_view, action_mask)``, and it
    returns the memory afterwards before those two.  A memory is ``[b, N, H]`` float32; who calls
    makes rows of it 0 where an episode starts, and views 0 of agents that are not active.

    `jax.export.Exported.serialize` turns it into bytes.

    Args:
        learner: whose policies; parameters are arguments of the function, not part of it.
        state: says who acts with which policy, and which shapes parameters have.
        platforms: as jax calls them.

    Raises:
        ValueError: for a state of several seeds, or labels of policies that there are not.
    """
    from jax import export  # Brings in a serialiser that nothing else needs.

    check_labels("labels", state.labels, learner.spec.num_agents, learner.num_policies)
    (rows,) = export.symbolic_shape("b")
    spec = learner.spec
    seen = (
        jax.ShapeDtypeStruct((rows, spec.num_agents, spec.view_size), jnp.float32),
        jax.ShapeDtypeStruct((rows, spec.num_agents, spec.num_actions), jnp.bool_),
    )
    if learner.policy.remembers:
        shape = rows, spec.num_agents, learner.config.memory_size
        seen = jax.ShapeDtypeStruct(shape, jnp.float32), *seen

    def act(params: Mapping[str, jax.Array], *seen: jax.Array) -> tuple[jax.Array, ...]:
        return _act(learner, with_actors(state, params), *seen)

    return export.export(jax.jit(act), platforms=platforms)(actor_parameters(state), *seen)


def _act(learner: Learner, state: LearnerState, *seen: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the memory afterwards, if any, logits or log deviations, and greedy actions."""
    *past, agents_view, action_mask = seen
    # Agents that remember what they need to act alone: L is 1.
    before = jnp.expand_dims(past[0], -2) if past else None
    policy = learner.policy
    outputs, after = learner.parts.step_team(state, agents_view, action_mask, before)
    greedy = policy.distribution(outputs).mode().astype(policy.action_type)
    remembered = () if after is None else (jnp.squeeze(after, -2),)
    return *remembered, outputs[..., -learner.spec.num_actions :], greedy
