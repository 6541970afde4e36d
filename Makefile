# Every target sets up what it needs: a virtual environment, the Rust extension and the Python packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml rust/Cargo.toml rust/Cargo.lock $(shell find rust/core/src rust/py/src -name '*.rs' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench bench-peers mutate-kernels compile-gate clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sdx needs Python >= 3.11: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@command -v cargo >/dev/null || { echo "sdx needs Rust (cargo): see https://rustup.rs"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=24' 'maturin>=1.9.4,<2'
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	@touch $@

setup: $(STAMP) ## Virtual environment with sdx installed for development

demo: $(STAMP) ## Train a student on drawn faces and verify it (under 5 minutes on two cores)
	$(BIN)/sdx train demo

# Coverage is that of python/sdx: counting it takes as long again as Triton's interpreter, in which the kernels run.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:benchmark -n $(WORKERS) --dist loadfile
test: $(STAMP) ## All tests: Rust, then Python with coverage, in WORKERS=2 processes of one thread each
	cargo test --quiet --manifest-path rust/Cargo.toml --package sdx-core
	$(PYTEST) tests/kernels
	$(PYTEST) --ignore tests/kernels --cov --cov-report=term

lint: $(STAMP) ## ruff, mypy --strict, stubtest, clippy, rustfmt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict python/sdx kernels/sdx_kernels
	$(BIN)/python -m mypy.stubtest sdx._core --allowlist rust/py/stubtest.allowlist
	cargo fmt --manifest-path rust/Cargo.toml --all --check
	cargo clippy --quiet --manifest-path rust/Cargo.toml --workspace --all-targets -- -D warnings

format: $(STAMP) ## Format Python and Rust
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cargo fmt --manifest-path rust/Cargo.toml --all

bench: $(STAMP) ## Benchmarks of a training step and of the Rust core (never run by the tests)
	$(BIN)/pip install --quiet --editable '.[bench]'
	$(BIN)/python -m pytest benches/bench_step.py benches/bench_core.py --benchmark-columns=min,median,rounds $(if $(wildcard $(PEERS)),--peer-python $(PEERS))
	cargo bench --manifest-path rust/Cargo.toml --package sdx-core

PEERS := .venv-peers/bin/python
bench-peers: ## An environment for `make bench` to compare the Rust core with cpprb, torchrl and FAISS
	test -x $(PEERS) || $(PYTHON) -m venv .venv-peers
	$(PEERS) -m pip install --quiet cpprb torchrl faiss-cpu

mutate-kernels: $(STAMP) ## Plant faults into the Triton kernels, one at a time, and count those that the tests catch
	$(BIN)/python tests/kernels/mutate.py

TRITON ?=
compile-gate: $(STAMP) ## Compile every kernel for sm_80 and sm_90; TRITON=3.6: by that version and its torch, whose compiler is tried too
	$(if $(TRITON),test -x .venv-triton-$(TRITON)/bin/python || $(PYTHON) -m venv .venv-triton-$(TRITON))
	$(if $(TRITON),.venv-triton-$(TRITON)/bin/pip install --quiet 'torch>=2.9' 'triton~=$(TRITON).0' numpy pytest pytest-timeout)
	for arch in 80 90; do PYTHONPATH=kernels $(if $(TRITON),.venv-triton-$(TRITON),$(VENV))/bin/python tests/kernels/compile_gate.py $$arch || exit 1; done
	$(if $(TRITON),PYTHONPATH=kernels .venv-triton-$(TRITON)/bin/python -m pytest -q -p no:cacheprovider tests/kernels/test_compile.py)

clean: ## Remove the environment and every build output
	rm -rf $(VENV) .venv-peers .venv-triton-* rust/target dist
