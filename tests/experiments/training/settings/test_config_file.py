from importlib import metadata

import oatrpo_jax
from experiments.training.settings.config_file import versions


def test_a_clone_that_was_not_installed_knows_its_version(monkeypatch):
    installed = metadata.version

    def version(name: str) -> str:
        if name.startswith("oatrpo"):
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    assert versions()["oatrpo_jax"] == oatrpo_jax.__version__
