"""Ships on whole ports: leaves out one port after the other from the training of the detectors.

    python benchmarks/leave_one_port_out.py PORTS -o RUN --from RUN/stage2 --data AIRPORT --data SHIPS ...

PORTS holds `NAME.tif` with `NAME.vessels.json`; the other data must not hold them. Phase `near` of stage `count` is
run once, without any port, then `far` for each port without that port, and ships are looked for on the whole of it.
What heat means a ship is settled for each port on the six others, as they were found when each of them was left out.
Counters that the model has are not used. A run that was broken off goes on where it stopped. Writes RUN/ports.json, and
prints a Markdown table.

`--calibrate MODEL` writes what heat means a ship, settled on all ports, into the configuration of a model whose counter
learned from all of them: on a port that it knows it would be too sure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from rsmoe_cli.prepare.ports import prepare_ports
from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.checkpoint.validation import CONFIG, load_config
from rsmoe_core.config import DetectionConfig
from rsmoe_core.data.base import read_image
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.files import write_whole
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.metrics.counting import Calibration, ImageDetections, fit_calibration
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.run_folder import save_whole
from rsmoe_core.training.stages import STAGES, Stage
from rsmoe_core.types import Request

SIGHT = "distant ship"
_RESAMPLES = 10_000
_HOLDOUT = 0.003
"""A handful of other pictures: with more, a second port would be kept from training; there is nothing to choose."""


def main() -> None:
    """Train, search and print."""
    arguments = _arguments()
    names = sorted(path.name.removesuffix(".vessels.json") for path in arguments.ports.glob("*.vessels.json"))
    near = _near(arguments)
    searched = {name: _searched(arguments, near, name) for name in names}
    fits = {name: fit_calibration([own for other, own in searched.items() if other != name]) for name in names}
    (arguments.out / "ports.json").write_text(json.dumps(_figures(searched, fits), indent=2) + "\n")
    print(table(searched, fits))
    if arguments.calibrate is not None:
        _calibrate(arguments.calibrate, fit_calibration(list(searched.values())))


def _calibrate(folder: Path, fit: Calibration) -> None:
    config = load_config(folder)
    counting = config.detection.calibrated(SIGHT, fit.threshold, fit.slope, fit.log_count_std)
    changed = dataclasses.replace(config, detection=counting)
    write_whole(folder / CONFIG, json.dumps(changed.to_dict(), indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ports", type=Path, metavar="PORTS")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--from", dest="start", type=Path, required=True, help="model folder after stage 2")
    parser.add_argument("--data", type=Path, action="append", default=[], help="other boxed pictures to learn from")
    parser.add_argument("--calibrate", type=Path, help="model folder whose configuration is to be changed")
    return parser.parse_args()


def _near(arguments: argparse.Namespace) -> Path:
    """The model with a counter of aerial pictures, and none of satellite scenes."""
    start = arguments.out / "start"
    if not start.is_dir():
        model = load_model(arguments.start)
        model.detectors, model.config = nn.ModuleDict(), dataclasses.replace(model.config, detection=DetectionConfig())
        save_whole(model, start)
    return run_stage(_only("near"), TrainConfig(data=tuple(arguments.data), out=arguments.out), start=start)


def _only(phase: str) -> Stage:
    """Stage `count` with one of its phases."""
    stage = STAGES["count"]
    return dataclasses.replace(stage, name=phase, phases=tuple(p for p in stage.phases if p.name == phase))


def _searched(arguments: argparse.Namespace, near: Path, name: str) -> ImageDetections:
    """What is found on a port by a counter that did not learn from it."""
    pictures, run = arguments.out / f"pictures-{name}", arguments.out / f"without-{name}"
    record = run / "searched.json"
    if not record.is_file():
        if not pictures.is_dir():
            prepare_ports(arguments.ports, pictures, leave_out=(name,))
        recipe = TrainConfig(data=(pictures, *arguments.data), out=run, holdout=_HOLDOUT)
        folder = run_stage(_only("far"), recipe, start=near)
        record.write_text(json.dumps(dataclasses.asdict(_search(folder, pictures))) + "\n")
    known = json.loads(record.read_text())
    return ImageDetections(tuple(map(tuple, known["peaks"])), tuple(map(tuple, known["boxes"])))


def _search(folder: Path, pictures: Path) -> ImageDetections:
    model = load_model(folder)
    detectors = Detectors(model.detectors, model.config.detection, "cpu")
    (port,) = read_dataset(pictures).boxed("val")
    assert port.boxes is not None
    request = Request(read_image(port.image), metres_per_pixel=port.metres_per_pixel)
    return ImageDetections(detectors.peaks(request, SIGHT), port.boxes.cxcywh)


def _count(searched: ImageDetections, fit: Calibration) -> int:
    return sum(heat >= fit.threshold for _, _, heat in searched.peaks)


def _figures(searched: Mapping[str, ImageDetections], fits: Mapping[str, Calibration]) -> dict[str, object]:
    ports = {
        name: {"ships": len(own.boxes), "found": _count(own, fits[name]), "threshold": fits[name].threshold}
        for name, own in searched.items()
    }
    return {"ports": ports, "every": dataclasses.asdict(fit_calibration(list(searched.values())))}


def table(searched: Mapping[str, ImageDetections], fits: Mapping[str, Calibration]) -> str:
    """What was found on each port, and the error over all beside that of the usual number."""
    there = np.array([len(own.boxes) for own in searched.values()])
    found = np.array([_count(own, fits[name]) for name, own in searched.items()])
    usual = np.array([np.median(np.delete(there, place)) for place in range(len(there))])
    rows = [
        f"| {name} | {ships} | {count} | {abs(count - ships) / ships:.2f} |"
        for name, ships, count in zip(searched, there, found, strict=True)
    ]
    errors, guesses = np.abs(found - there) / there, np.abs(usual - there) / there
    rng = np.random.default_rng(0)
    means = errors[rng.integers(len(errors), size=(_RESAMPLES, len(errors)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return "\n".join(
        [
            "| port | ships | found | error |",
            "|---|---|---|---|",
            *rows,
            f"| **MAPE** | | | **{errors.mean():.2f}** ({low:.2f} - {high:.2f}) |",
            f"| always the median of the other ports | | | {guesses.mean():.2f} |",
        ]
    )


if __name__ == "__main__":
    main()
