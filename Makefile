# make demo   installs, renders the example scene, captions it and draws some of the captions
# make test   installs and runs every test
# make check  lints and checks types
# make card   the figures of nano's model card, from the folders rsicd, airport, ships, trees and ucm in DATA and the scenes
#             of ports in SCENES; a quarter of an hour
# make soak   long runs, runs that are killed, and 2,000 damaged inputs; make test has a small part of each

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install demo test card soak check clean

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
	$(BIN)/python examples/draw_captions.py demo/coastal_town.tif demo/coastal_town.gpkg demo/coastal_town.png

# A process for each core; more threads than one in each would wait for each other.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The card compares with earlier revisions of nano, which are in the history.
card: install
	rm -rf card && mkdir card
	$(BIN)/rsmoe data prepare boxes $(DATA)/trees --scenes benchmarks/naip_places.csv -o card/naip
	$(BIN)/rsmoe data prepare ports $(SCENES) -o card/ports --leave-out busan --leave-out honolulu --scenes benchmarks/port_places.json
	$(BIN)/rsmoe evaluate --data $(DATA)/rsicd --split test --ablate
	$(BIN)/python -m benchmarks.neighbours $(DATA)/rsicd --split test --cache card/features
	$(BIN)/rsmoe evaluate --data $(DATA)/ucm --split test --scenes
	$(call earlier,02ace7b,--data $(DATA)/ucm --split test)
	$(BIN)/rsmoe evaluate --data card/naip --split test --scenes
	$(call earlier,714c360,--data card/naip --split test)
	$(call earlier,49b12b2,--data card/naip --split test)
	$(call earlier,577d30c,--data card/naip --split test)
	$(BIN)/rsmoe evaluate --data card/ports --split val --scenes
	$(call earlier,49b12b2,--data card/ports --split val)
	$(call earlier,577d30c,--data card/ports --split val)
	$(BIN)/python benchmarks/answers.py $(DATA)/airport $(DATA)/ships $(DATA)/trees $(DATA)/ucm --split val

earlier = mkdir -p card/$(1) && git archive $(1) rsmoe_core/models/nano | tar x -C card/$(1) && \
	$(BIN)/rsmoe evaluate $(2) --scenes --model card/$(1)/rsmoe_core/models/nano

soak: install
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.fuzz --mutants 1000

clean:
	rm -rf $(VENV) demo card .pytest_cache .mypy_cache .ruff_cache
