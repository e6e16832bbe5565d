import pytest

from experiments.training.errors import exit_code_of
from oatrpo_jax.installation import missing


def test_a_package_that_a_program_misses_on_the_way_is_a_usage_error(capsys):
    def action():
        raise missing("wandb", "wandb", "--wandb")

    with pytest.raises(SystemExit, match="2"):
        exit_code_of(action, "oatrpo run")
    shown = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "--wandb: expected the package wandb, which is not installed; pip install" in shown
    assert "For the options: oatrpo run --help" in shown
