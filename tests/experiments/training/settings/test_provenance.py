import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import oatrpo_jax
from experiments.training.settings import provenance
from experiments.training.settings.provenance import git_commit, versions
from oatrpo_jax.installation import ROOT


def test_a_clone_that_was_not_installed_knows_its_version(monkeypatch):
    installed = metadata.version

    def version(name: str) -> str:
        if name.startswith("oatrpo"):
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    assert versions()["oatrpo_jax"] == oatrpo_jax.__version__


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A repository of somebody else's, with one commit."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_what_lies_in_a_folder_of_somebody_s_repository_has_no_commit(theirs, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", theirs / ".venv" / "lib")
    (theirs / ".venv" / "lib").mkdir(parents=True)
    assert git_commit() is None
    monkeypatch.chdir(theirs)
    assert git_commit() is None


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone")
def test_a_clone_has_its_own_commit_wherever_git_was_told_to_look(theirs, monkeypatch):
    commit = git_commit()
    assert commit is not None and re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)
    monkeypatch.setenv("GIT_DIR", str(theirs / ".git"))
    monkeypatch.chdir(theirs)
    assert git_commit() == commit
