import json

import pytest
from PIL import Image

from experiments import bench, bench_football, bench_mpe, bench_smax
from experiments.analysis.speed.section import QUICK, WHOLE


def test_series_end_where_the_effort_does():
    assert WHOLE.series(2, 4, 8, 16) == [2, 4, 8, 16]
    assert QUICK.series(2, 4, 8, 16) == [2]  # 0.13 x 16 = 2.08
    assert QUICK.series(16, 64, 256, 1024) == [16, 64]


@pytest.mark.parametrize("name", ["reuse-cost", "seeds"])
def test_a_measurement_leaves_its_figures_and_says_that_it_was_quick(name, tmp_path, capsys):
    assert bench.main([name, "--quick", "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["quick"] and "cores" in content["machine"] and "jax" in content["machine"]
    (section,) = content["sections"]
    assert section["name"] == name and section["rows"]
    assert all(row[column] > 0 for row in section["rows"] for column in section["drawn"])
    assert Image.open(tmp_path / "bench.png").size[0] > 500
    assert "these figures mean nothing" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["share", "start", "growth", "limit"])
def test_the_dearer_measurements_work_too(name, tmp_path):
    assert bench.main([name, "--quick", "--out", str(tmp_path)]) == 0
    (section,) = json.loads((tmp_path / "bench.json").read_text())["sections"]
    assert all(row[column] > 0 for row in section["rows"] for column in section["drawn"])


def test_an_unknown_measurement_and_a_folder_that_cannot_be_are_usage_errors(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["speed"])
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        bench.main(["share", "--out", str(tmp_path / "file")])
    assert "choose another folder" in " ".join(capsys.readouterr().err.split())


BAD_BENCHMARKS = {
    "scenario of nobody": (bench_mpe, ["--scenario", "nope"], "MPE_simple_spread_v3"),
    "no timing": (bench_mpe, ["--num-repeats", "0"], "num_repeats: expected at least 1"),
    "algorithm of nobody": (bench_mpe, ["--algorithm", "nope"], "ippo"),
    "scenarios of nobody": (bench_smax, ["--scenarios", "zzz"], "expected some of 3m"),
    "no environment": (bench_smax, ["--num-envs", "0"], "num_envs: expected at least 1"),
    "less than none": (bench_football, ["--num-envs", "-1"], "num_envs: expected at least 1"),
}


@pytest.mark.parametrize(
    ("script", "argv", "expected"), BAD_BENCHMARKS.values(), ids=BAD_BENCHMARKS.keys()
)
def test_a_benchmark_of_nothing_is_a_usage_error(script, argv, expected, capsys):
    with pytest.raises(SystemExit, match="2"):
        script.main(argv)
    errors = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert expected in errors and f"python {script.PROGRAM} --help" in errors
