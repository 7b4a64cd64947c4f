# Everything runs in .venv, made here. uv installs, with pip's settings (pip.conf, PIP_…), or pip
# itself where uv cannot. Extra pip options, such as an index of CPU builds of torch, go in
# PIP_ARGS: make run PIP_ARGS="--extra-index-url URL"
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
# What uv or pip prints goes to a log, and is shown where the installation fails.
define install
$(BIN)/python deploy/install_packages.py -c constraints.txt $(PIP_ARGS) -e $(1) \
	> .venv/install.log 2>&1 || { cat .venv/install.log; exit 1; }
endef

.DEFAULT_GOAL := help
.PHONY: help run paper test live check format compile docs lock audit images stack stack-down clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run  ## the whole pipeline on the bundled recordings, to a report page
	@$(BIN)/audiostyle run

# PAPER_ARGS=--full: at the paper's size, in hours; an interrupted run is resumed.
paper: .venv/.run  ## the paper's tables and figures, made again, in docs/paper.md
	$(BIN)/python -m benchmarks.paper $(PAPER_ARGS)

test: .venv/.dev tests/browser/node_modules/.installed  ## all tests
	$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

# Needs a server in KF_PIPELINES_ENDPOINT; docs/cluster.md says what else can be set.
live: .venv/.dev  ## the tests of a real Kubeflow Pipelines, and the table of what was seen
	PYTHONPATH=tests/live $(BIN)/python -m pytest -p live_table tests/live --live-table docs/cluster.md $(PYTEST_ARGS)

check: .venv/.dev  ## format, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev  ## put the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

compile: .venv/.run  ## the pipelines as YAML for a Kubeflow Pipelines cluster, in outputs/compiled
	$(BIN)/audiostyle compile --out outputs/compiled

docs: .venv/.dev  ## the documentation as a site, in outputs/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo outputs/site/index.html

# What else is to be had, as builds of torch for other CUDAs: deploy/lock.py --help.
lock: .venv/.dev  ## deploy/requirements.lock again, for the versions of constraints.txt
	$(BIN)/python deploy/lock.py $(LOCK_ARGS)

# A package that the service does not know is an error, so that silence is no good news.
audit: .venv/.dev  ## ask PyPI's vulnerability service about every version in the lock
	$(BIN)/uv tool run pip-audit@2.10.1 --strict --require-hashes --disable-pip \
		--requirement deploy/requirements.lock $(AUDIT_ARGS)

images:  ## the four stages as container images (needs Docker)
	deploy/build.sh

stack: .venv/.dev  ## SeaweedFS, Postgres and MLflow on this machine, with Docker or without
	$(BIN)/python deploy/stack.py up

stack-down:  ## stop them; what they hold stays in outputs/stack, or in Docker's volumes
	$(BIN)/python deploy/stack.py down

clean:  ## remove what the other targets made
	rm -rf .venv outputs tests/browser/node_modules *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	@$(PYTHON) -m venv .venv

# Installed editable, so that import paths are file paths and a pull needs no new installation.
.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv (some minutes, once; log: .venv/install.log)"
	@$(call install,'.[pipeline]')
	@# librosa compiles as it is first imported (12 s). Here, no run waits for it; and processes that
	@# import it at once would leave a mixture in numba's cache, which crashes all that call it later.
	@$(BIN)/python -c 'import librosa.core.pitch, librosa.sequence, librosa.util.utils'
	@touch $@

.venv/.dev: .venv/.run
	@$(call install,'.[dev]')
	@touch $@

# axe-core, for the accessibility test of the report page; without npm that one test skips.
tests/browser/node_modules/.installed: tests/browser/package-lock.json
	@mkdir -p $(@D)
	-@command -v npm >/dev/null && npm ci --silent --no-audit --no-fund --prefix tests/browser
	@mkdir -p $(@D) && touch $@
