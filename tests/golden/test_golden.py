"""No number changes unnoticed: every algorithm against the metrics that were recorded."""

import numpy as np
import pytest

from tests.golden.record import ENVS, VARIANTS, as_data, cases, compute, load

CASES = [
    pytest.param(env_name, case, marks=pytest.mark.slow)
    if env_name == "maze" and case in VARIANTS  # Once is enough for every day.
    else (env_name, case)
    for env_name in ENVS
    for case in cases()
]


@pytest.mark.parametrize(("env_name", "case"), CASES)
def test_metrics_are_those_recorded(env_name: str, case: str):
    # Processors add up in different orders, so to within rounding; ``--check`` compares bits.
    now, recorded = as_data(compute(env_name, case)), load(env_name)[case]
    assert now.keys() == recorded.keys()
    for name, values in recorded.items():
        found, expected = (np.array(each, float) for each in (now[name], values))
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5, err_msg=name)
