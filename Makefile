# `make venv` once, then `make check test`. Everything the project needs is in .venv; CI calls the same targets.

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
# Tests wait for hosts as much as they compute.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 2 )))

SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help venv check test demo soak bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/installed ## Make .venv with the locked packages and this project, editable

.venv/installed: requirements-ci.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-ci.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

check: venv ## Format, lint, types, import contracts, generated files: reads only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/reconcile schema --check
	$(BIN)/python docs/generate.py --check

test: venv ## Every test; the real hosts among them need root on Debian
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

demo: venv ## The whole tool on real throw-away hosts; on simulated ones where those cannot be had
	$(BIN)/python -m tests.lab.demo

soak: venv ## Fresh seeds of the simulation for SECONDS (60); then die at every moment of real passes (long)
	$(BIN)/python -m tests.simulate --soak $(SECONDS)
	EVERY_OCCURRENCE=1 $(BIN)/python -m pytest -n 0 -s tests/integration/faults/test_crash.py

bench: venv ## What it costs beside ssh, Ansible, pyinfra and compose, on the same throw-away hosts
	$(BIN)/python -m tests.bench

lock: ## Resolve the newest allowed packages anew into requirements-ci.txt
	test -x .cache/uv/bin/uv || { $(PYTHON) -m venv .cache/uv && .cache/uv/bin/pip install --quiet uv==$(UV_VERSION); }
	printf 'hatchling>=1.27\neditables>=0.5\n' | .cache/uv/bin/uv pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make lock' --group dev pyproject.toml - --output-file requirements-ci.txt

clean: ## Remove what the targets above made; the lab's packages in ~/.cache/reconciler-lab stay
	rm -rf .venv .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
