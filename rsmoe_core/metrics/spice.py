"""SPICE (Anderson et al. 2016, arXiv 1607.08822): compares the objects, attributes and relations that captions name.

Runs the Java program that pycocoevalcap contains. It needs two files of Stanford CoreNLP 3.6.0, which pycocoevalcap
would download on first use; here nothing is downloaded implicitly, and missing files are an error.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.errors import UsageError

_PROGRAM = "spice-1.0.jar"
_PARSER = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
_ARCHIVE = "stanford-corenlp-full-2015-12-09.zip from nlp.stanford.edu/software"


def check_spice() -> None:
    """Check that SPICE can run here, by scoring one caption, before any work is done.

    Raises:
        UsageError: Java or a file of CoreNLP is missing, or the program fails.
    """
    if shutil.which("java") is None:
        raise UsageError("SPICE needs Java; install a Java runtime or leave out --spice")
    library = _folder() / "lib"
    if missing := [name for name in _PARSER if not (library / name).is_file()]:
        raise UsageError(f"SPICE needs {missing[0]}; put it into {library} (of {_ARCHIVE}), or leave out --spice")
    spice_of_each([["a pond is near a road"]], ["a pond is near a road"])


def spice_of_each(references: Sequence[Sequence[str]], captions: Sequence[str]) -> NDArray[np.float64]:
    """SPICE of each caption against the references of its image, 0-1.

    Raises:
        UsageError: the program fails.
    """
    with TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.json", Path(folder) / "outputs.json"
        rows = [
            {"image_id": i, "test": text, "refs": list(group)}
            for i, (text, group) in enumerate(zip(captions, references, strict=True))
        ]
        inputs.write_text(json.dumps(rows), encoding="utf-8")
        command = ["java", "-Xmx8G", "-jar", _PROGRAM, str(inputs), "-out", str(outputs), "-subset", "-silent"]
        done = subprocess.run(command, cwd=_folder(), capture_output=True, text=True)
        if done.returncode != 0 or not outputs.is_file():
            reason = (done.stderr.strip().splitlines() or ["no message"])[0]
            raise UsageError(f"SPICE does not run with this Java ({reason}); leave out --spice")
        results = {row["image_id"]: row["scores"]["All"]["f"] for row in json.loads(outputs.read_text("utf-8"))}
    return np.array([float(results[i]) for i in range(len(captions))])


def _folder() -> Path:
    found = importlib.util.find_spec("pycocoevalcap.spice")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent
