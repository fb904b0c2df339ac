# make demo   installs, renders the example scene, captions it and shows what was written
# make test   installs and runs every test
# make check  lints and checks types
# make soak   long runs, runs that are killed, and 2,000 damaged inputs; make test has a small part of each

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install demo test soak check clean

install: $(VENV)/.installed

# The marker is newer than what it was made from, so a second run starts at once.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[eval,train,parquet,dev]'
	touch $@

demo: install
	$(BIN)/python examples/coastal_town.py demo
	$(BIN)/rsmoe caption demo/coastal_town.tif -o demo/coastal_town.gpkg --overwrite
	$(BIN)/python examples/show_captions.py demo/coastal_town.gpkg

# A process for each core; more threads than one in each would wait for each other.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

soak: install
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.fuzz --mutants 1000

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
