import pytest

import envs
from experiments.training.settings.command_line import parse
from experiments.training.settings.defaults import PRESETS, get_preset
from experiments.training.settings.experiment import make_config
from oatrpo_jax import ALGORITHMS, Hyperparams

ENDS_OF_SMAX = ("actor_lr_end", "critic_lr_end", "ent_coef_end")


@pytest.mark.parametrize("env", [*envs.registered_names(), "somebody:else"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_preset_is_a_legal_config_and_legal_coefficients(env, algorithm):
    preset = get_preset(env, algorithm)
    assert make_config(preset.config, preset.total_steps).num_updates > 1
    Hyperparams.create(**preset.hyperparams)


def test_presets_are_of_environments_that_exist():
    names = envs.registered_names()
    families = {name.partition(":")[0] for name in names}
    assert set(PRESETS) <= families | set(names)


def test_seac_has_no_schedules_where_the_others_have():
    for algorithm, has_ends in (("mappo", True), ("seac", False)):
        options = parse(["--env", "smax:3m", "--algorithm", algorithm])
        assert all(bool(options.coefficients[end]) == has_ends for end in ENDS_OF_SMAX)
        assert options.config["normalise_inputs"] == has_ends


def test_a_map_adds_to_its_family():
    preset = get_preset("smax:6h_vs_8z", "oappo")
    assert preset.config["hidden_sizes"] == (128, 128)
    assert preset.config["num_epochs"] == 8
    assert preset.hyperparams["clip_eps"] == 0.05
