"""The command line as data: what may be given, with the defaults of the environment chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro
from tyro.conf import OmitArgPrefixes, Suppress, arg

from experiments.training.errors import UsageError, fail, typed_names
from experiments.training.settings.defaults import AlgorithmName, Preset, get_preset
from experiments.training.settings.preset_files import preset_arguments
from experiments.training.settings.run_options import Run
from oatrpo_jax.algorithms import Algorithm, fixed_algorithm, get_algorithm
from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.reuse.rules import allowed_reuse

PROGRAM = "experiments/run.py"

DESCRIPTION = """Train a team of agents; every seed and every setting of the grid in one program.

Leaves config.json, metrics.csv, summary.json, curves.png, reuse.png, replay.gif, TensorBoard files
and checkpoints; with --eval-every also evaluation.csv and best.safetensors. The defaults shown are
those of the environment and the algorithm on the command line."""

EXAMPLES = """Examples:
  python experiments/run.py --env maze
      OAPPO on the Black and Red maze, five seeds
  python experiments/run.py --env maze --algorithm happo --seeds 10 --out runs/happo
  python experiments/run.py --env maze --reuse-sigma 0.01 0.1 1 10 --reuse-lambda 0.4 0.7
      a grid of 8 points x 5 seeds in one program
  python experiments/run.py --env maze:black-blue-red --algorithm fixed --reuse-matrix rr
  python experiments/run.py --env maze --env-option num_per_colour=4 time_limit=60
  python experiments/run.py --resume runs/happo --total-steps 300000
      go on with a run that was stopped, killed, or is to be longer
  python experiments/run.py --env maze --eval-every 10
      evaluated on the way; the best policies play once more at the end
  python experiments/run.py --env maze --algorithm oatrpo --help
      the options and defaults of another algorithm
