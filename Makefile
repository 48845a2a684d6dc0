# `make demo` runs the demo, `make test` runs all tests; both work on a fresh machine.
# Needs Python >= 3.11 with venv, and for the local cluster root on Debian or Ubuntu. Everything else is installed.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := guard/vott_guard messaging/vott_messaging operator/vott_operator trainer-image/vott_trainer trainer-image/vott_traind sbom localcluster demo benchmarks
export PYTHONPATH := operator:trainer-image:messaging:guard:.
# Shared by all clones, as a first run takes minutes.
export MYPY_CACHE_DIR ?= $(or $(VOTT_TRAIN_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vott-train)/mypy
PYTEST := $(BIN)/python -m pytest

.PHONY: help sbom demo up down status build test unit integration integration-operator integration-trainer chaos test-versions e2e check format generate version lock soak bench bench-quality clean

help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(VENV)/$(if $(LOCAL),all,tools) ## Train a model from scratch, on drawn shapes or your own DATA=folder-or-archive, on the local cluster or the one in KUBECONFIG; LOCAL=1: on this machine without Kubernetes and root
	@$(BIN)/python -m demo

up: $(VENV)/tools ## Start the local cluster with operator and Azurite; then `source .local/env`
	@$(BIN)/python -m localcluster up

down: $(VENV)/tools ## Remove the local cluster, except its caches
	@$(BIN)/python -m localcluster down

status: $(VENV)/tools ## Show the state of the local cluster
	@$(BIN)/python -m localcluster status

test: check unit integration e2e ## Run all checks and tests

unit: $(VENV)/all ## Run the unit tests (minutes, no network); prints the coverage and fails below the minimum
	$(PYTEST) --numprocesses=2 --dist=loadfile tests/unit --cov

integration: $(VENV)/all build ## Run the integration tests (a real API server, Azurite, AMQP) and a short chaos test
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target integration-operator integration-trainer

# Outside the tests, whose time limit is shorter than a first build.
build: $(VENV)/tools
	@$(BIN)/python -m localcluster build

# In parallel, because the operator's tests mostly wait, which is why two processes share them, too; each process starts its own servers.
# The chaos test runs with the shorter half.
integration-operator: $(VENV)/all
	$(PYTEST) --numprocesses=2 --dist=loadfile tests/integration --ignore=tests/integration/trainer

integration-trainer: $(VENV)/all
	$(PYTEST) tests/integration/trainer tests/chaos

chaos: $(VENV)/all build ## Run the long chaos test: thousands of messages, every process killed (VOTT_CHAOS_SEED repeats a run)
	VOTT_CHAOS=long $(PYTEST) tests/unit/operator/test_plan_states.py
	VOTT_CHAOS=long $(PYTEST) -s tests/chaos

soak: $(VENV)/all build ## Run two operators under steady load with faults for MINUTES=60 at RATE=20 messages/s; memory must stay flat, nothing may be lost
	$(BIN)/python -m benchmarks.soak --minutes=$(or $(MINUTES),60) --rate=$(or $(RATE),20)

test-versions: $(VENV)/all ## Run the operator's tests on Kubernetes 1.34 (built from source, once)
	VOTT_KUBERNETES=1.34 $(BIN)/python -m localcluster build
	VOTT_KUBERNETES=1.34 $(PYTEST) tests/integration/test_localcluster.py tests/integration/operator

e2e: $(VENV)/all build ## Run the end-to-end tests: local cluster, both images, real training
	@$(BIN)/python -m localcluster images
	$(PYTEST) tests/e2e

check: $(VENV)/all ## Check style, security, types, layers and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES) trainer-image/bake_weights.py
	$(BIN)/mypy $(PACKAGES) tests
	$(BIN)/lint-imports
	@$(BIN)/python -m vott_operator crd | diff -u manifests/crd.yaml - || { echo "manifests/crd.yaml differs from the models: run \`make generate\`"; exit 1; }
	@for name in message callback; do $(BIN)/python -m vott_operator schema $$name | diff -u docs/schemas/$$name.json - || { echo "docs/schemas/$$name.json differs from the models: run \`make generate\`"; exit 1; }; done
	@$(BIN)/python -m vott_operator schema values | diff -u charts/vott-train/values.schema.json - || { echo "charts/vott-train/values.schema.json differs from the settings: run \`make generate\`"; exit 1; }
	@diff -ur docs/schemas charts/vott-train/schemas || { echo "the chart's schemas differ from docs/schemas: run \`make generate\`"; exit 1; }
	@diff -u manifests/crd.yaml charts/vott-train/crds/trainingjobs.yaml || { echo "the chart's CRD differs from manifests/crd.yaml: run \`make generate\`"; exit 1; }

format: $(VENV)/tools ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: version $(VENV)/tools ## Write the CRD and the JSON Schemas, and copy the version
	$(BIN)/python -m vott_operator crd > manifests/crd.yaml
	cp manifests/crd.yaml charts/vott-train/crds/trainingjobs.yaml
	for name in message callback; do $(BIN)/python -m vott_operator schema $$name > docs/schemas/$$name.json; done
	cp docs/schemas/*.json charts/vott-train/schemas/
	$(BIN)/python -m vott_operator schema values > charts/vott-train/values.schema.json

# pyproject.toml has the version; these files repeat it, because their formats can't refer to it.
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
version:
	sed -i 's/^version = ".*"$$/version = "$(VERSION)"/' trainer-image/pyproject.toml
	sed -i 's/^VERSION = ".*"$$/VERSION = "$(VERSION)"/' trainer-image/vott_trainer/version.py
	sed -i -E 's/^(version|appVersion): .*/\1: $(VERSION)/' charts/vott-train/Chart.yaml
	sed -i -E 's#(vott-train/(operator|trainer):)[0-9][0-9A-Za-z.-]*#\1$(VERSION)#g' charts/vott-train/values.yaml README.md docs/*.md manifests/traind/*

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11
lock: $(VENV)/tools ## Update all dependencies
	cd requirements && for name in build operator; do ../$(COMPILE) $$name.in -o $$name.txt; done
	cd trainer-image && for name in requirements-build requirements; do ../$(COMPILE) $$name.in -o $$name.txt; done
	cd sbom && ../$(COMPILE) requirements.in -o requirements.txt
	cd requirements && ../$(COMPILE) --constraint operator.txt --constraint ../trainer-image/requirements.txt dev.in -o dev.txt

sbom: $(VENV)/tools ## Write both images' bills of materials (CycloneDX) into dist/; needs root
	@$(BIN)/python -m localcluster sbom dist

bench: $(VENV)/all ## Measure performance, as ratios within one run
	$(BIN)/python -m benchmarks

# The variables reach the program through the environment, because JSON would need quoting.
bench-quality: $(VENV)/all ## Train on your images in DATA=folder…, and show how good the models are
	@$(BIN)/python -m benchmarks.quality

clean: ## Remove all generated files from this folder (run `make down` first)
	rm -rf $(VENV) dist .local .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The virtual environment, in two steps: packages for the demo, then torch for the tests.
$(VENV)/bin/uv: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with \`make PYTHON=python3.12 …\`" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/tools: requirements/dev.txt | $(VENV)/bin/uv
	@echo "Installing the Python packages of the tools …"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $<
	@touch $@

$(VENV)/all: trainer-image/requirements.txt $(VENV)/tools
	@echo "Installing the Python packages of the trainer (torch, several GB) …"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $<
	@touch $@
