"""What importing the core brings along, and what it exports."""

import subprocess
import sys

import oatrpo_jax

PROGRAM = """
import sys
import oatrpo_jax
print([name for name in ("jaxmarl", "jumanji", "envs", "experiments") if name in sys.modules])
"""


def test_the_core_imports_no_environment_library():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_exported_name_exists_and_is_documented():
    assert sorted(oatrpo_jax.__all__) == oatrpo_jax.__all__
    for name in oatrpo_jax.__all__:
        assert getattr(oatrpo_jax, name).__doc__, name
