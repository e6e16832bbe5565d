import subprocess
import sys
from pathlib import Path

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
