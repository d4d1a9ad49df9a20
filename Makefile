# make demo   the whole chain on E. coli: surrogate, optimal feed, judge, closed loop, report
# make test   format, lint, types, layers, tests; what CI runs
# Both make their own .venv first. Needs Python >= 3.11 and make.

PYTHON ?= python3
BIN := .venv/bin
STUDY := case_studies/ecoli_fedbatch/study.yaml
FLAGS ?=
# CI installs the versions that were tested; a user's pip finds its own
CONSTRAINTS := $(if $(CI),-c constraints.txt,)

.PHONY: demo test lint bench lock clean

demo: .venv/.installed
	$(BIN)/mmopt run $(STUDY) $(FLAGS)

test: .venv/.installed-dev lint
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.installed-dev
	$(BIN)/python benchmarks/metabolism.py

lock: .venv/.installed-dev
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'mmopt needs Python 3.11 or newer')"
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e .
	@touch $@

.venv/.installed-dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e ".[dev]"
	@touch .venv/.installed $@

clean:
	rm -rf .venv runs build *.egg-info .mypy_cache .ruff_cache .pytest_cache
