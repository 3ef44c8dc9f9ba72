# Everything a newcomer, a developer and CI need. `make setup` does nothing when nothing changed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
BUNDLE := src/civicpulse/portal/static/dist/manifest.json
ASSETS := $(shell find src/civicpulse/portal/assets src/civicpulse/portal/templates -type f 2>/dev/null) scripts/bundle.mjs package-lock.json

.PHONY: help setup run shell test test-rules test-quick fuzz coverage bench check openapi release-check format lock clean

help: ## What there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) $(BUNDLE) ## Environment and page bundle

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "CivicPulse needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || { echo "setup: creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@scripts/install-packages $(BIN)/python requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "CivicPulse builds its pages with Node 20 or newer: install node and npm"; exit 1; }
	@echo "setup: installing page packages"
	@npm ci --silent --no-audit --no-fund
	@touch $@

$(BUNDLE): node_modules/.installed $(ASSETS)
	@echo "setup: bundling the pages"
	@npm run --silent build

run: setup ## Start everything on http://127.0.0.1:8000 (or PORT=8001, DATA=folder)
	@exec $(BIN)/civicpulse up $(if $(PORT),--port $(PORT)) $(if $(DATA),--data $(DATA))

shell: setup ## A shell in which the command civicpulse is found
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec "$${SHELL:-/bin/sh}"

test: setup ## All tests, browser included; all groups run, and what failed is told at the end
	@scripts/test-all $(BIN)

test-rules: setup ## The rules alone
	@$(BIN)/python -m pytest tests/rules -q -n 0

test-quick: setup ## All but the browser
	@$(BIN)/python -m pytest tests -q -n 2 --dist loadscope --ignore tests/e2e

fuzz: setup ## Every operation with many more generated calls than `make test` has time for
	@CIVICPULSE_FUZZ_EXAMPLES=500 $(BIN)/python -m pytest tests/trust/test_fuzz.py -q -n 2 --dist load --hypothesis-profile explore

coverage: setup ## All but the browser, with the lines and branches that no test took (twice as slow)
	@$(BIN)/python -m pytest tests -q -n 2 --dist loadscope --ignore tests/e2e --cov=civicpulse --cov-report=term:skip-covered

bench: setup ## The performance table, on a database of its own
	@$(BIN)/python -m bench

check: setup ## Lint, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

openapi: setup ## Write what the API declares to docs/openapi.json
	@$(BIN)/python scripts/openapi.py

format: setup ## Put the code in form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

release-check: setup ## Can this version be released? (docs/releasing.md)
	@$(BIN)/python scripts/release_check.py

lock: setup ## Pin the newest versions that pyproject.toml admits (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements-dev.lock

clean: ## Remove what setup made (not your data)
	rm -rf $(VENV) node_modules src/civicpulse/portal/static/dist .mypy_cache .ruff_cache .pytest_cache
