# Everything a person needs: `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := .venv
SAM_VENV := .venv-sam
BIN := $(VENV)/bin

# The newest Python from 3.11 to 3.13 that really runs: a pyenv shim may be there and not.
CANDIDATES := python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python3.13 \
              python3.12 $(HOME)/.pyenv/versions/3.12*/bin/python3.12 \
              python3.11 $(HOME)/.pyenv/versions/3.11*/bin/python3.11 /usr/bin/python3.11 python3
RUNS = 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
FIND_PYTHON = for python in $(CANDIDATES); do \
    $$python -c $(RUNS) >/dev/null 2>&1 && echo $$python && break; done

.PHONY: help setup demo test check format build deploy bench clients fuzz invoke clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## make the virtual environment

$(VENV)/.ready: pyproject.toml constraints.txt
	@PYTHON=$$($(FIND_PYTHON)); \
	if [ -z "$$PYTHON" ]; then \
	  echo "VideoConductor needs Python 3.11, 3.12 or 3.13 with venv (Debian: apt-get install python3-venv)" >&2; \
	  exit 1; fi; \
	echo "Setting up $(VENV) with $$($$PYTHON --version) (about a minute, once)"; \
	$$PYTHON -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.ready ## make a short film end to end on this machine: no AWS, no Docker, no key
	@$(BIN)/videoconductor demo

test: $(VENV)/.ready ## run the tests
	@$(BIN)/python -m pytest -n 3

check: $(VENV)/.ready ## lint, types, template, state machine, house rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/cfn-lint template.yaml
	@$(BIN)/python -m pytest -q -n 0 tests/house

format: $(VENV)/.ready ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(SAM_VENV)/.ready:
	@PYTHON=$$($(FIND_PYTHON)); $$PYTHON -m venv --clear $(SAM_VENV)
	@$(SAM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'aws-sam-cli>=1.170'
	@touch $@

# SAM wants the runtime's own Python, 3.13, by that name on PATH.
build: $(SAM_VENV)/.ready ## validate and build what gets deployed
	@for folder in $(wildcard $(HOME)/.pyenv/versions/3.13*/bin); do PATH="$$folder:$$PATH"; done; \
	$(SAM_VENV)/bin/sam validate --lint && $(SAM_VENV)/bin/sam build

deploy: build ## deploy to AWS (asks what it needs to know)
	@$(SAM_VENV)/bin/sam deploy --guided

invoke: $(VENV)/.ready ## run one function on an event: FUNCTION=poll [EVENT=my.json]
	@test -n "$(FUNCTION)" || { echo "say which one: make invoke FUNCTION=poll" >&2; exit 2; }
	@if [ "$$(uname)" = Linux ] && docker info >/dev/null 2>&1; then \
	  $(MAKE) --no-print-directory $(SAM_VENV)/.ready && sam=$(SAM_VENV)/bin/sam; fi; \
	$(BIN)/videoconductor local invoke $(FUNCTION) $(if $(EVENT),--event $(EVENT)) $${sam:+--sam $$sam}

fuzz: $(VENV)/.ready ## look for answers that docs/openapi.json does not describe (FUZZ="--max-examples 200")
	@$(BIN)/python -m tests.fuzz $(FUZZ)

clients: $(VENV)/.ready ## try other people's xAI clients and the MCP inspector (node and npm)
	@$(BIN)/python -m pytest -m clients tests/clients

bench: $(VENV)/.ready ## measure what docs/performance.md claims
	@$(BIN)/python benchmarks/finalize_memory.py

clean: ## remove what was built or generated here
	rm -rf $(VENV) $(SAM_VENV) .aws-sam .mypy_cache .pytest_cache .ruff_cache .videoconductor .videoconductor-demo generated
