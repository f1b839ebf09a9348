# Everything a person needs: `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := .venv
SAM_VENV := .venv-sam
AUDIT_VENV := .venv-audit
BIN := $(VENV)/bin

# The newest Python from 3.11 to 3.13 that really runs: a pyenv shim may be there and not.
CANDIDATES := python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python3.13 \
              python3.12 $(HOME)/.pyenv/versions/3.12*/bin/python3.12 \
              python3.11 $(HOME)/.pyenv/versions/3.11*/bin/python3.11 /usr/bin/python3.11 python3
RUNS = 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
FIND_PYTHON = for python in $(CANDIDATES); do \
    $$python -c $(RUNS) >/dev/null 2>&1 && echo $$python && break; done

.PHONY: help setup demo test check format build deploy bench clients fuzz reliability soak seeded load invoke clean audit licences pins

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

test: $(VENV)/.ready ## run the tests, but for those of the house (check) and the long ones (reliability)
	@$(BIN)/python -m pytest -n 3 -m 'not long' --ignore tests/house

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
build: $(VENV)/.ready $(SAM_VENV)/.ready ## validate and build what gets deployed
	@for folder in $(wildcard $(HOME)/.pyenv/versions/3.13*/bin); do PATH="$$folder:$$PATH"; done; \
	$(SAM_VENV)/bin/sam validate --lint && $(SAM_VENV)/bin/sam build
	@$(BIN)/python -m supply_chain bill .aws-sam/build > .aws-sam/sbom.cdx.json
	@echo "What is in the layers: .aws-sam/sbom.cdx.json"

# checkov wants other versions of packages than the tests; uv finds versions and hashes.
$(AUDIT_VENV)/.ready:
	@PYTHON=$$($(FIND_PYTHON)); $$PYTHON -m venv --clear $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'checkov==3.3.30' 'uv==0.13.9'
	@touch $@

audit: $(VENV)/.ready $(AUDIT_VENV)/.ready ## checkov, cfn-lint, licences: nothing that is not explained
	@$(BIN)/cfn-lint template.yaml
	@$(BIN)/python -m supply_chain check
	@$(BIN)/python -m auditing $(AUDIT_VENV)/bin/checkov

licences: $(VENV)/.ready ## write docs/licences.md from what is pinned
	@$(BIN)/python -m supply_chain licences

pins: $(AUDIT_VENV)/.ready ## pin what layers hold anew, with hashes, within constraints.txt
	@for layer in dependencies mcp thumbnails; do \
	  { echo "# From layers/$$layer.in, for Lambda's Python 3.13 on arm64: make pins"; \
	    $(AUDIT_VENV)/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate \
	      --python-version 3.13 --python-platform aarch64-manylinux_2_28 \
	      --constraint constraints.txt layers/$$layer.in; } > layers/$$layer/requirements.new && \
	  mv layers/$$layer/requirements.new layers/$$layer/requirements.txt || exit 1; done

deploy: build ## deploy to AWS (asks what it needs to know)
	@$(SAM_VENV)/bin/sam deploy --guided

invoke: $(VENV)/.ready ## run one function on an event: FUNCTION=poll [EVENT=my.json]
	@test -n "$(FUNCTION)" || { echo "say which one: make invoke FUNCTION=poll" >&2; exit 2; }
	@if [ "$$(uname)" = Linux ] && docker info >/dev/null 2>&1; then \
	  $(MAKE) --no-print-directory $(SAM_VENV)/.ready && sam=$(SAM_VENV)/bin/sam; fi; \
	$(BIN)/videoconductor local invoke $(FUNCTION) $(if $(EVENT),--event $(EVENT)) $${sam:+--sam $$sam}

fuzz: $(VENV)/.ready ## look for answers that docs/openapi.json does not describe (FUZZ="--max-examples 200")
	@$(BIN)/python -m tests.fuzz $(FUZZ)

reliability: $(VENV)/.ready ## kill and hinder every step at every call: some 20 minutes (FULL=1: twice that; CASE=name)
	@$(if $(CASE),true,$(BIN)/python -m pytest -q -n 2 -m long)
	@$(BIN)/python -m tests.reliability $(if $(FULL),--full) $(if $(CASE),--case '$(CASE)')

clients: $(VENV)/.ready ## try other people's xAI clients and the MCP inspector (node and npm)
	@$(BIN)/python -m pytest -m clients tests/clients

soak: $(VENV)/.ready ## films under any interleaving, for as long as one likes (SEED=n, MINUTES=5)
	@SOAK_SEED=$(SEED) SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest -q -n 0 --show-capture=no \
	  tests/workflow/soak.py

seeded: $(VENV)/.ready ## put each seeded bug into a copy of the project and see that its tests notice (BUG=word)
	@$(BIN)/python -m tests.seeded $(BUG)

load: $(VENV)/.ready ## bursts, then ten minutes of faults and kills, on the local stack: docs/load.md
	@$(BIN)/python -m benchmarks.load --page docs/load.md

bench: $(VENV)/.ready ## measure what docs/performance.md claims, and write its table (valgrind)
	@$(BIN)/python -m benchmarks --page docs/performance.md

clean: ## remove what was built or generated here
	rm -rf $(VENV) $(SAM_VENV) $(AUDIT_VENV) .aws-sam .mypy_cache .pytest_cache .ruff_cache .videoconductor .videoconductor-demo generated