"""


@dataclass(frozen=True)
class Options:
    """What a command line says, defaults filled in, nothing checked yet.

    Attributes:
        run: what to run, and where to leave it.
        config: fields of `Config` but `num_updates`.
        grid: fields of `Hyperparams`, each with one or several values.
        given: names of the options that stood on the command line.
        argv: the command line.
    """

    run: Run
    config: dict[str, Any]
    grid: dict[str, tuple[float, ...]]
    given: frozenset[str]
    argv: tuple[str, ...]


@dataclass(frozen=True)
class _Choice:
    env: str = "maze"
    algorithm: AlgorithmName = "oappo"
    preset: Path | None = None
    resume: Path | None = None


def parse(argv: Sequence[str]) -> Options:
    """Returns the options of a command line; shows help or a usage error and exits if need be."""
    choice = _choose(argv)
    typed = list(argv)
    if choice.preset is not None:
        typed = [*_preset_arguments(choice), *argv]  # Of two equal options the last one counts.
        choice = _choose(typed)
    preset = get_preset(choice.env, choice.algorithm)
    try:
        arguments: Any = tyro.cli(
            _arguments_type(choice, preset, _shown(choice.algorithm, argv)),
            prog=PROGRAM,
            description=DESCRIPTION,
            args=typed,
            config=(OmitArgPrefixes,),
        )
    except SystemExit as exit_:
        if not exit_.code:
            print(EXAMPLES)
        raise
    return Options(
        run=dataclasses.replace(arguments.run, preset=None),  # All of it is in the other options.
        config=dataclasses.asdict(arguments.program),
        grid=dataclasses.asdict(arguments.coefficients),
        given=given_names(argv),
        argv=tuple(argv),
    )


def _choose(argv: Sequence[str]) -> _Choice:
    """Returns what decides the defaults of everything else."""
    choice, _ = tyro.cli(
        _Choice, prog=PROGRAM, args=list(argv), add_help=False, return_unknown_args=True
    )
    return choice


def _preset_arguments(choice: _Choice) -> list[str]:
    """Returns what the preset file says; a usage error exits."""
    assert choice.preset is not None
    if choice.resume is not None:
        fail("preset: expected only for a new run, got it beside --resume; leave it out")
    try:
        return preset_arguments(choice.preset)
    except UsageError as error:
        fail(str(error))


def given_names(argv: Sequence[str]) -> frozenset[str]:
    """Returns the names of the options on a command line, defaults not counted.

    >>> sorted(given_names(["--num-envs", "4", "--no-layer-norm", "--gamma=0.9"]))
    ['gamma', 'layer_norm', 'num_envs']
    """
    return frozenset(typed_names(argv))


def check_reads(algorithm: Algorithm, config: Config, given: frozenset[str]) -> None:
    """Raises a UsageError if an option was given that the algorithm does not read."""
    reads = algorithm.reads(config)
    known = {field.name for kind in (Config, Hyperparams) for field in dataclasses.fields(kind)}
    if ignored := sorted(given & (known - reads)):
        listed = ", ".join(sorted(reads - {"num_updates"}))
        verb = "is" if len(ignored) == 1 else "are"
        raise UsageError(
            f"{', '.join(ignored)} {verb} not read by {algorithm.name} with these settings; "
            f"it reads {listed}. Leave {'it' if verb == 'is' else 'them'} out."
        )


def _arguments_type(choice: _Choice, preset: Preset, shown: frozenset[str]) -> type:
    """Returns the dataclass that tyro fills: run, program and coefficients."""
    run = dataclasses.replace(
        Run(), env=choice.env, algorithm=choice.algorithm, total_steps=preset.total_steps or 0
    )
    program = [_setting(field, preset, shown) for field in _config_fields()]
    coefficients = [_coefficient(field, preset, shown) for field in dataclasses.fields(Hyperparams)]
    groups = {
        "run": (Run, run),
        "program": _group("Program", program, "Shapes and structure: one value each."),
        "coefficients": _group(
            "Coefficients", coefficients, "Several values each make a grid: product x seeds."
        ),
    }
    return dataclasses.make_dataclass(
        "Arguments",
        [
            (name, kind, dataclasses.field(default=default))
            for name, (kind, default) in groups.items()
        ],
        frozen=True,
    )


def _config_fields() -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(Config) if field.name != "num_updates"]


def _group(name: str, fields: list[tuple[str, Any, Any]], doc: str) -> tuple[type, Any]:
    group = dataclasses.make_dataclass(name, fields, frozen=True, namespace={"__doc__": doc})
    return group, group()


def _setting(field: dataclasses.Field, preset: Preset, shown: frozenset[str]) -> tuple:
    default = preset.config.get(field.name, field.default)
    kind = Annotated[get_type_hints(Config)[field.name], arg(help=field.metadata["doc"])]
    return _hide_unless(field.name in shown, field.name, kind, default)


def _coefficient(field: Any, preset: Preset, shown: frozenset[str]) -> tuple:
    default = (float(preset.hyperparams.get(field.name, field.default)),)
    low, high = field.metadata["low"], field.metadata["high"]
    help_ = f"{field.metadata['doc']}, in {_interval(low, high)}"
    kind = Annotated[tuple[float, ...], arg(help=help_, metavar="FLOAT [FLOAT ...]")]
    return _hide_unless(field.name in shown, field.name, kind, default)


def _interval(low: float, high: float) -> str:
    """Returns a range for people: bounds that only say "positive" or "below one" are open.

    >>> _interval(0, 1), _interval(1e-38, 3e38)
    ('[0, 1]', '(0, inf)')
    """
    left = f"[{low:g}" if low == 0 or low >= 1e-9 else "(0"
    if high > 1e30:
        return f"{left}, inf)"
    return f"{left}, {high:g}]" if high >= 1 else f"{left}, 1)"


def _hide_unless(is_shown: bool, name: str, kind: Any, default: Any) -> tuple:
    kind = kind if is_shown else Annotated[kind, Suppress]
    return name, kind, dataclasses.field(default=default)


def _shown(name: str, argv: Sequence[str]) -> frozenset[str]:
    """Returns the settings and coefficients to offer.

    Help lists those that the algorithm reads under some configuration.  Parsing takes all, as tyro
    would call the others unknown, where `check_reads` has something better to say.
    """
    if not {"-h", "--help"} & set(argv):
        return frozenset(f.name for kind in (Config, Hyperparams) for f in dataclasses.fields(kind))
    algorithm = fixed_algorithm(allowed_reuse([[True]])) if name == "fixed" else get_algorithm(name)
    return algorithm.reads(Config(divergence="quantile", value_loss="clipped"))
