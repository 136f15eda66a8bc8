# Everything a developer runs. Needs Python >= 3.11, make and git; the rest goes into .venv.
#
#   make demo ARGS="--seconds 20"    the whole program on loopback, against simulated exchanges
#   make test ARGS="-k journal"      the tests
#   make check                       every gate, as continuous integration runs them
#   make format                      put the code into its format
#   make lock                        refresh the locked dependencies
#   make image                       build the container image
#   make clean                       remove what the above made, except recorded data

VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := multilogger tests benchmarks
LOCKS := requirements/build.txt requirements/dev.txt
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--custom-compile-command "make lock"

.PHONY: help setup demo test check format check-format lint async types imports lock image clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)

# Anew only when the locks or the project's own metadata are newer than the last installation that went through.
$(STAMP): pyproject.toml $(LOCKS)
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	  for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      found=$$python; break; \
	    fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "No Python >= 3.11 with venv and ensurepip is on the PATH: install it" \
	      "(Debian and Ubuntu: apt install python3 python3-venv) and run make again." >&2; \
	    exit 1; \
	  fi; \
	  echo "==> creating $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	fi
	@echo "==> installing the locked dependencies (the first time takes a minute)"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/dev.txt
	@echo "==> installing multilogger itself, editable"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)
	@$(BIN)/multilogger demo $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest $(ARGS)

check: check-format lint async types imports test

format: $(STAMP)
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

check-format: $(STAMP)
	@$(BIN)/ruff format --check $(CODE)

lint: $(STAMP)
	@$(BIN)/ruff check $(CODE)

# Left out: ASYNC127, which asks for a successor of httpx (docs/dependencies.md), and ASYNC91x, which want a
# checkpoint on every path: the hot path is made to go without where nothing has to be waited for.
# Files that name neither Trio nor anything asynchronous have nothing that it looks for.
async: $(STAMP)
	@git ls-files -z --cached --others --exclude-standard '*.py' | xargs -0 grep -lZE '\b(trio|async)\b' | \
	  xargs -0 -n 12 -P "$$(nproc)" \
	  $(BIN)/python -m flake8_async --enable=ASYNC \
	  --disable=ASYNC127,ASYNC910,ASYNC911,ASYNC912,ASYNC913 \
	  --startable-in-context-manager=run,serve_rest,serve_health,run_tree,run_writer,signalled,watch_space,reload_on_hangup,run_gated

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports

lock: $(STAMP)
	$(UV_COMPILE) $(ARGS) requirements/build.in -o requirements/build.txt
	$(UV_COMPILE) $(ARGS) pyproject.toml -o requirements/run.txt
	$(UV_COMPILE) $(ARGS) --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt

image:
	@engine=$$(command -v docker || command -v podman) || \
	  { echo "Neither docker nor podman is on the PATH." >&2; exit 1; }; \
	"$$engine" build --tag multilogger $(ARGS) .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
