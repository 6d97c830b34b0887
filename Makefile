# What a developer types; `make install` first. Nothing here is needed to use avbench.
PYTHON ?= python3
TORCH ?= torch==2.13.0  # in `make lowest`, where the lowest one has no build for the CPU
BIN = .venv/bin
TESTS ?=

.PHONY: help install test slow faults lint docs lowest bench

help:  ## list these targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/'

install:  ## an environment in .venv with everything for development, and checks before each commit
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -e '.[dev,docs]'
	$(BIN)/pre-commit install

test:  ## the tests that every change must pass; TESTS=tests/test_run.py for some
	$(BIN)/python -m pytest $(TESTS)

slow:  ## the tests that take longer
	$(BIN)/python -m pytest -m slow $(TESTS)

faults:  ## kills, damage and nonsense, the long form (hours); SHARE=0.1 for a tenth; figures go into docs/reliability.md
	AVBENCH_FAULTS=$(or $(SHARE),1) AVBENCH_FAULTS_PAGE=docs/reliability.md $(BIN)/python -m pytest -n 0 -m '' tests/faults

lint:  ## style, types, layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

docs:  ## the site, in site/
	$(BIN)/mkdocs build --strict

lowest:  ## the fast tests with the lowest version of each requirement, in .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install packaging
	.venv-lowest/bin/python tools/lowest.py $(TORCH) > .venv-lowest/constraints.txt
	.venv-lowest/bin/pip install -c .venv-lowest/constraints.txt -e '.[test,sslas]'
	.venv-lowest/bin/python -m pytest $(TESTS)

bench:  ## how long things take
	$(BIN)/python -m pytest $(or $(TESTS),tests/bench_*.py)
