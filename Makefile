# Everything a newcomer needs; each target sets up .venv itself when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
TORCH := 2.13.0
export PYTHONWARNINGS ?=
# Compiled once, not again by every process that a test starts.
export PYTHONDONTWRITEBYTECODE :=
# Two processes; a test that hangs ends the run with every thread's stack.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --timeout 600 --timeout-method thread
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1

.PHONY: setup demo door evidence federation test test-slow check protos clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/python -m pip install --quiet torch==$(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)

demo: setup
	$(BIN)/mascaron-lab demo

door: setup
	$(BIN)/mascaron-lab door

evidence: setup
	$(BIN)/mascaron-lab evidence --demo --out runs/evidence

# Agent and courier have an environment each: no Flower beside faces, no torch beside Flower.
federation: setup $(VENV)-agent/.ready $(VENV)-courier/.ready
	$(BIN)/mascaron-lab federation --agent-bin $(VENV)-agent/bin --courier-bin $(VENV)-courier/bin

$(VENV)-agent/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-agent
	$(VENV)-agent/bin/python -c "import torch" 2>/dev/null || \
	  $(VENV)-agent/bin/python -m pip install --quiet torch==$(TORCH)
	$(VENV)-agent/bin/python -m pip install --quiet --editable '.[agent]'
	touch $@

$(VENV)-courier/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-courier
	$(VENV)-courier/bin/python -m pip install --quiet --editable '.[courier]'
	touch $@

test: setup
	$(PYTEST)

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy client common server simulations
	$(PYTEST)

protos: setup
	$(BIN)/python -m grpc_tools.protoc -Iprotos/gen=protos \
	  --python_out=. --pyi_out=. --grpc_python_out=. protos/*.proto

clean:
	rm -rf $(VENV) $(VENV)-agent $(VENV)-courier .mypy_cache .pytest_cache .ruff_cache .hypothesis
