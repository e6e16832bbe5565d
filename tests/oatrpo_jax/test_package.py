"""What importing the core brings along, and what it exports."""

import subprocess
import sys

import pytest

import oatrpo_jax

PROGRAM = """
import sys
import oatrpo_jax
print("jax" in sys.modules)
for name in oatrpo_jax.__all__:
    getattr(oatrpo_jax, name)
print([name for name in ("jaxmarl", "jumanji", "envs", "experiments") if name in sys.modules])
"""


def test_the_core_imports_no_environment_library_and_jax_when_it_is_used():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "[]"]


def test_every_exported_name_exists_and_is_documented():
    assert sorted(oatrpo_jax.__all__) == oatrpo_jax.__all__
    for name in oatrpo_jax.__all__:
        assert getattr(oatrpo_jax, name).__doc__, name
    assert {*oatrpo_jax.__all__, "config", "train"} <= {*dir(oatrpo_jax)}


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'oatrpo_jax' has no attribute 'Confg'"):
        oatrpo_jax.Confg  # noqa: B018


ATTRIBUTES = """
import oatrpo_jax
print([getattr(oatrpo_jax, name).__name__ for name in ("rollout", "advantages", "policies")])
print(oatrpo_jax.config.Config is oatrpo_jax.Config, hasattr(oatrpo_jax, "__main__"))
"""


def test_every_module_of_the_package_is_an_attribute_before_it_is_imported():
    result = subprocess.run(
        [sys.executable, "-c", ATTRIBUTES], capture_output=True, text=True, check=True
    )
    expected = [f"oatrpo_jax.{name}" for name in ("rollout", "advantages", "policies")]
    assert result.stdout.splitlines() == [str(expected), "True False"]
    assert {"rollout", "policies", "reuse"} <= {*dir(oatrpo_jax)}
