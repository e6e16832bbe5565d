"""What newcomers do with the installed package, outside of a clone: each task at the first try.

``python -m tests.wheel`` goes through them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tests.pages import examples, fragments, the_one_with

A_RUN, UPDATE = (
    the_one_with(what, examples("embedding.md")) for what in ("make_train", "learner.update")
)
OWN_ENVIRONMENT = the_one_with("class Agree", examples("own-environment.md"))
LOADED = the_one_with("load_run", fragments("embedding.md"))
EXPORTED = the_one_with("\nlogits, action = policy.call", fragments("evaluation.md"))

SIZE = ("--num-envs", "4", "--rollout-length", "8", "--hidden-sizes", "8", "--seeds", "2")
MAZE = ("--env", "maze", "--env-option", "time_limit=20", *SIZE)


class Shell(Protocol):
    """Commands in a folder, see `tests.wheel`."""

    folder: Path

    def __call__(self, program: str, *arguments: str, code: int = 0) -> str: ...

    def fails(self, program: str, *arguments: str) -> str: ...

    def elsewhere(self) -> Shell: ...


def see_what_there_is(shell: Shell) -> None:
    """Ask for help."""
    assert "reproduce " in shell("oatrpo")
    assert "--reuse-sigma" in shell("oatrpo", "run", "--help")


def train(shell: Shell) -> None:
    """Train, evaluated on the way."""
    options = ("--total-steps", "2e2", "--eval-every", "4", "--eval-episodes", "4")
    words = shell("oatrpo", "run", *MAZE, *options, "--out", "runs/a")
    assert "results: runs/a" in words
    assert json.loads((shell.folder / "runs/a/summary.json").read_text())["completed"], words


def make_it_longer(shell: Shell) -> None:
    """Go on with a run."""
    shell("oatrpo", "run", "--resume", "runs/a", "--total-steps", "320")
    assert json.loads((shell.folder / "runs/a/summary.json").read_text())["env_steps"] == 320


def train_where_something_is_already(shell: Shell) -> None:
    """Train into a folder that is in use: the command that goes on is named."""
    assert "oatrpo run --resume runs/a" in shell.fails("oatrpo", "run", *MAZE, "--out", "runs/a")


def loop_over_algorithms(shell: Shell) -> None:
    """Train several algorithms by one line."""
    for algorithm in ("happo", "mappo"):
        line = ("--algorithm", algorithm, "--reuse-sigma", "0.1", "--total-steps", "320")
        refused = shell.fails("oatrpo", "run", *MAZE, *line, "--out", f"runs/{algorithm}")
        assert "--lenient" in refused
        words = shell("oatrpo", "run", *MAZE, *line, "--lenient", "--out", f"runs/{algorithm}")
        assert f"reuse_sigma is not read by {algorithm}" in words


def train_a_grid(shell: Shell) -> None:
    """Train a grid of sigma and lambda as one program."""
    grid = ("--reuse-sigma", "0.1", "1", "--reuse-lambda", "0.5", "0.9")
    shell("oatrpo", "run", *MAZE, *grid, "--total-steps", "320", "--out", "runs/grid")
    config = json.loads((shell.folder / "runs/grid/config.json").read_text())
    assert len(config["points"]) == 4


def search(shell: Shell) -> None:
    """Search for a learning rate, and train with the best."""
    space = ("--search", "actor-lr=1e-4,1e-3", "--total-steps", "320", "--out", "runs/sweep")
    assert "actor_lr" in shell("oatrpo", "sweep", *MAZE, *space)
    best = ("--preset", "runs/sweep/preset.json", "--seeds", "1", "--out", "runs/best")
    shell("oatrpo", "run", *best)


def compare(shell: Shell) -> None:
    """Compare runs."""
    words = shell("oatrpo", "compare", "runs/a", "runs/happo", "runs/mappo")
    assert "probability of improvement" in words and "expected at least 4 per run" in words
    assert (shell.folder / "compare.png").exists()


def evaluate(shell: Shell) -> None:
    """Evaluate the best policies, and see an episode."""
    best = ("--checkpoint", "best", "--episodes", "8", "--replay", "a.gif")
    assert "success" in shell("oatrpo", "evaluate", "runs/a", *best)
    assert (shell.folder / "a.gif").exists()


ACT = f"""
{EXPORTED.partition("logits, action")[0]}
import sys
import numpy as np

def blank(name, kind):
    sizes = specs["inputs"][name]["shape"]
    return np.ones([8 if size == "batch" else size for size in sizes], kind)

agents_view, action_mask = blank("agents_view", np.float32), blank("action_mask", bool)
logits, action = policy.call(params, agents_view, action_mask)
print(action.shape, [name for name in sys.modules if name.startswith("oatrpo_jax")])
"""


def export(shell: Shell) -> None:
    """Export a team, and let it act without this library."""
    shell("oatrpo", "export", "runs/a", "--out", "policy.zip")
    assert "(8, 4) []" in shell("python", "-c", ACT)


LOAD = f"""
import jax, oatrpo_jax as oa, envs
key = jax.random.key(0)
observation = envs.make("maze").reset(key)[1].observation
{LOADED.replace("runs/DIR", "runs/a")}
print(action.shape, run.config.num_envs, run.hparams.reuse_sigma, env.time_limit)
"""


def load(shell: Shell) -> None:
    """Load a trained run in Python, and its environment."""
    assert "(4,) 4 0.1 20" in shell("python", "-c", LOAD)


AGREE = OWN_ENVIRONMENT.partition("\n\noa.check_env(")[0]
"""The environment that the guide shows."""


def train_on_an_own_environment(shell: Shell) -> None:
    """Train on an environment of one's own, by its file and by its module."""
    (shell.folder / "agree.py").write_text(AGREE)
    steps = ("--total-steps", "64", *SIZE)
    shell("oatrpo", "run", "--env", "agree.py:Agree", *steps, "--out", "runs/agree")
    shell("oatrpo", "run", "--env", "agree:Agree", *steps, "--out", "runs/module")
    assert "Did you mean Agree?" in shell.fails("oatrpo", "run", "--env", "agree.py:Agre")


