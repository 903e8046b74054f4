# Two commands matter: `make demo` and `make test`. Both do all the set-up a fresh Debian machine needs.
#
#   make demo     set-up, images, and labctl's main job on a small production stand-in; a report in reports/
#   make test     set-up, images, lint and tests (20 minutes at most on 2 cores)
#   make lint     style, types, layers, documentation; `make pytest` is the rest of `make test`
#   make soak     every point of the long suites of which `make test` runs a sample
#   make bench    the benchmarks, each beside a naive baseline
#   make bare     the proof of all this: TARGETS ("test", "demo") of a clean clone in a bare Debian, twice
#   make setup | images | lock | clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
IN := $(BIN)/python tools/in_root.py
PYTEST := $(IN) $(BIN)/python -m pytest
# Labs wait more than they work: files of tests run two at a time, the long ones (system) first. JOBS=0: one by one.
JOBS ?= 2
ARGS ?=
IMAGES ?=
TARGETS ?= test

.PHONY: help setup setup-test images demo test lint pytest soak bench bare lock clean

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

setup:
	@./setup.sh

setup-test:
	@./setup.sh test

images: setup
	@$(IN) $(BIN)/python tools/build_images.py $(IMAGES)

demo: images
	@$(IN) $(BIN)/labctl demo $(ARGS)

test: setup-test images lint pytest

pytest: setup-test images
	@$(PYTEST) -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/docs.py --check
	@$(BIN)/python tools/check_docs.py

soak: setup-test images
	@export LABCTL_SOAK=1; $(PYTEST) -m soak $(ARGS)

bench: setup-test images
	@for each in benchmarks/[a-z]*.py; do echo "== $$each"; $(IN) $(BIN)/python "$$each" $(ARGS); done

bare:
	@tests/bare/run.sh $(TARGETS)

# What pyproject.toml asks for, with hashes, for every platform; no address of an index. ARGS=--upgrade: newest versions.
lock: setup
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --group pyproject.toml:dev pyproject.toml $(ARGS) -o requirements.lock
	@./setup.sh

# What make made here. Labs and images are the machine's: `labctl destroy --all`, and the images directory of the state.
clean:
	rm -rf .venv .setup.lock .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
