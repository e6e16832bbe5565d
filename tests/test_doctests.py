"""The examples in docstrings, run."""

import doctest
import importlib
import pkgutil

import pytest

import envs
import experiments
import oatrpo_jax

MODULES = [
    module.name
    for package in (envs, experiments, oatrpo_jax)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_some():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) >= 8