def find_an_own_environment_again(shell: Shell) -> None:
    """Go on with such a run, evaluate and export it from another folder; miss its file."""
    there = shell.elsewhere()
    for name in ("agree", "module"):
        run = str(shell.folder / "runs" / name)
        there("oatrpo", "run", "--resume", run, "--total-steps", "96")
        there("oatrpo", "evaluate", run, "--episodes", "4")
        there("oatrpo", "export", run)
    (shell.folder / "agree.py").rename(shell.folder / "away.py")
    missing = there.fails("oatrpo", "evaluate", str(shell.folder / "runs" / "agree"))
    assert "agree.py, which is missing" in missing
    loaded = "import oatrpo_jax as oa; print(oa.load_run('runs/agree').env_name)"
    assert "agree.py:Agree" in shell("python", "-c", loaded)


WRONG = AGREE.replace("return state, termination(agree,", "return state, termination(action * 1.0,")


def mistake_an_environment(shell: Shell) -> None:
    """Train on an environment that is wrong: the field is named."""
    (shell.folder / "wrong.py").write_text(WRONG)
    assert "reward from step: expected" in shell.fails("oatrpo", "run", "--env", "wrong.py:Agree")
    raw = 'import jumanji, oatrpo_jax as oa\noa.check_env(jumanji.make("LevelBasedForaging-v0"))'
    assert 'envs.make("jumanji:NAME")' in shell("python", "-c", raw, code=1)


def write_an_own_loop(shell: Shell) -> None:
    """Update a learner in a loop of one's own, and sweep seeds and sigma in one program."""
    shell("python", "-c", UPDATE)
    shell("python", "-c", A_RUN)


def hand_in_wrong_shapes(shell: Shell) -> None:
    """Hand the learner wrong shapes and coefficients: the field is named."""
    wrong_view = UPDATE.replace("jnp.ones((16, 4, 3, 8))", "jnp.ones((16, 4, 3, 9))")
    assert "agents_view: expected" in shell("python", "-c", wrong_view, code=1)
    swept = UPDATE.replace("reuse_sigma=0.1", "reuse_sigma=[0.1, 1.0]")
    assert "expected a scalar, got shape (2,)" in shell("python", "-c", swept, code=1)


def misspell(shell: Shell) -> None:
    """Misspell: what was meant is named."""
    for argv, hint in (
        (("runn",), "run"),
        (("run", "--learning-rate", "1e-3"), "--actor-lr"),
        (("run", "--algorithm", "hapo"), "happo"),
        (("run", "--env", "3m"), "smax:3m"),
        (("run", "--env", "smax:3mm"), "3m"),
        (("run", "--env", "MPE_simple_spread_v3"), "jaxmarl:MPE_simple_spread_v3"),
        (("run", "--env", "mase"), "maze"),
    ):
        words = shell.fails("oatrpo", *argv).lower()
        assert re.search(rf"did you mean [^.?]*{re.escape(hint.lower())}\b", words), words


def miss_an_extra(shell: Shell) -> None:
    """Ask for what is not installed: the line that installs it is printed."""
    for argv, extra in (
        (("--env", "smax:3m"), "jaxmarl"),
        (("--env", "jaxmarl:MPE_simple_spread_v3"), "jaxmarl"),
        (("--env", "jaxmarl:ant_4x2"), "brax"),
        (("--env", "maze", "--log", "wandb"), "wandb"),
    ):
        assert f'pip install "oatrpo-jax[{extra}]"' in shell.fails("oatrpo", "run", *argv)


ON_CHUNK = f"""
from experiments import run
def show(metrics, updates):
    print("to", updates[-1], metrics["critic/loss"].shape)
run.main({[*MAZE, "--total-steps", "64", "--out", "runs/shown"]!r}, on_chunk=show)
"""


def follow(shell: Shell) -> None:
    """Follow a run by a function of one's own."""
    assert "to 2 (" in shell("python", "-c", ON_CHUNK)


def size_up(shell: Shell) -> None:
    """Ask what a run would take."""
    assert "at least in all" in shell("oatrpo", "run", *MAZE, "--dry-run")


def reproduce(shell: Shell) -> None:
    """Reproduce a figure: a budget too small is refused, the least one named."""
    size = ("figure-3d", "--seeds", "1", "--out", "results")
    words = shell.fails("oatrpo", "reproduce", *size, "--budget", "0.001")
    (least,) = re.findall(r"Give --budget (\S+) or more", words)
    shell("oatrpo", "reproduce", *size, "--budget", least)
    assert "oatrpo run --env" in (shell.folder / "results" / "report.html").read_text()


TASKS: Sequence[Callable[[Shell], None]] = (
    see_what_there_is,
    train,
    make_it_longer,
    train_where_something_is_already,
    loop_over_algorithms,
    train_a_grid,
    search,
    compare,
    evaluate,
    export,
    load,
    train_on_an_own_environment,
    find_an_own_environment_again,
    mistake_an_environment,
    write_an_own_loop,
    hand_in_wrong_shapes,
    misspell,
    miss_an_extra,
    follow,
    size_up,
    reproduce,
)
