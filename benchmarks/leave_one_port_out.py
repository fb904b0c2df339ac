"""Counts of ships on whole ports, each by a detector that was trained without that port.

    python -m benchmarks.leave_one_port_out PORTS -o RUN --from RUN/stage2 --data AIRPORT --data SHIPS ...

PORTS holds `NAME.tif` with `NAME.vessels.json`; the other data must not contain the ports. Phase `near` of stage
`detect` is run once, without any port. Then phase `far` is run once for each port, without that port, and the detector
is applied to the whole port. Its calibration comes from the results on the other ports. Detectors that the model has
already are not used. An interrupted run is resumed. Writes RUN/ports.json and prints a Markdown table.

`--calibrate MODEL` writes the calibration from the results on all ports into the configuration of a model whose
detector was trained on all of them, since its scores on ports that it was trained on are too high.
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
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.metrics.counting import Calibration, ImageDetections, fit_calibration
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.run_folder import save_model_atomically, write_text_atomically
from rsmoe_core.training.stages import find_stage
from rsmoe_core.types import Request

DETECTOR_CLASS = "distant ship"
_RESAMPLES = 10_000
_VALIDATION_SPLIT = 0.003
"""A handful of other images. A larger share would hold out a second port, and there is no epoch to choose."""


def main() -> None:
    """Train, detect and print."""
    arguments = _arguments()
    names = sorted(path.name.removesuffix(".vessels.json") for path in arguments.ports.glob("*.vessels.json"))
    near = _train_near(arguments)
    detections = {name: _detections(arguments, near, name) for name in names}
    calibrations = {
        name: fit_calibration([own for other, own in detections.items() if other != name]) for name in names
    }
    (arguments.out / "ports.json").write_text(json.dumps(_figures(detections, calibrations), indent=2) + "\n")
    print(table(detections, calibrations))
    if arguments.calibrate is not None:
        _write_calibration(arguments.calibrate, fit_calibration(list(detections.values())))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ports", type=Path, metavar="PORTS")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--from", dest="start", type=Path, required=True, help="model folder after stage 2")
    parser.add_argument("--data", type=Path, action="append", default=[], help="other images with boxes to learn from")
    parser.add_argument("--calibrate", type=Path, help="model folder whose configuration is to be changed")
    return parser.parse_args()


def _train_near(arguments: argparse.Namespace) -> Path:
    """The model folder with a detector for aerial images, and none for satellite scenes."""
    start = arguments.out / "start"
    if not start.is_dir():
        model = load_model(arguments.start)
        model.detectors, model.config = nn.ModuleDict(), dataclasses.replace(model.config, detection=DetectionConfig())
        save_model_atomically(NativeTrainee(model), start)
    return run_stage(_only("near"), TrainConfig(data=tuple(arguments.data), out=arguments.out), start=start)


def _only(phase: str) -> Stage:
    """Stage `detect` with one of its phases, and named after it."""
    stage = find_stage("detect")
    return dataclasses.replace(stage, name=phase, phases=tuple(p for p in stage.phases if p.name == phase))


def _detections(arguments: argparse.Namespace, near: Path, name: str) -> ImageDetections:
    """What a detector that was trained without a port finds on it."""
    images, run = arguments.out / f"images-{name}", arguments.out / f"without-{name}"
    record = run / "detections.json"
    if not record.is_file():
        if not images.is_dir():
            prepare_ports(arguments.ports, images, leave_out=(name,))
        config = TrainConfig(data=(images, *arguments.data), out=run, validation_split=_VALIDATION_SPLIT)
        folder = run_stage(_only("far"), config, start=near)
        record.write_text(json.dumps(dataclasses.asdict(_detect(folder, images))) + "\n")
    stored = json.loads(record.read_text())
    return ImageDetections(tuple(map(tuple, stored["peaks"])), tuple(map(tuple, stored["boxes"])))


def _detect(folder: Path, images: Path) -> ImageDetections:
    model = load_model(folder)
    detectors = Detectors(model.detectors, model.config.detection, "cpu")
    (port,) = read_dataset(images).boxed("val")
    assert port.boxes is not None
    request = Request(read_image(port.image), metres_per_pixel=port.metres_per_pixel)
    return ImageDetections(detectors.peaks(request, DETECTOR_CLASS), port.boxes.cxcywh)


def _count(port: ImageDetections, calibration: Calibration) -> int:
    return sum(score >= calibration.threshold for _, _, score in port.peaks)


def _figures(detections: Mapping[str, ImageDetections], calibrations: Mapping[str, Calibration]) -> dict[str, object]:
    ports = {
        name: {
            "ships": len(own.boxes),
            "found": _count(own, calibrations[name]),
            "threshold": calibrations[name].threshold,
        }
        for name, own in detections.items()
    }
    return {"ports": ports, "all": dataclasses.asdict(fit_calibration(list(detections.values())))}


def table(detections: Mapping[str, ImageDetections], calibrations: Mapping[str, Calibration]) -> str:
    """The count on each port, and the error over all ports beside that of a constant guess."""
    true = np.array([len(own.boxes) for own in detections.values()])
    found = np.array([_count(own, calibrations[name]) for name, own in detections.items()])
    medians = np.array([np.median(np.delete(true, port)) for port in range(len(true))])
    rows = [
        f"| {name} | {ships} | {count} | {abs(count - ships) / ships:.2f} |"
        for name, ships, count in zip(detections, true, found, strict=True)
    ]
    errors, baseline = np.abs(found - true) / true, np.abs(medians - true) / true
    rng = np.random.default_rng(0)
    means = errors[rng.integers(len(errors), size=(_RESAMPLES, len(errors)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return "\n".join(
        [
            "| port | ships | found | error |",
            "|---|---|---|---|",
            *rows,
            f"| **MAPE** | | | **{errors.mean():.2f}** ({low:.2f} - {high:.2f}) |",
            f"| always the median of the other ports | | | {baseline.mean():.2f} |",
        ]
    )


def _write_calibration(folder: Path, calibration: Calibration) -> None:
    config = load_config(folder)
    detection = config.detection.calibrated(
        DETECTOR_CLASS, calibration.threshold, calibration.slope, calibration.log_count_std
    )
    changed = dataclasses.replace(config, detection=detection)
    write_text_atomically(folder / CONFIG, json.dumps(changed.to_dict(), indent=2) + "\n")


if __name__ == "__main__":
    main()
