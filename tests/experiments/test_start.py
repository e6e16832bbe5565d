import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

UNTIL_THE_FIRST_UPDATE = """
import sys
from experiments.training import process
from experiments.training.settings.command_line import parse
process.build(parse(["--env", "maze"]))
print(*{"scipy.stats", "sklearn", "jaxmarl", "pandas", "jax", "orbax"} & set(sys.modules))
"""


def test_training_begins_without_the_libraries_that_only_the_end_or_other_environments_need():
    command = [sys.executable, "-c", UNTIL_THE_FIRST_UPDATE]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert set(done.stdout.split()) == {"jax", "orbax"}


SHOW_HELP = """
import sys
from oatrpo_jax.__main__ import main
try:
    main([sys.argv[1], "--help"])
except SystemExit:
    print("loaded:", *sys.modules)
"""


@pytest.mark.parametrize(
    ("name", "slow"),
    [
        ("run", {"distrax", "orbax", "jumanji", "scipy.stats", "matplotlib"}),
        ("compare", {"jax", "flax", "optax", "scipy", "matplotlib"}),
        ("evaluate", {"jax", "flax", "optax", "scipy", "matplotlib"}),
    ],
)
def test_help_waits_for_no_library_that_it_does_not_need(name, slow):
    command = [sys.executable, "-c", SHOW_HELP, name]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    loaded = done.stdout.partition("loaded: ")[2].split()
    assert "tyro" in loaded and not slow & {*loaded}
