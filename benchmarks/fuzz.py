"""Fuzzing: damages rasters, model folders and data sets in thousands of ways, and counts the outcomes.

Besides, it makes valid inputs whose right result is known: undeclared fill, encodings of colours, GeoPackages of other
programs.

    python -m benchmarks.fuzz [SCENE ...] [--mutants 1200] [--seed 0] [--keep FOLDER]

An input may be accepted, accepted in part (some tiles fail, some rows are left out) or refused with one line. It must
not crash the program, block it, fill the memory, end in a traceback, leave a partial output or give a wrong result.
Prints figures and faults as JSON; the exit code is 1 if there are faults. SCENEs are real rasters to be damaged besides
the generated ones. Inputs with faults are saved with --keep. The same seed makes the same inputs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.fuzzing import encodings, fills, geopackages, seeds
from benchmarks.fuzzing.mutants import mutant, rename, value_mutant
from benchmarks.fuzzing.verdicts import FINE, WRONG
from benchmarks.fuzzing.watch import outcomes

SHARES = {
    "scene": 1.0,
    "caption": 0.2,
    "model": 0.3,
    "data": 0.5,
    "fill": 0.4,
    "encoding": 0.4,
    "geopackage": 0.15,
}
"""Target → number of its mutants, relative to that of rasters."""
_BATCH = 50
"""Mutants that are on disk at a time."""

Mutants = Iterator[tuple[str, Path]]
"""Name of the seed, and the mutant to give to the target."""


def main() -> int:
    """Damage, run, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, nargs="*", metavar="SCENE")
    parser.add_argument(
        "--mutants", type=int, default=1200, help="number of damaged rasters; other targets get a share of it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, dict[str, int]] = {}
    faults: list[str] = []
    started = time.monotonic()
    for target, share in SHARES.items():
        number = max(1, round(arguments.mutants * share))
        counts, wrong = fuzz(target, number, arguments.seed, arguments.scenes, arguments.keep)
        figures[target] = {"mutants": counts.total(), **{what: counts[what] for what in (*FINE, *WRONG)}}
        faults += wrong
    summary = {
        "seed": arguments.seed,
        "mutants": sum(counted["mutants"] for counted in figures.values()),
        "seconds": round(time.monotonic() - started),
        "faults": len(faults),
    }
    print(json.dumps({**summary, "targets": figures, "wrong": faults}, indent=2))
    return 1 if faults else 0


def fuzz(
    target: str, number: int, seed: int, scenes: list[Path], keep: Path | None = None
) -> tuple[Counter[str], list[str]]:
    """Outcome → number of mutants, and a line for each fault."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        made = itertools.islice(_MAKERS[target](Path(folder), scenes, random.Random(f"{target} {seed}")), number)
        while batch := list(itertools.islice(made, _BATCH)):
            for (name, _), (path, (what, why)) in zip(
                batch, outcomes(target, [path for _, path in batch]), strict=True
            ):
                counts[what] += 1
                if what not in FINE:
                    wrong.append(f"{target}, {name}, {path.name}: {what}: {why}")
                    _keep(path, keep, target)
            print(f"{target}: {counts.total()} of {number}: {dict(counts)}", file=sys.stderr)
    return counts, wrong


def _keep(path: Path, keep: Path | None, target: str) -> None:
    if keep is not None:
        folder = keep / target
        folder.mkdir(parents=True, exist_ok=True)
        mutant_path = next((parent for parent in path.parents if parent.name == "model"), path)
        if mutant_path.is_dir():
            name = mutant_path.parent.name if mutant_path.name == "model" else mutant_path.name
            with suppress(shutil.Error):  # pipes cannot be copied
                shutil.copytree(mutant_path, folder / name, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(path, folder)


def _scenes(folder: Path, scenes: list[Path], chance: random.Random) -> Mutants:
    """One damaged raster after the other, beside the raster to which the VRT refers."""
    undamaged = folder / "undamaged"
    undamaged.mkdir()
    originals = [*seeds.rasters(undamaged), *scenes]
    shutil.copy(originals[0], folder)
    for number, original in enumerate(itertools.cycle(originals)):
        path = folder / f"{number:05d}{original.suffix}"
        path.write_bytes(mutant(original.read_bytes(), chance))
        yield original.name, path
        (folder / f"{number - 2 * _BATCH:05d}{original.suffix}").unlink(missing_ok=True)


def _models(folder: Path, _: list[Path], chance: random.Random) -> Mutants:
    """A model folder with one damaged file."""
    undamaged = folder / "undamaged"
    files = [path.relative_to(undamaged) for path in seeds.model(undamaged)]
    for number, file in enumerate(itertools.cycle(files)):
        copy = folder / f"{number:05d}" / "model"
        shutil.copytree(undamaged, copy)
        content = (undamaged / file).read_bytes()
        if file.suffix == ".json" and chance.random() < 0.6:
            changed = json.dumps(value_mutant(json.loads(content), chance)).encode()
        else:
            changed = mutant(content, chance)
        (copy / file).write_bytes(changed)
        yield str(file), copy / file


def _datasets(folder: Path, _: list[Path], chance: random.Random) -> Mutants:
    """A data set with wrong values in its annotations, or with damaged files."""
    for number, name in enumerate(itertools.cycle(seeds.FORMATS)):
        copy = folder / f"{number:05d}-{name}"
        seeds.dataset(copy, name, lambda value: value_mutant(value, chance) if chance.random() < 0.7 else value)
        for path in sorted(path for path in copy.rglob("*") if path.is_file()):
            if chance.random() < 0.2:
                path.write_bytes(mutant(path.read_bytes(), chance))
        if name == seeds.FOLDERS:
            rename(copy, chance)
        yield name, copy


def _generated(make: Callable[[Path, random.Random], str]) -> Callable[[Path, list[Path], random.Random], Mutants]:
    """Inputs that are made at random, instead of damaged."""

    def inputs(folder: Path, _: list[Path], chance: random.Random) -> Mutants:
        for number in itertools.count():
            yield make(folder / f"{number:05d}", chance), folder / f"{number:05d}"
            shutil.rmtree(folder / f"{number - 2 * _BATCH:05d}", ignore_errors=True)

    return inputs


_MAKERS: dict[str, Callable[[Path, list[Path], random.Random], Mutants]] = {
    "scene": _scenes,
    "caption": _scenes,
    "model": _models,
    "data": _datasets,
    "fill": _generated(fills.make),
    "encoding": _generated(encodings.make),
    "geopackage": _generated(geopackages.make),
}


if __name__ == "__main__":
    sys.exit(main())
