# Python 3.11 or newer; the targets make the virtual environment .venv with it.
PYTHON ?= python3

export PYTHONPATH := $(CURDIR)/deploy/local
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status check test lock migrate screenshots clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: ## install the locked Python packages and Tocsin's own into .venv
	@$(PYTHON) -m tocsin_local setup

demo: setup ## show what Tocsin does, with servers of its own, and stop them
	@$(PY) -m tocsin_local demo

up: setup ## start Tocsin and its servers (API on PORT, 3005) and print where they are
	@$(PY) -m tocsin_local up

down: ## stop what `make up` started
	@$(PYTHON) -m tocsin_local down

status: ## say what of `make up` runs
	@$(PYTHON) -m tocsin_local status

check: setup ## formatting, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

test: setup ## the tests, with servers of their own
	@$(PY) -m tocsin_local install
	.venv/bin/pytest

lock: setup ## take changed requirements into requirements.lock; what is locked stays as it is
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-package tocsin-common --group pyproject.toml:dev --output-file requirements.lock \
		libs/common/pyproject.toml services/api/pyproject.toml services/dispatcher/pyproject.toml

migrate: setup ## migrate the database of DATABASE_URL, else that of `make up`
	@$(PY) -m tocsin_local migrate

screenshots: setup ## take the pictures in docs/images anew, with Chromium
	@$(PY) -m tocsin_local screenshots

clean: ## stop everything, remove .venv and all data of the local stack
	@$(PYTHON) -m tocsin_local clean
	rm -rf .venv
