"""Coefficients: arrays that flow through the program, and their schedules over a run."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from oatrpo_jax.ranges import (
    AT_LEAST_ONE,
    BELOW_ONE,
    INSIDE_UNIT,
    NOT_NEGATIVE,
    POSITIVE,
    UNIT,
    Range,
    as_coefficient,
    check_range,
)


def _coefficient(default: float | None, allowed: Range, doc: str) -> Any:
    return struct.field(default=default, metadata={"doc": doc, "range": allowed})


def _end(name: str, allowed: Range) -> Any:
    doc = f"where {name} goes to in a straight line over the run; constant without a value"
    return struct.field(default=None, metadata={"doc": doc, "range": allowed, "end_of": name})


@struct.dataclass
class Hyperparams:
    """Every coefficient, as float32 arrays: `vmap` over a leading axis sweeps them in one program.

    Make one with `create`, which checks ranges and sees to the types.  Where an end is given, such
    as ``actor_lr_end``, ``actor_lr`` is the value of the first update, and `at` gives that of any;
    ends that are not given are None.
    """

    actor_lr: jax.Array = _coefficient(5e-4, UNIT, "Adam's learning rate of the actors")
    critic_lr: jax.Array = _coefficient(5e-4, UNIT, "Adam's learning rate of the critic")
    max_grad_norm: jax.Array = _coefficient(10.0, POSITIVE, "global norm that gradients keep to")
    gamma: jax.Array = _coefficient(0.99, UNIT, "discount per step")
    gae_lambda: jax.Array = _coefficient(0.95, UNIT, "lambda of generalised advantage estimation")
    ent_coef: jax.Array = _coefficient(0.01, NOT_NEGATIVE, "weight of the entropy bonus")
    clip_eps: jax.Array = _coefficient(0.2, POSITIVE, "how far a ratio may move from 1 and gain")
    dual_clip: jax.Array = _coefficient(
        3.0,
        AT_LEAST_ONE,
        "cap on others' ratios: where the advantage is negative, or before the step on any with "
        "clip_center own",
    )
    reuse_sigma: jax.Array = _coefficient(
        0.1,
        NOT_NEGATIVE,
        "KL below which another agent's experience is admitted (0 admits nobody's)",
    )
    reuse_lambda: jax.Array = _coefficient(
        0.7, UNIT, "weight of an agent's own experience when it has others' too (1 uses no other's)"
    )
    seac_coef: jax.Array = _coefficient(
        1.0, NOT_NEGATIVE, "weight of each other agent's experience in SEAC (0 uses no other's)"
    )
    divergence_quantile: jax.Array = _coefficient(
        0.9, UNIT, "quantile of the rows' KL that the gate looks at, with divergence = quantile"
    )
    kl_threshold: jax.Array = _coefficient(
        0.01, POSITIVE, "radius delta of the trust region, in nats of mean KL"
    )
    cg_damping: jax.Array = _coefficient(
        1e-3, NOT_NEGATIVE, "added to the Fisher matrix's diagonal"
    )
    line_search_decay: jax.Array = _coefficient(
        0.8, INSIDE_UNIT, "step shrinkage per rejected candidate"
    )
    accept_ratio: jax.Array = _coefficient(
        0.5, UNIT, "share of the predicted improvement that a candidate must reach"
    )
    huber_delta: jax.Array = _coefficient(
        10.0, POSITIVE, "error beyond which the critic's loss grows linearly"
    )
    value_clip_eps: jax.Array = _coefficient(
        0.2, POSITIVE, "how far a value may move and gain, with value_loss = clipped"
    )
    value_norm_decay: jax.Array = _coefficient(
        0.99, BELOW_ONE, "share of the running return statistics kept per update"
    )
    actor_lr_end: jax.Array | None = _end("actor_lr", UNIT)
    critic_lr_end: jax.Array | None = _end("critic_lr", UNIT)
    ent_coef_end: jax.Array | None = _end("ent_coef", NOT_NEGATIVE)
    clip_eps_end: jax.Array | None = _end("clip_eps", POSITIVE)
    kl_threshold_end: jax.Array | None = _end("kl_threshold", POSITIVE)
    schedule_updates: jax.Array | None = _coefficient(
        None, AT_LEAST_ONE, "updates in which ends are reached; those of the whole run if not given"
    )

    @classmethod
    def create(cls, **coefficients: Any) -> Hyperparams:
        """Returns hyperparameters as float32 arrays, the ones not given at their defaults.

        Arrays given are broadcast against each other and every other leaf follows, so that the
        result can be vmapped: ``create(reuse_sigma=[0.01, 0.1])`` has leaves of shape ``[2]``.

        Raises:
            ValueError: for an unknown name, a value that is no number, not finite or out of
                range, or shapes that do not broadcast.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(coefficients.keys() - known.keys()):
            raise ValueError(
                f"unknown hyperparameter {', '.join(unknown)}; expected {', '.join(known)}"
            )
        given = {name: coefficients.get(name, field.default) for name, field in known.items()}
        values = {
            name: as_coefficient(name, value)
            for name, value in given.items()
            if value is not None or known[name].default is not None
        }
        for name, value in values.items():
            metadata = known[name].metadata
            check_range(f"{name} ({metadata['doc']})", value, metadata["range"])
        shapes = {name: value.shape for name, value in values.items() if value.shape}
        try:
            shape = jnp.broadcast_shapes((), *shapes.values())
        except ValueError:
            raise ValueError(f"expected shapes that broadcast, got {shapes}") from None
        return cls(**{name: jnp.broadcast_to(value, shape) for name, value in values.items()})

    def at(self, update: jax.Array | int, num_updates: jax.Array | int) -> Hyperparams:
        """Returns the coefficients in force in one update, which have no ends any more.

        The first update has exactly the start, the last one and any later exactly the end, and
        those between lie on a straight line.  A run of one update has the start.

        Args:
            update: ``[]`` updates done before.
            num_updates: ``[]`` updates of the run, in which ends are reached unless
                ``schedule_updates`` is given.
        """
        horizon = num_updates if self.schedule_updates is None else self.schedule_updates
        last = jnp.maximum(jnp.asarray(horizon, jnp.float32) - 1.0, 1.0)
        now = jnp.asarray(update, jnp.float32)
        values: dict[str, jax.Array | None] = {"schedule_updates": None}
        for name, end in self.ends().items():
            start = getattr(self, name)
            # Beyond the last not by the line: XLA may multiply by the inverse of a constant.
            value = jnp.where(now < last, start + now / last * (end - start), end)
            values |= {name: value, ENDS[name]: None}
        return dataclasses.replace(self, **values)

    def ends(self) -> dict[str, jax.Array]:
        """Returns the end of each coefficient that has one, by the coefficient's name."""
        found = {name: getattr(self, of_end) for name, of_end in ENDS.items()}
        return {name: end for name, end in found.items() if end is not None}


ENDS = {
    field.metadata["end_of"]: field.name
    for field in dataclasses.fields(Hyperparams)
    if "end_of" in field.metadata
}
"""The coefficients that may have an end, and what that is called."""
