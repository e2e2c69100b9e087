# make sweep        create .venv, install, run the quickstart campaign
# make test         create .venv, install, run the tests
# make test-services  a tracking server on PostgreSQL (skipped without one), and one store under two nodes
# make test-faults  kill processes and nodes, take store, tracking server and disk away, under running campaigns
# make soak         kill something of a running campaign every minute, for twenty minutes (MINUTES=20, SEED=0)
# make lint         check style, types and layers
# make mutants      break known places one by one; the tests named for each must fail
# make docs         build the documentation into site/; a dead link is an error
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# where the environment asks for no bytecode (as in many containers), every process would compile what it imports
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install sweep test test-services test-faults test-slow soak mutants lint docs docs-reference clean
help:
	@sed -n 's/^# make/make/p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable ".[dev]"
	touch $@

sweep: install
	$(BIN)/tbar campaign run jobs/quickstart.yaml

# three on two cores: two of them wait for Ray at first
test: install
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-services: install
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow tests/tracking/test_postgres.py tests/execution/test_store_nodes_ray.py

test-faults: install
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow tests/campaign/test_faults_ray.py tests/campaign/test_outages_ray.py \
	  tests/campaign/test_lost_ray.py tests/campaign/test_bad_disks_ray.py

test-slow: install
	$(BIN)/python -m pytest -m slow

MINUTES ?= 20
SEED ?= 0
soak: install
	TBAR_TEST_SOAK_MINUTES=$(MINUTES) TBAR_TEST_SOAK_SEED=$(SEED) TBAR_TEST_SOAK_JSON=soak.json \
	  $(BIN)/python -m pytest -m slow tests/campaign/test_soak_ray.py

mutants: install
	$(BIN)/python -m tests.mutants

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs-installed
	$(BIN)/zensical build --strict --clean

$(VENV)/.docs-installed: $(STAMP)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[docs]"
	touch $@

# the two files that are generated from the models of the spec; a test fails when they are stale
docs-reference: install
	$(BIN)/tbar spec schema > $(VENV)/schema && mv $(VENV)/schema tbar_ray/spec/campaign.schema.json
	$(BIN)/tbar spec reference > $(VENV)/reference && mv $(VENV)/reference docs/spec.md

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .cache site
