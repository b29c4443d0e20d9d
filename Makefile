# Everything is installed into .venv. `make demo` needs a Python 3.10 to 3.13 and no more; `make test` also brings
# torch. Where PyPI's torch is too large, name another index: PIP_EXTRA_INDEX_URL=... make test (see CONTRIBUTING.md).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The constraints keep pip from replacing torch by the newest build when something else asks for it.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo check test fuzz fuzz-random fuzz-guided lint wheel docs bench clean

demo: $(VENV)/core.stamp
	$(BIN)/unprompt examples

# A file's tests stay in one process, because they share what is expensive to make. tests/conftest.py orders the files.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

check: lint
	$(PYTEST) -m "not slow and not proof"

# pytest comes last, so that its closing line is the last one.
test: lint
	$(MAKE) --jobs $(JOBS) docs wheel fuzz
	$(PYTEST)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(VENV)/dev.stamp
	PYTHON=$(BIN)/python tests/wheel/check_wheel.sh

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate_cli.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# What CI has time for: 100,000 inputs of each kind, about five minutes on two cores. FUZZ_SEED=2 makes others.
FUZZ_INPUTS ?= 100000
FUZZ_SEED ?= 1
fuzz: fuzz-random fuzz-guided

fuzz-random: $(VENV)/dev.stamp
	$(BIN)/python tests/fuzz/run.py --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED) --jobs $(JOBS)

fuzz-guided: $(VENV)/dev.stamp
	$(BIN)/python tests/fuzz/coverage_guided.py --runs $(FUZZ_INPUTS) --seed $(FUZZ_SEED)

bench: $(VENV)/core.stamp
	$(BIN)/python benchmarks/cold_start.py

clean:
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Stamps: a second call installs nothing until what is to be installed changes.
$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "unprompt needs Python 3.10 to 3.13, $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/core.stamp: $(VENV)/python.stamp pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(INSTALL) --editable '.[torch,dev,docs,fuzz]'
	@touch $@
