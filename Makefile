# The project's own environment, the main job, the tests and the benchmarks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: setup setup-test run test bench lint lock schema clean

setup: $(VENV)/.runtime

setup-test: $(VENV)/.test

$(VENV)/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.lock
	$(PIP) install --quiet --require-hashes -r requirements-test.lock
	touch $@

run: setup  ## the quickstart: 1,000 concentrators, 70,000 meters, about two minutes
	$(BIN)/meterstorm run scenarios/quickstart.toml

test: setup-test  ## everything that must hold
	$(BIN)/python -m pytest -n 2 --dist worksteal tests

bench: setup-test  ## codec, plan and end-to-end figures of this machine
	$(BIN)/python -m tests.bench

lint: setup-test  ## style, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: setup  ## rewrite the checked-in JSON Schema
	$(BIN)/meterstorm schema > scenarios/scenario.schema.json

lock:  ## resolve anew and write the hashed lock files (needs uv)
	uv lock --upgrade
	uv export --quiet --no-header --no-annotate --no-emit-project --no-default-groups -o requirements.lock
	uv export --quiet --no-header --no-annotate --no-emit-project --no-default-groups --group dev --group judges -o requirements-test.lock
	rm uv.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
