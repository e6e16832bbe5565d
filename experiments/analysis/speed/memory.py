"""How large a run would be: ``run.py --dry-run``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from experiments.analysis.speed.collectives import Collective, collectives
from experiments.analysis.speed.sides import first_rollout
from experiments.training.console import status
from experiments.training.program import Traced
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.devices import ENVS


def report(experiment: Experiment, traced: Traced, console: Console) -> None:
    """Compiles a run's program, and prints its size and what it needs of every device."""
    with status(console, "compiling ..."):
        compiled = traced.advance.lower().compile()
    memory, placement = compiled.memory_analysis(), traced.placement
    devices, of_env = placement.mesh.size, placement.mesh.shape[ENVS]
    config, trainer = experiment.config, experiment.trainer
    _, trajectory = jax.eval_shape(lambda key: first_rollout(trainer, key), jax.random.key(0))
    program = memory.temp_size_in_bytes + memory.generated_code_size_in_bytes
    arrays = memory.argument_size_in_bytes + memory.output_size_in_bytes
    sizes = {
        "train state, all of them": num_bytes(traced.init.out_info),
        "metrics on the device, all of them": num_bytes(traced.advance.out_info[1]),
        "trajectory of one rollout, on each device": num_bytes(trajectory) // of_env,
        "temporaries of the program, that among them": memory.temp_size_in_bytes,
        "program itself": memory.generated_code_size_in_bytes,
        "at least in all, on each device": arrays - memory.alias_size_in_bytes + program,
    }
    table = Table("", "", box=None, show_header=False)
    table.add_row("updates", f"{config.num_updates:,}")
    table.add_row("environment steps per seed", f"{experiment.total_steps:,}")
    table.add_row("grid points x seeds", f"{len(experiment.points)} x {len(experiment.seeds)}")
    table.add_row("processes", str(jax.process_count()))
    table.add_row("devices", f"{devices} = {devices // of_env} (lanes) x {of_env} (environments)")
    table.add_row("lanes on each", ", ".join(map(str, placement.counts)))
    for name, size in sizes.items():
        table.add_row(name, f"{size / 1e6:,.1f} MB")
    number, size = per_update(collectives(compiled.as_text()))
    of_what = "update of a lane" if placement.is_cpu else "update"
    table.add_row(f"collectives per {of_what}", f"{number:,}, {size / 1e6:,.3f} MB")
    console.print(table)


def per_update(found: Iterable[Collective]) -> tuple[int, int]:
    """Returns how often devices exchange something in an update, and how many bytes each gets.

    Loops whose length is not known, as over those whose experience is reused, count as one turn.
    What is done between chunks of updates does not count.
    """
    inside = [each for each in found if each.depth > 0]
    return sum(each.turns for each in inside), sum(each.turns * each.num_bytes for each in inside)


def num_bytes(tree: Any) -> int:
    """Returns what arrays of these shapes hold.

    >>> num_bytes(jax.ShapeDtypeStruct((2, 3), "float32"))
    24
    """
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
