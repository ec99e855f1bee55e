# Everything a developer types. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
CODE := core registry_api jobservice webui bench tests manage.py
# Which tests, as pytest takes them: make test T="tests/core/oci -x"
T ?= tests
# How many at once. Tests of one file stay together and share its server and clients; the slow files
# come first (tests/conftest.py), in the order in which they were collected. Hundreds of processes
# are started: the first ones leave what they have compiled to the others.
JOBS ?= 3
# Parts and options of the benchmark: make bench B="reads pushes --rounds 5"
B ?=
# Options of the soak: make soak S="--minutes 5 --seed 1 --bucket"
S ?=
# Extra options of `roadstead serve`: make run ARGS="--port 5001 --data-dir /srv/registry"
ARGS ?=
# Checks load the settings; they must not leave a key or a directory behind.
CHECK_ENVIRONMENT := ROADSTEAD_SECRET_KEY=only-for-checks-only-for-checks-0123456789 ROADSTEAD_DATA_DIR=/nonexistent

.PHONY: help
help:  ## List what can be done
	@echo "Roadstead: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.installed-run  ## Start a registry with everything it needs; Ctrl-C stops it
	@exec $(BIN)/roadstead serve $(ARGS)

.PHONY: dev
dev: $(VENV)/.installed-dev  ## The same, restarting when the code changes
	@ROADSTEAD_DEBUG=true ROADSTEAD_LOG_LEVEL=debug exec $(BIN)/roadstead serve --reload $(ARGS)

.PHONY: test
test: $(VENV)/.installed-dev  ## Run the tests; T= names which
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(T)

.PHONY: conformance
conformance: $(VENV)/.installed-dev  ## Run the OCI conformance suite, the program that OCI_CONFORMANCE names
	@$(BIN)/python -m tests.conformance

.PHONY: bench
bench: $(VENV)/.installed-dev  ## Measure speed beside the reference registry; B= names parts and options
	$(BIN)/python -m bench $(B)

.PHONY: soak
soak: $(VENV)/.installed-dev  ## Break everything at random for half an hour and check; S= holds options
	@$(BIN)/python -m tests.faults.soak $(S)

.PHONY: lint
lint: $(VENV)/.installed-dev  ## Format, lint, types, imports, migrations: all that runs no test
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo "Not formatted: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(CHECK_ENVIRONMENT) $(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$report" >&2; exit 1; }
	@$(CHECK_ENVIRONMENT) $(BIN)/python manage.py check > /dev/null
	@$(CHECK_ENVIRONMENT) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run \
		| sed '/^No changes detected$$/d'

.PHONY: check
check: lint  ## The same, and the tests without services
	@$(BIN)/pytest -q --no-header -m "pure or architecture"

.PHONY: format
format: $(VENV)/.installed-dev  ## Format the code and repair what can be repaired
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

.PHONY: openapi
openapi: $(VENV)/.installed-dev  ## Write docs/openapi.json again; commit what changes
	@$(CHECK_ENVIRONMENT) $(BIN)/python manage.py spectacular --format openapi-json --validate --fail-on-warn --file docs/openapi.json

.PHONY: lock
lock: $(VENV)/.installed-dev  ## Choose versions again; commit what changes
	@for lock in "--extra embedded -o requirements.txt" "--extra dev -c requirements.txt -o requirements-dev.txt"; do \
		$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --upgrade \
			--group build --generate-hashes --no-emit-index-url --no-header --no-annotate $$lock; \
	done

.PHONY: sizes
sizes:  ## Print the ten largest source files
	@find core registry_api jobservice webui -name '*.py' -not -path '*/migrations/*' -exec wc -l {} + \
		| grep -v ' total$$' | sort -rn | head -10

.PHONY: clean
clean:  ## Remove the environment and what tools leave behind; data stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@set -e; python=; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
			python="$$candidate"; break; \
		fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install one, or name it with PYTHON=/path/to/python3." >&2; exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { echo "$$python cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv)." >&2; rm -rf $(VENV); exit 1; }

# Written last, so that an installation that was broken off is done again.
$(VENV)/.installed-run: requirements.txt pyproject.toml | $(BIN)/python
	$(call install,requirements.txt)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	$(call install,requirements-dev.txt)
	@touch $(VENV)/.installed-run $@

define install
	@echo "Installing from $(1); this may take a minute or two ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
endef
