# make maze     set up .venv and train OAPPO on the Black and Red maze, five seeds
# make test     set up .venv; linter, types and the tests that every change needs
# make docs     the site, in build/site: guides, tutorials, reference; it works offline
# make test-all, make test-slow, make lint, make lock, make dist: for developers
# JAX=cuda12 with any of them (cuda13, tpu, cpu): JAX for that device; a .venv keeps it from then on
# PYTHON=python3.13 with any of them: another Python, in a .venv-python3.13 of its own

PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin

DEVICES := cpu cuda12 cuda13 tpu
MADE_FOR := $(patsubst $(VENV)/.ready-%,%,$(wildcard $(VENV)/.ready-*))
JAX ?= $(MADE_FOR)
ifneq ($(filter-out $(DEVICES),$(JAX))$(word 2,$(JAX)),)
$(error JAX: expected one of $(DEVICES), got $(JAX); choose one, or leave JAX out)
endif
READY := $(VENV)/.ready$(addprefix -,$(JAX))
# What was installed for another device would get in the way.
CLEAR := $(if $(filter-out $(JAX),$(MADE_FOR)),--clear)
LOCKED_JAX = $(shell sed -n 's/^jax==//p' requirements.lock)

INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
NAME_OF_PYTHON := 'import sys; print("\# Python %d.%d" % sys.version_info[:2])'

PYTEST := JAX_PLATFORMS=cpu $(BIN)/python -m pytest
SHARED := --numprocesses 2 --dist loadfile

.PHONY: maze test test-all test-slow docs lint lock dist

maze: $(READY)
	$(BIN)/python experiments/run.py --env maze

test: lint
	$(PYTEST) -m "not thorough and not slow" $(SHARED)

# Every row of the table and every environment: for whoever touched the core or an environment.
test-all: lint
	$(PYTEST) -m "not slow" $(SHARED)

# Learning computes more than it compiles, so XLA may optimise (tests/conftest.py turns that off).
test-slow: $(READY)
	XLA_FLAGS= $(PYTEST) -m slow

# What mkdocs says of its own future is no warning about the pages.
docs: $(READY)
	JAX_PLATFORMS=cpu NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/site/index.html, or with the search: $(BIN)/python -m http.server -d build/site"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# The lock file holds where its first line names this Python; another one gets the newest versions
# that pyproject.toml allows.  The project itself is an editable package.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(CLEAR) $(VENV) || \
		{ echo "No venv module: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@if [ "$$($(PYTHON) -c $(NAME_OF_PYTHON))" = "$$(head -n 1 requirements.lock)" ]; then \
		$(INSTALL) --requirement requirements.lock $(if $(JAX),"jax[$(JAX)]==$(LOCKED_JAX)") && \
		$(INSTALL) --no-deps --no-build-isolation --editable .; \
	else \
		echo "requirements.lock is for another Python: installing the newest versions"; \
		$(INSTALL) "setuptools>=77" && \
		$(INSTALL) --no-build-isolation --editable ".[brax,submit,dev,docs]" $(if $(JAX),"jax[$(JAX)]"); \
	fi
	@rm -f $(VENV)/.ready*
	@touch $(READY)

# Resolve the ranges of pyproject.toml anew in a throw-away environment.
lock:
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/pip install --quiet --disable-pip-version-check "setuptools>=77" ".[brax,submit,dev,docs]"
	$(PYTHON) -c $(NAME_OF_PYTHON) > requirements.lock
	.lock-venv/bin/pip freeze --all --exclude oatrpo-jax --exclude pip >> requirements.lock
	rm -rf .lock-venv

# The archives that others install, and whether they do what the README says, outside this clone.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m tests.wheel dist/*.whl
