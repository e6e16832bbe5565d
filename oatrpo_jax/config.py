"""Static settings: what shapes the program.  Coefficients that flow through it: `hyperparams`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from oatrpo_jax.ranges import LOG_STD, Range, check_count, check_number, is_count


def _setting(default: Any, doc: str, least: int = 1, allowed: Range | None = None) -> Any:
    metadata = {"doc": doc, "least": least, "allowed": allowed}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """Everything that changes a shape, a loop bound or the program itself; checked once.

    Raises:
        ValueError: if a value is out of range, naming the field, the value and what is legal.
    """

    num_envs: int = _setting(64, "parallel environments per seed")
    rollout_length: int = _setting(128, "steps per environment between two updates")
    reset_interval: int = _setting(
        1, "steps between sets of fresh starts, 1: when an episode ends; divides rollout_length"
    )
    num_updates: int = _setting(100, "rollout-and-update iterations of a whole run")
    num_epochs: int = _setting(5, "passes over a rollout by the clipped policy step")
    critic_epochs: int = _setting(5, "passes over a rollout by the critic")
    num_minibatches: int = _setting(
        1, "minibatches per pass; each has one of every few environments"
    )
    estimator: Literal["weighted", "paired", "sampled", "mapping"] = _setting(
        "paired",
        "how reused experience enters: all of it weighted; own experience whole and one other "
        "source drawn per row (with memory per environment); one source, own or other, drawn per "
        "row; or one per learner and iteration (the paper's Algorithm 1)",
    )
    clip_center: Literal["behaviour", "own"] = _setting(
        "behaviour",
        "around what ratios of others' rows are clipped: their behaviour (Eq. 8), or the learner's "
        "own policy before the step",
    )
    divergence: Literal["mean", "max", "quantile"] = _setting(
        "mean", "how the KL gate summarises the rows of a source"
    )
    divergence_rows: int = _setting(
        2048,
        "most rows of all agents together that the reuse rule looks at: whole sequences, one of "
        "each agent at least (*-auto: up to eight)",
    )
    log_affinity: bool = _setting(
        False,
        "log divergences and effective sample sizes also where the reuse rule does not ask for "
        "them; each costs a pass of every policy over every agent's rows, with memory acting too",
    )
    truncation: Literal["bootstrap", "neutralise"] = _setting(
        "bootstrap",
        "at a time limit, bootstrap from the final state's value or give the step no advantage",
    )
    value_loss: Literal["huber", "clipped"] = _setting(
        "huber", "the critic's loss; clipped takes the worse of the loss and its clipped form"
    )
    normalise_values: bool = _setting(True, "let the critic predict standardised returns")
    normalise_inputs: bool = _setting(
        False,
        "standardise what networks see, by running means and deviations over all agents together",
    )
    hidden_sizes: tuple[int, ...] = _setting((64, 64), "widths of the hidden layers")
    activation: Literal["tanh", "relu"] = _setting("tanh", "nonlinearity of the hidden layers")
    layer_norm: bool = _setting(False, "normalise the hidden layers")
    memory_size: int = _setting(0, "units of an actor's GRU after its hidden layers; 0: none", 0)
    initial_log_std: float = _setting(
        -0.5,
        "natural logarithm of the deviations with which continuous actions start",
        allowed=LOG_STD,
    )
    cg_iterations: int = _setting(10, "conjugate-gradient iterations of a trust-region step")
    fisher_rows: int = _setting(
        2048, "most rows of a slot on which a trust-region step finds curvature: whole sequences"
    )
    line_search_steps: int = _setting(10, "candidates tried by a trust-region step")
    grouping_steps: int = _setting(
        8192, "environment steps per seed, before training, by which agents are told apart"
    )
    grouping_epochs: int = _setting(20, "passes over them by the encoder of agents' identities")

    def __post_init__(self) -> None:
        kinds = get_type_hints(Config).values()
        for field, kind in zip(dataclasses.fields(self), kinds, strict=True):
            name, value = field.name, getattr(self, field.name)
            if kind is int:
                check_count(name, value, least=field.metadata["least"])
            elif kind is float:
                check_number(name, value, field.metadata["allowed"])
            elif kind is bool and not isinstance(value, bool):
                raise ValueError(f"{name}: expected True or False, got {value!r}")
            elif get_origin(kind) is Literal and value not in (choices := get_args(kind)):
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
        is_sizes = isinstance(self.hidden_sizes, tuple) and self.hidden_sizes
        if not is_sizes or not all(is_count(size) for size in self.hidden_sizes):
            raise ValueError(
                f"hidden_sizes: expected positive widths in a tuple, got {self.hidden_sizes!r}"
            )

    def check_rollout(self) -> None:
        """Raises a ValueError unless rollouts split evenly, and give a memory something to learn.

        Only who steps environments by this config needs it: `Learner.update` takes any T and E.
        """
        if self.num_envs % self.num_minibatches:
            raise ValueError(
                f"num_minibatches: {self.num_minibatches} does not divide num_envs = "
                f"{self.num_envs}; minibatches are made of whole environments, so choose a divisor"
            )
        if self.rollout_length % self.reset_interval:
            raise ValueError(
                f"reset_interval: {self.reset_interval} does not divide rollout_length = "
                f"{self.rollout_length}; choose a divisor"
            )
        if self.memory_size and self.rollout_length == 1:
            raise ValueError(
                f"memory_size: expected 0 with rollout_length = 1, got {self.memory_size}; what to "
                "remember is learnt within a rollout, so make it longer"
            )

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one update consumes, over all parallel environments."""
        return self.num_envs * self.rollout_length

    @property
    def grouping_length(self) -> int:
        """Steps of each environment that are `grouping_steps` together, or just above."""
        return -(-self.grouping_steps // self.num_envs)
