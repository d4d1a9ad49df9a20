# make demo    the whole chain on E. coli: surrogate, optimal feed, replay on the linear program, closed loop, report
# make check   format, lint, types, layers and the quick tests: about a minute, before each commit
# make test    the same with all tests; what CI runs
# make docs    the documentation as a site in docs/_build/html; its tutorials, the code of all pages and case studies run
# make bench   all benchmarks
# Each makes its own .venv first. Needs Python >= 3.11 and make.

PYTHON ?= python3
BIN := .venv/bin
STUDY := case_studies/ecoli_fedbatch/study.yaml
FLAGS ?=
# test processes; each has its own linear algebra on one thread
WORKERS ?= 2
# CI installs the versions that were tested; a user's pip finds its own
CONSTRAINTS := $(if $(CI),-c constraints.txt,)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS)
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: demo check test lint quick suite docs bench lock clean

demo: .venv/.installed
	$(BIN)/mmopt run $(STUDY) $(FLAGS)

# lint runs beside the tests
check: .venv/.installed-dev
	$(MAKE) --no-print-directory --jobs=2 lint quick

test: .venv/.installed-dev
	$(MAKE) --no-print-directory --jobs=2 lint suite

quick: .venv/.installed-dev
	$(PYTEST) --dist worksteal -q -m "not slow" tests

suite: .venv/.installed-dev
	$(PYTEST) --dist worksteal -m "not pages"

lint: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.installed-dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	$(PYTEST) -q -m pages tests/test_readme.py tests/test_keras_omlt.py tests/test_case_studies.py

bench: .venv/.installed-bench
	for script in metabolism surrogate optimisation feed_problems control estimation peers do_mpc_moves kkt processes simulation fed_batches strains runs fuzz; do $(BIN)/python benchmarks/$$script.py || exit 1; done

lock: .venv/.installed-dev
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'mmopt needs Python 3.11 or newer')"
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	$(PIP) -e .
	@touch $@

.venv/.installed-dev: .venv/bin/python pyproject.toml
	$(PIP) -e ".[dev]"
	@touch .venv/.installed $@

.venv/.installed-bench: .venv/.installed-dev
	$(PIP) -e ".[bench]"
	$(PIP) --no-deps --target .venv/cameo "cameo==0.13.6"
	@touch $@

clean:
	rm -rf .venv runs build docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache
