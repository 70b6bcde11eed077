# Python 3.11 or newer; the targets make the virtual environment .venv with it.
PYTHON ?= python3

export PYTHONPATH := $(CURDIR)/deploy/local
# pytest keeps what it makes of the tests, also where somebody has told Python to keep nothing: it takes seconds.
export PYTHONDONTWRITEBYTECODE :=
PY := .venv/bin/python
PYTEST := .venv/bin/pytest
# Processes that tests run in. More than cores: most of a test's time is waiting.
WORKERS ?= 4
ARGS ?=
BENCH ?= all
# How often each fault happens.
RUNS ?= 1
FAULT ?=
KEEP ?=
# How long a soak is.
MINUTES ?= 30
# Simulated worlds of the scheduler: how many, or which one.
SEEDS ?= 1000
SEED ?=

# uv does not read pip's settings, so it is told the package index and the certificates that they name.
PIP_SAYS = $$($(PY) -m pip config list 2>/dev/null | sed -n "s/^global\.$(1)='\(.*\)'/\1/p")
RESOLVE = UV_PYTHON_DOWNLOADS=never \
	UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$(call PIP_SAYS,index-url)}}}" \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$${PIP_CERT:-$(call PIP_SAYS,cert)}}" \
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-package tocsin-common --group pyproject.toml:dev \
		libs/common/pyproject.toml services/api/pyproject.toml services/dispatcher/pyproject.toml --output-file

.DEFAULT_GOAL := help
.PHONY: help setup install demo up down status cluster-up cluster-down check check-lock test test-unit test-integration test-e2e \
	test-faults faults soak reliability simulate coverage bench benchmarks-doc lock migrate docs screenshots clean

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-17s %s\n' "$$name" "$$text"; done

setup: ## install the locked Python packages and Tocsin's own into .venv
	@$(PYTHON) -m tocsin_local setup

demo: setup ## show what Tocsin does, with servers of its own, and stop them
	@$(PY) -m tocsin_local demo

up: setup ## start Tocsin and its servers (API on PORT, 3005; REDIS=1 for Redis too) and print where they are
	@$(PY) -m tocsin_local up

down: ## stop what `make up` started
	@$(PYTHON) -m tocsin_local down

status: ## say what of `make up` runs
	@$(PYTHON) -m tocsin_local status

cluster-up: install ## start a RabbitMQ cluster of three nodes on this machine and print where it is
	@$(PY) -m tocsin_local cluster-up

cluster-down: ## stop what `make cluster-up` started
	@$(PYTHON) -m tocsin_local cluster-down

check: setup check-lock ## formatting, lint, layers, types, the lock, and the rules in tests/repository
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports --no-cache --no-logo
	.venv/bin/mypy
	.venv/bin/pytest -q tests/repository

check-lock: setup ## that requirements.lock is what `make lock` would leave
	@set -e; resolved=$$(mktemp); trap 'rm -f "$$resolved"' EXIT; cp requirements.lock "$$resolved"; \
	$(RESOLVE) "$$resolved"; \
	cmp -s requirements.lock "$$resolved" || { \
		diff requirements.lock "$$resolved" | grep '^[<>] [^ ]' >&2; \
		echo 'requirements.lock does not match the pyproject.toml files: run `make lock`.' >&2; exit 1; }

test: install ## all tests but those of `make check`, with servers of their own; ARGS="-k name" for some of them
	$(PYTEST) -n $(WORKERS) --ignore=tests/repository $(ARGS)

test-unit: setup ## the tests of pure rules: no server, no socket, no process
	$(PYTEST) tests/unit $(ARGS)

test-integration: install ## the tests of each adapter on the real servers
	$(PYTEST) -n $(WORKERS) tests/integration $(ARGS)

test-e2e: install ## the tests of real processes from end to end
	$(PYTEST) -n $(WORKERS) tests/e2e $(ARGS)

test-faults: install ## the tests of leaders and servers that are hit in the middle of much work
	$(PYTEST) -n $(WORKERS) tests/faults $(ARGS)

faults: install ## real faults to all of Tocsin under load: FAULT=name for one, SEED=n, RUNS=n; KEEP=1 keeps the figures
	@PYTHONPATH=$(PYTHONPATH):tests $(PY) -m faults.matrix --runs $(RUNS) $(if $(FAULT),--fault $(FAULT)) \
		$(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep)

soak: install ## faults by chance to all of Tocsin under load, MINUTES=30 long: SEED=n repeats their order; KEEP=1 keeps it
	@PYTHONPATH=$(PYTHONPATH):tests $(PY) -m faults.matrix.soak --minutes $(MINUTES) \
		$(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep)

reliability: setup ## write the tables of docs/reliability.md from docs/faults.json and docs/soak.json
	@PYTHONPATH=$(PYTHONPATH):tests $(PY) -m faults.matrix.book

simulate: setup ## the scheduler in SEEDS=1000 simulated worlds with faults; SEED=12345 for one, with its trace
	@PYTHONPATH=tests $(PY) -m simulation.many $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

coverage: install ## all tests, with what they leave untouched; processes that they start count as well
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest -n $(WORKERS) $(ARGS)
	.venv/bin/coverage combine --quiet
	.venv/bin/coverage report

bench: setup ## measure real processes: BENCH=scheduler, sender, api, peers or growth; SLOW=1, ONLY=name,name, KEEP=1
	@PYTHONPATH=$(PYTHONPATH):tests $(PY) -m bench $(BENCH)

benchmarks-doc: setup ## write docs/benchmarks.md from the texts and the kept reports in docs/benchmarks
	@PYTHONPATH=$(PYTHONPATH):tests $(PY) -m bench.kept

install: setup ## install the servers' Debian packages where they are missing
	@$(PY) -m tocsin_local install

lock: setup ## take changed requirements into requirements.lock; what is locked stays as it is
	@$(RESOLVE) requirements.lock
	@$(PYTHON) -m tocsin_local setup
	@$(PY) -m tocsin_local image-locks

migrate: setup ## migrate the database of DATABASE_URL, else that of `make up`
	@$(PY) -m tocsin_local migrate

docs: setup ## write the README's tables of settings and schedules, from the code
	@$(PY) -m tocsin_local docs

screenshots: setup ## take the pictures in docs/images anew, with Chromium
	@$(PY) -m tocsin_local screenshots

clean: ## stop everything, remove .venv and all data of the local stack
	@$(PYTHON) -m tocsin_local clean
	rm -rf .venv
