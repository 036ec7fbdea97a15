# Needs make and Python 3.11 or later. Everything else comes into .venv, pinned by hash.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Universal: one list for every Python and platform, with markers. It names no package index.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--custom-compile-command "make requirements"
# What only looks at the code needs no data directory, and leaves none behind.
DRY := HARBORLITE_DATA=/nonexistent HARBORLITE_SECRET_KEY=unused

.DEFAULT_GOAL := help
.PHONY: help up test lint format check bench docs messages requirements

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(VENV)/installed ## Install, and run everything in one at http://127.0.0.1:8080; Ctrl-C stops it
	@exec $(BIN)/harborlite serve

test: $(VENV)/installed-dev ## Install, and run all tests; ARGS="-k push" selects
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/installed-dev ## Check style, types, imports, migrations and compose.yaml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(DRY) $(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(DRY) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@if docker compose version >/dev/null 2>&1; then docker compose config --quiet; \
		else echo "no docker compose here: compose.yaml is checked by the tests alone"; fi

format: $(VENV)/installed-dev ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test ## What CI runs

bench: $(VENV)/installed-dev ## Compare with other registries on this machine
	$(BIN)/python -m benchmarks

docs: $(VENV)/installed ## Write docs/settings.md and docs/configuration.md
	$(DRY) $(BIN)/python -m harborlite.env
	$(DRY) $(BIN)/python -m system.keys

messages: $(VENV)/installed-dev ## Bring locale/ up to date with the texts of the console
	$(DRY) DJANGO_SETTINGS_MODULE=harborlite.settings $(BIN)/python -m harborlite.console.messages

requirements: $(VENV)/installed ## Resolve requirements.txt and requirements-dev.txt anew
	@$(PIP) install "uv<1"
	echo "setuptools>=77" | $(COMPILE) --output-file requirements.txt pyproject.toml -
	$(COMPILE) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "harborlite needs Python 3.11 or later: make PYTHON=...")'
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing requirements.txt"
	@$(PIP) install --require-hashes --requirement requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	@echo "installing requirements-dev.txt"
	@$(PIP) install --require-hashes --requirement requirements-dev.txt
	@touch $@
