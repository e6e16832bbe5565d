"""Begins a run or takes it up, in this process."""

from __future__ import annotations

import jax
from rich.console import Console

from experiments.training import program
from experiments.training.console import make_console, say_schedules, status
from experiments.training.errors import UsageError
from experiments.training.folder.directory import check_is_empty, check_out, make_directory
from experiments.training.folder.files import locked, write_json
from experiments.training.folder.loggers import OnChunk, check_logs
from experiments.training.loop import Finish, Training
from experiments.training.placement import hint
from experiments.training.processes import alike
from experiments.training.settings.checks import check_ranking
from experiments.training.settings.config_file import (
    describe_experiment,
    describe_resumption,
    in_common,
)
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.options import Options
from experiments.training.settings.provenance import check_version, compare_with_now
from experiments.training.settings.stored import read_config
from experiments.training.signals import stop_on_signals
from experiments.training.stopping import is_finished


def run(options: Options, finish: Finish, on_chunk: OnChunk | None = None) -> int:
    """Trains what the options ask for, from the beginning or on, and returns the exit code."""
    check_logs(options.run.log)
    begin = start if options.run.resume is None else resume
    # Of several processes the first is enough for what people see.
    shown = (finish, on_chunk) if jax.process_index() == 0 else (lambda *_: {}, None)
    return begin(options, make_console(), *shown)


def start(options: Options, console: Console, finish: Finish, on_chunk: OnChunk | None) -> int:
    """Checks everything, makes the directory and trains from the beginning."""
    name = f"{options.run.env}-{options.run.algorithm}"
    check_out(options.run.out, name)
    experiment = build(options)
    check_ranking(options.sweep, experiment.trainer.env)
    traced = trace_program(experiment, console)
    directory = make_directory(options.run.out, name)
    console.print(f"results: {directory}", soft_wrap=True)
    with locked(directory), stop_on_signals() as stop:
        check_is_empty(directory)  # Another process may have been there since.
        config = describe_experiment(experiment, traced.placement.mesh.shape)
        alike("config.json", in_common(config))
        write_json(directory / "config.json", config)
        training = Training(experiment, traced, directory, console, on_chunk)
        return training.execute(None, config, stop, finish)


def resume(options: Options, console: Console, finish: Finish, on_chunk: OnChunk | None) -> int:
    """Goes on with a run from its newest checkpoint, as if it had never stopped."""
    directory = options.run.resume
    assert directory is not None
    with locked(directory):
        experiment = build(options)
        if alike("summary.json", is_finished(experiment, directory)):
            print(f"Nothing is left to do in {directory}; a higher --total-steps trains on.")
            return 0
        config = read_config(directory)
        check_version(config)
        traced = trace_program(experiment, console)
        compare_with_now(config, traced.placement.mesh.shape)
        training = Training(experiment, traced, directory, console, on_chunk)
        restored = training.find_checkpoint()
        done = 0 if restored is None else restored.num_updates
        now = describe_resumption(config, experiment, done, traced.placement.mesh.shape)
        alike("checkpoint and config.json", in_common(now))
        place = f"after update {done} of {experiment.config.num_updates}"
        console.print(f"resuming {directory} {place}", soft_wrap=True)
        say_schedules(experiment, console)
        with stop_on_signals() as stop:
            return training.execute(restored, now, stop, finish)


def trace_program(experiment: Experiment, console: Console) -> program.Traced:
    """Returns the programs of a run; shapes that do not fit are a UsageError."""
    if experiment.options.run.compilation_cache:
        program.use_compilation_cache()
    with status(console, "tracing ..."):
        try:
            traced = program.trace(experiment)
        except (ValueError, OverflowError) as error:
            raise UsageError(str(error)) from error
    config = experiment.config
    if text := hint(traced.placement, config.num_envs // config.num_minibatches):
        console.print(text, soft_wrap=True)
    return traced
