# The project's own environment, the main job, the tests and the benchmarks.
#
# Another interpreter: make PYTHON=python3.12 ... A target that fails half-way is done again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup setup-test run test degradation calibrate bench lint schema reference lock clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-11s %s\n", $$1, $$2 }'

setup: $(VENV)/.installed  ## the environment .venv, with locked versions

setup-test: $(VENV)/.test  ## the same, and what the tests need

# Each stamp is touched only after its step has succeeded: a failed step leaves none.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Meterstorm needs Python 3.11 or newer, and $(PYTHON) is not. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock $(VENV)/.python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.runtime
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.installed
	$(PIP) install --quiet --require-hashes -r requirements-test.lock
	@touch $@

run: setup  ## the quickstart: 1,000 concentrators, 70,000 meters, a verdict in about a minute
	$(BIN)/meterstorm run scenarios/quickstart.toml

test: setup-test  ## everything that must hold
	$(BIN)/python -m pytest -n auto --dist worksteal tests

degradation: setup-test  ## every link class under every fault, and the planted defects (half an hour)
	METERSTORM_DEGRADATION=all $(BIN)/python -m pytest -n auto --dist worksteal tests/degradation --junitxml=degradation.xml

calibrate: setup-test  ## the same link in the three tiers, side by side
	$(BIN)/python -m tests.calibration

bench: setup-test  ## codec, plan and end-to-end figures of this machine
	$(BIN)/python -m tests.bench

lint: setup-test  ## style, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: setup  ## rewrite the checked-in JSON Schema of scenarios
	$(BIN)/meterstorm schema > scenarios/scenario.schema.json.new
	mv scenarios/scenario.schema.json.new scenarios/scenario.schema.json

reference: setup  ## rewrite the generated pages of docs/reference
	$(BIN)/meterstorm reference docs/reference

lock:  ## resolve anew and write the hashed lock files (needs uv)
	uv lock --upgrade
	uv export --quiet --no-header --no-annotate --no-emit-project --no-default-groups -o requirements.lock
	uv export --quiet --no-header --no-annotate --no-emit-project --no-default-groups --group dev --group judges -o requirements-test.lock
	rm uv.lock

clean:  ## remove the environment and every cache; runs/ stays
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
