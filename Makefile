VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
# A CPU build is enough for everything that runs by default.
TORCH ?= torch==2.13.0
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

.PHONY: install system demo demo-agent test test-full test-mcp2 fix check clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python scripts/demo.py

# An episode whose controller was a language model, played again without it.
demo-agent: install
	$(BIN)/dataenv run --replay docs/examples/agent.jsonl

# What the tests need of the system: strace counts what reaches the disk, bubblewrap isolates programs.
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
system:
	command -v strace >/dev/null || $(SUDO) apt-get install -y strace
	command -v bwrap >/dev/null || $(SUDO) apt-get install -y bubblewrap

test: install system
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-full: install system test-mcp2
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Beside OpenEnv, pip installs version 1 of MCP's SDK; without it, version 2.
test-mcp2: install
	$(BIN)/python -m pip install --quiet --upgrade --target build/mcp2 'mcp>=2,<3'
	PYTHONPATH=build/mcp2 $(BIN)/python -m pytest tests/adapters/test_mcp.py

fix: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
