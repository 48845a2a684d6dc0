# `make demo` shows everything at work, `make test` tests everything; both from a fresh machine.
# Needs: Python >= 3.11 with venv. For the local cluster also root on Debian or Ubuntu; what else is missing is installed.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := guard/vott_guard operator/vott_operator trainer-image/vott_trainer sbom localcluster demo benchmarks
export PYTHONPATH := operator:trainer-image:guard:.
PYTEST := $(BIN)/python -m pytest

.PHONY: help sbom demo up down status test unit integration integration-operator integration-trainer chaos test-versions e2e check format generate version lock bench clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(VENV)/tools ## From nothing to a trained model, on a local cluster or the one that KUBECONFIG names
	@$(BIN)/python -m demo

up: $(VENV)/tools ## The local cluster with operator and Azurite; writes .local/env to source
	@$(BIN)/python -m localcluster up

down: $(VENV)/tools ## End the local cluster, leaving nothing but caches
	@$(BIN)/python -m localcluster down

status: $(VENV)/tools ## What of the local cluster runs
	@$(BIN)/python -m localcluster status

test: check unit integration e2e ## Everything

unit: $(VENV)/all ## Minutes, no network; prints the coverage and fails below the floor
	$(PYTEST) tests/unit --cov

integration: $(VENV)/all ## A real API server, Azurite and AMQP, the operator and the trainer as processes; a short chaos test
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target integration-operator integration-trainer

# Beside each other, for the operator's tests wait most of the time; each with servers of its own. The chaos test goes with the shorter half.
integration-operator: $(VENV)/all
	$(PYTEST) tests/integration --ignore=tests/integration/trainer

integration-trainer: $(VENV)/all
	$(PYTEST) tests/integration/trainer tests/chaos

chaos: $(VENV)/all ## The chaos test at length: thousands of messages, everything dies again and again (VOTT_CHAOS_SEED repeats a run)
	VOTT_CHAOS=long $(PYTEST) tests/unit/operator/test_plan_states.py
	VOTT_CHAOS=long $(PYTEST) -s tests/chaos

test-versions: $(VENV)/all ## The operator on a Kubernetes two minors older (builds it from source, once)
	VOTT_KUBERNETES=1.34 $(PYTEST) tests/integration/test_localcluster.py tests/integration/operator

e2e: $(VENV)/all ## A real node, both images, real training; starts the local cluster
	$(PYTEST) tests/e2e

check: $(VENV)/all ## Lint, security lint, types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES) trainer-image/bake_weights.py
	$(BIN)/mypy $(PACKAGES) tests
	$(BIN)/lint-imports
	@$(BIN)/python -m vott_operator crd | diff -u manifests/crd.yaml - || { echo "manifests/crd.yaml is not what the models say: run \`make generate\`"; exit 1; }
	@diff -u manifests/crd.yaml charts/vott-train/crds/trainingjobs.yaml || { echo "the chart's CRD is not manifests/crd.yaml: run \`make generate\`"; exit 1; }

format: $(VENV)/tools ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: version $(VENV)/tools ## Write the CRD from the models, and the version everywhere
	$(BIN)/python -m vott_operator crd > manifests/crd.yaml
	cp manifests/crd.yaml charts/vott-train/crds/trainingjobs.yaml

# pyproject.toml has the version; these files repeat it, because their formats can't refer to it.
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
version:
	sed -i 's/^version = ".*"$$/version = "$(VERSION)"/' trainer-image/pyproject.toml
	sed -i 's/^VERSION = ".*"$$/VERSION = "$(VERSION)"/' trainer-image/vott_trainer/version.py
	sed -i -E 's/^(version|appVersion): .*/\1: $(VERSION)/' charts/vott-train/Chart.yaml
	sed -i -E 's#(vott-train/(operator|trainer):)[0-9][0-9A-Za-z.-]*#\1$(VERSION)#g' charts/vott-train/values.yaml README.md docs/*.md

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11
lock: $(VENV)/tools ## Take the newest versions of all dependencies
	cd requirements && for name in build operator; do ../$(COMPILE) $$name.in -o $$name.txt; done
	cd trainer-image && for name in requirements-build requirements; do ../$(COMPILE) $$name.in -o $$name.txt; done
	cd sbom && ../$(COMPILE) requirements.in -o requirements.txt
	cd requirements && ../$(COMPILE) --constraint operator.txt --constraint ../trainer-image/requirements.txt dev.in -o dev.txt

sbom: $(VENV)/tools ## Write what each image is made of (CycloneDX) into dist/; needs root, as it builds the images
	@$(BIN)/python -m localcluster sbom dist

bench: $(VENV)/all ## Speed, as ratios within one run
	$(BIN)/python -m benchmarks

clean: ## Remove what the commands above left in this folder (`make down` first)
	rm -rf $(VENV) dist .local .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The virtual environment, in two steps: what the demo needs, and torch on top for the tests.
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
	@echo "Installing the Python packages of the trainer (torch, some GB) …"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $<
	@touch $@
