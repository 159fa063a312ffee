# Everything runs in a virtual environment of its own: make demo PYTHON=python3.12 VENV=/tmp/env
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test lint docs results bench gpu wheel clean

help:
	@echo "make demo    install, train on handwritten digits, and write a report with figures"
	@echo "make test    run all tests (ARGS='-k pruning' for some)"
	@echo "make lint    check style and types"
	@echo "make docs    build the documentation in docs/_build/html"
	@echo "make results list the commands behind every table of docs/results (PAGE=digits for one page)"
	@echo "make bench   measure milliseconds an image"
	@echo "make gpu     all that a GPU is wanted for, in nine minutes; without one in the emulator (WHEELS=folder: no internet)"
	@echo "make wheel   build the wheel, install it in an empty environment, and train from an empty folder"
	@echo "make clean   remove what these make (runs/ stays)"

demo: $(VENV)/.installed
	$(BIN)/hrsnn run mnist_stdp --quick

test: $(VENV)/.installed-dev
	HRSNN_CACHE="$${HRSNN_CACHE:-$(CURDIR)/.cache}" $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy hrsnn

docs: $(VENV)/.installed-dev
	$(BIN)/python -W ignore -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

results:
	@$(PYTHON) docs/tables.py $(PAGE)

bench: $(VENV)/.installed
	$(BIN)/hrsnn run speed $(ARGS)

# Python 3.12 is what brian2cuda needs. WHEELS is a folder that `pip download` has filled.
gpu: PYTHON := python3.12
gpu: OFFLINE := $(if $(WHEELS),--no-index --find-links $(WHEELS))
gpu:
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check $(OFFLINE) -e ".[cuda]" pytest hypothesis
	.venv-gpu/bin/python tests/gpu.py $(ARGS)

wheel:
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel/env
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	build/wheel/env/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/hrsnn-*.whl
	mkdir build/wheel/empty && cd build/wheel/empty && env -u PYTHONPATH ../env/bin/hrsnn run mnist_stdp --quick

clean:
	rm -f docs/gallery/*.md docs/gallery/*.png
	rm -rf .venv .venv-gpu .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build docs/_build hrsnn.egg-info

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e ".[dev]"
	@touch $@
