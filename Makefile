# Everything runs from a virtual environment of its own, made on first use.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help compare test check lint types bench certificates docs site build clean

help:  ## What can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

compare: .venv/installed  ## Install, and print a comparison
	@$(BIN)/llmarch compare deepseek-v3 llama4-maverick

test: .venv/dev  ## Install, and run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: lint types test  ## Lint, types (strict) and all tests

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

bench: .venv/dev  ## Time and memory, as ratios to `import torch` in the same run
	$(BIN)/python -m benchmarks

docs: .venv/dev  ## Write the generated pages: the command reference, the article and the schema
	$(BIN)/python docs/generate.py

certificates: .venv/dev  ## Run both engines on all bundled specs, and keep that they agree
	$(BIN)/python docs/certify.py

site: .venv/dev  ## The documentation and the gallery as a site, in build/site
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site
	$(BIN)/llmarch gallery -o build/site/gallery --docs ../

build: .venv/dev  ## Wheel and source archive
	rm -rf dist
	$(BIN)/python -m build --quiet

clean:  ## Remove what was made
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("llmarch needs Python 3.11 or newer, not " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --use-pep517 --editable '.[torch,plot]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --use-pep517 --editable '.[dev]'
	@touch $@ .venv/installed
