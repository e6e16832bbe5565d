import jax
import pytest

from experiments import run
from experiments.training import program
from tests.experiments.made_up_runs import write_run
from tests.experiments.trained_run import TINY, shared_programs

SMALL = (*TINY, "--algorithm", "happo", "--seeds", "2", "--total-steps", "128")
GRID = ("--gamma", "0.9", "0.95", "0.99")


@pytest.fixture(scope="module", autouse=True)
def share_programs():
    with shared_programs():
        yield


@pytest.fixture
def cache_uses(monkeypatch):
    """Every time that the cache of compiled programs is turned on; the user's is left alone."""
    uses = []
    monkeypatch.setattr(program, "use_compilation_cache", lambda: uses.append(1))
    return uses


def test_dry_run_tells_the_size_and_leaves_nothing(tmp_path, capsys, cache_uses):
    directory = tmp_path / "run"
    assert run.main([*SMALL, *GRID, "--dry-run", "--out", str(directory)]) == 0
    assert not directory.exists()
    text = capsys.readouterr().out
    lines = {" ".join(line.split()[:-2]): line.split()[-2:] for line in text.splitlines() if line}
    assert "updates 2" in " ".join(text.split())  # 128 steps are 2 x 4 x 16.
    assert "grid points x seeds 3 x 2" in " ".join(text.split())
    assert lines["train state, all of them"][1] == "MB"
    assert (
        float(lines["at least in all, on each device"][0])
        > float(lines["train state, all of them"][0])
        > 0
    )
    assert cache_uses == [1]


def test_cache_of_programs_is_off_by_flag(tmp_path, cache_uses):
    argv = [*SMALL, *GRID, "--dry-run", "--no-compilation-cache", "--out", str(tmp_path / "run")]
    assert run.main(argv) == 0
    assert cache_uses == []


def test_cache_of_programs_lies_in_the_users_cache_and_is_bounded(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = ("jax_compilation_cache_dir", "jax_compilation_cache_max_size")
    before = {name: getattr(jax.config, name) for name in names}
    try:
        program.use_compilation_cache()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "oatrpo_jax/programs")
        assert jax.config.jax_compilation_cache_max_size == 2**30
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def test_a_run_under_way_has_no_dry_run(tmp_path, capsys, cache_uses):
    directory = tmp_path / "run"
    write_run(SMALL, directory, lambda *_: 1)
    with pytest.raises(SystemExit, match="2"):
        run.main(["--resume", str(directory), "--total-steps", "192", "--dry-run"])
    assert "only for a new run" in capsys.readouterr().err
