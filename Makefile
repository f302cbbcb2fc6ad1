# `make run` to try syncd, `make test` to check it, `make help` for the rest.

FOLDER ?= inbox
MOUNT ?= mnt
ROUNDS ?= 1000

VENV := .venv
BIN := $(VENV)/bin

# System packages by what needs them. A missing one is announced, and the work goes on without.
RUN_PACKAGES := fuse3 libfuse2
TEST_PACKAGES := $(RUN_PACKAGES) fonts-dejavu-core rsync zsh fish
BENCH_PACKAGES := rclone rsync lsyncd

STATIC_TESTS := tests/test_layers.py tests/test_shape.py tests/test_docs.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check docs soak bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/run ## install, start the hub, watch FOLDER (./inbox), mount its dataset on MOUNT (./mnt)
	@scripts/packages $(RUN_PACKAGES)
	@exec scripts/run $(BIN) "$(FOLDER)" "$(MOUNT)"

test: check ## install what the tests need and run all of them
	@scripts/packages $(TEST_PACKAGES)
	@scripts/browser $(BIN)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(VENV)/test ## format, lint, types, layers, shape, documents
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/python -m pytest --quiet $(STATIC_TESTS)

docs: $(VENV)/test ## write docs/commands.md and syncd/state/fresh.sql from the program
	$(BIN)/python scripts/commands.py
	$(BIN)/python scripts/state.py

soak: $(VENV)/test ## kill the daemon at ROUNDS random moments (default: 1000) and count the files
	$(BIN)/python -m tests.soak --rounds $(ROUNDS)

bench: $(VENV)/test ## measure syncd beside its peers
	@scripts/packages $(BENCH_PACKAGES)
	$(BIN)/python -m bench

clean: ## remove what was installed and built here; ./inbox and all data stay
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +

# Installed anew only when the list of dependencies changed.
$(VENV)/run: pyproject.toml
	@scripts/install $(VENV) video,dicom,heic
	@touch $@

$(VENV)/test: pyproject.toml
	@scripts/install $(VENV) dev
	@touch $@ $(VENV)/run
