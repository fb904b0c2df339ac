"""Caption metrics by pycocoevalcap, the code behind the published tables: BLEU-1..4, ROUGE-L, CIDEr, METEOR, SPICE.

Tokenisation changes every score, so it is always stated:

    simple  lower case, punctuation removed, split at spaces. On captions like RSICD's, which come tokenised, this gives
            the same words as `ptb`. Needs no Java. The default.
    ptb     the Penn Treebank tokeniser of Stanford CoreNLP, as in coco-caption. Needs Java.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.errors import UsageError

TOKENIZERS = ("simple", "ptb")


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a set of captions: of the corpus, and of each image where the metric is defined for single images."""

    corpus: dict[str, float]
    """Metric → score, 0-1 (CIDEr: 0-10)."""
    per_image: dict[str, NDArray[np.float64]]
    """Metric → one score for each image, in order."""
    tokenizer: str


def score_captions(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: str = "simple",
    meteor: bool | None = None,
    spice: bool = False,
) -> CaptionScores:
    """Score one candidate for each image against all references of the image.

    `meteor` None computes METEOR where Java exists; SPICE takes minutes and is computed only on request. CIDEr weights
    words by their rarity in these references, so its scores are comparable only over the same images.

    Raises:
        UsageError: the tokenizer is unknown, pycocoevalcap is missing, or Java or SPICE is requested but cannot run.
    """
    has_java = shutil.which("java") is not None
    check_metrics(tokenizer, needs_java=bool(meteor))
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    tokenised = _ptb if tokenizer == "ptb" else _simple
    truth, predictions = tokenised(references), tokenised([[text] for text in candidates])
    corpus: dict[str, float] = {}
    per_image: dict[str, NDArray[np.float64]] = {}
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress
        bleu, bleu_each = Bleu(4).compute_score(truth, predictions, verbose=0)
        for n in range(4):
            corpus[f"BLEU-{n + 1}"], per_image[f"BLEU-{n + 1}"] = float(bleu[n]), np.asarray(bleu_each[n])
        for name, metric in (("ROUGE-L", Rouge()), ("CIDEr", Cider())):
            score, each = metric.compute_score(truth, predictions)
            corpus[name], per_image[name] = float(score), np.asarray(each)
        if meteor or (meteor is None and has_java):
            corpus["METEOR"] = _meteor(truth, predictions)
    if spice:
        per_image["SPICE"] = spice_of_each(list(truth.values()), [text for [text] in predictions.values()])
        corpus["SPICE"] = float(per_image["SPICE"].mean())
    return CaptionScores(corpus, per_image, tokenizer)


def check_metrics(tokenizer: str, needs_java: bool = False, spice: bool = False) -> None:
    """Check, before any work is done, that `score_captions` can run with these options.

    Raises:
        UsageError: it cannot.
    """
    if tokenizer not in TOKENIZERS:
        raise UsageError(f"no tokenizer '{tokenizer}'; choose one of: {', '.join(TOKENIZERS)}")
    if (tokenizer == "ptb" or needs_java) and shutil.which("java") is None:
        raise UsageError("the PTB tokenizer and METEOR need Java; install a Java runtime or use --tokenizer simple")
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise UsageError("caption metrics need pycocoevalcap; install it with: pip install 'rsmoe[eval]'")
    if spice:
        check_spice()


def _simple(texts: Sequence[Sequence[str]]) -> dict[int, list[str]]:
    return {i: [" ".join(re.findall(r"[\w'-]+", text.lower())) for text in group] for i, group in enumerate(texts)}


def _ptb(texts: Sequence[Sequence[str]]) -> dict[int, list[str]]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    return PTBTokenizer().tokenize({i: [{"caption": text} for text in group] for i, group in enumerate(texts)})


def _meteor(truth: dict[int, list[str]], predictions: dict[int, list[str]]) -> float:
    try:
        score, _ = _meteor_program().compute_score(truth, predictions)
    except Exception:  # its process is in an unknown state
        _meteor_program.cache_clear()
        raise
    return float(score)


@lru_cache(maxsize=1)
def _meteor_program() -> Any:
    """The Java program, which takes many seconds to start; one serves all sets of captions."""
    from pycocoevalcap.meteor.meteor import Meteor

    return Meteor()


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
