"""What a run of SEPS says of its clusters, and that it goes on with them."""

import json

import pytest

from experiments import run

SMALL = ["--env", "maze", "--num-envs", "4", "--hidden-sizes", "8", "--rollout-length", "16"]


@pytest.mark.slow
@pytest.mark.parametrize("memory_size", ["0", "6"])
def test_a_run_tells_of_its_clusters_and_goes_on_with_them(memory_size, tmp_path, capsys):
    out = tmp_path / "run"
    argv = [*SMALL, "--total-steps", "128", "--algorithm", "seps", "--seeds", "2"]
    argv += ["--memory-size", memory_size]
    assert run.main([*argv, "--out", str(out)]) == 0
    assert "seed 1: {red 0, red 1} {black 2, black 3}" in capsys.readouterr().out
    clusters = json.loads((out / "clusters.json").read_text())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["seps"] == clusters
    assert clusters["env_steps"] == 64 * 128
    assert [seed["labels"] for seed in clusters["seeds"]] == [[0, 0, 1, 1]] * 2
    before = (out / "clusters.json").stat().st_mtime_ns
    assert run.main(["--resume", str(out), "--total-steps", "256"]) == 0
    assert (out / "clusters.json").stat().st_mtime_ns == before
    longer = json.loads((out / "summary.json").read_text())
    assert longer["env_steps"] == 256 and longer["seps"] == clusters
    rows = (out / "matrices.csv").read_text().splitlines()
    column = rows[0].split(",").index("reuse/weight/0/1")
    # Policy 0 is that of both reds, from the first update to the last.
    assert {row.split(",")[column] for row in rows[1:]} == {"0.5"}
