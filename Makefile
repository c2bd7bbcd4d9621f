# Every target sets up what it needs: `make test` works on a fresh clone. `make help` lists the targets.

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
RUN     ?= runs/staker_quickstart
BUILDER ?= runs/builder_quickstart
PROBE   ?= runs/probe_quick
MINUTES ?= 10
WORKERS ?= 2

PY       := .venv/bin/python
READY    := .venv/.installed
LEARNING := .venv/.installed-to-learn
OTHER     = .venv-$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.PHONY: help setup install train train-builder probe results test test-all test-python test-interop test-ray soak bench docs docs-links lint format wheel clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## virtual environment .venv with the pinned packages of constraints.txt

train: $(LEARNING)  ## train the quickstart staker, compare it with the baselines, and on real prices (RUN=folder)
	$(PY) train.py configs/staker_quickstart.yaml --run-dir $(RUN) --overwrite
	$(PY) evaluate.py $(RUN)
	$(PY) evaluate.py $(RUN) --replay

train-builder: $(LEARNING)  ## train a builder in the fee arm and compare it with the closed form (BUILDER=folder)
	$(PY) train.py configs/builder_quickstart.yaml --run-dir $(BUILDER) --overwrite
	$(PY) evaluate.py $(BUILDER)

probe: $(LEARNING)  ## does the market crowd out research? the short probe and its page (PROBE=folder)
	$(PY) probe.py configs/probe_quick.yaml --run-dir $(PROBE)

results: $(LEARNING)  ## RESULTS.md and policies/: 5 training seeds, the arena; about 40 minutes, resumable
	$(PY) -m dtao_agents.results

test: $(READY)  ## style, and every test that is not slow (WORKERS=processes)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	$(PY) -m pytest -n $(WORKERS) -m "not slow"

test-all: lint  ## style, types, and every test
	$(PY) -m pytest -n $(WORKERS)

test-python:  ## every test that is not slow on another Python, in .venv-X.Y (PYTHON=interpreter)
	test -x $(OTHER)/bin/python || "$(PYTHON)" -m venv $(OTHER)
	$(OTHER)/bin/python -m pip install -q -c constraints.txt -e ".[all]"
	$(OTHER)/bin/python -m pytest -n $(WORKERS) -m "not slow"

test-interop: $(READY)  ## tests with TorchRL, RLlib and Minari, and with AgileRL, which pins another tensordict
	for kind in interop agile; do \
		test -x build/$$kind/bin/python || "$(PYTHON)" -m venv build/$$kind; \
		build/$$kind/bin/python -m pip install -q -c constraints.txt -e ".[all]"; \
	done
	build/interop/bin/python -m pip install -q torchrl "ray[rllib]" minari
	build/interop/bin/python -m pytest tests/interop/test_torchrl.py tests/interop/test_rllib.py tests/interop/test_minari.py
	build/agile/bin/python -m pip install -q agilerl peft
	build/agile/bin/python -m pytest tests/interop/test_agilerl.py

test-ray: $(READY)  ## tests of --backend ray on a Ray cluster of this machine
	test -x build/ray/bin/python || "$(PYTHON)" -m venv build/ray
	build/ray/bin/python -m pip install -q -c constraints.txt -e ".[all,ray]"
	build/ray/bin/python -m pytest tests/agents/test_backends.py

soak: $(READY)  ## random legal worlds of all rules, audited (MINUTES=, WORKERS=)
	$(PY) scripts/soak.py --minutes $(MINUTES) --workers $(WORKERS)

bench: $(READY)  ## speed of the environment
	$(PY) benchmarks/speed.py
	$(PY) benchmarks/many_agents.py

docs: $(READY)  ## the documentation site in build/docs/html; a warning or a dead internal link is an error
	.venv/bin/sphinx-build -q -W --keep-going -b html docs build/docs/html

docs-links: $(READY)  ## links of the site to other sites (needs the network)
	.venv/bin/sphinx-build -q -b linkcheck docs build/docs/links

lint: $(READY)  ## style and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright

format: $(READY)  ## fix style automatically
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

wheel: $(READY)  ## a wheel in dist/ with kernels compiled ahead for this Python and Numba
	DTAO_GYM_COMPILE_AHEAD=1 $(PY) -m hatchling build -t wheel

clean:  ## remove caches and builds; .venv and runs stay
	rm -rf build dist site docs/reference/generated .pytest_cache .ruff_cache .hypothesis
	find . -path './.venv*' -prune -o -type d -name __pycache__ -exec rm -rf {} +

# Training needs no test tools: only the extra `train` is installed.
$(LEARNING): pyproject.toml constraints.txt
	test $(READY) -nt pyproject.toml && test $(READY) -nt constraints.txt || \
		$(MAKE) --no-print-directory EXTRA=train install
	@touch $@

$(READY): pyproject.toml constraints.txt
	$(MAKE) --no-print-directory EXTRA=all install
	@touch $@

install:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'dtao_gym needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	test -x $(PY) || "$(PYTHON)" -m venv .venv
	$(PY) -m pip install -q -c constraints.txt -e ".[$(EXTRA)]"
