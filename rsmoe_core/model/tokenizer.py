"""Text ↔ token ids. A model has one byte-level BPE vocabulary of its own, shared by router, experts and fusion.

Special tokens: `<bos>` prompt `<sep>` answer `<eos>`, `<pad>`, and one marker for each expert (see `prompts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from rsmoe_core.errors import ModelError
from rsmoe_core.model.moe import marker
from rsmoe_core.strict_json import read_json

PAD, BOS, EOS, SEP = "<pad>", "<bos>", "<eos>", "<sep>"
FILE_NAME = "tokenizer.json"

_LONGEST = 2**26
"""Bytes of the file."""
# Other parts could hold patterns that take forever to match.
_PARTS = {"BPE", "ByteLevel", "Sequence", "NFKC", "Lowercase"}


class Tokenizer:
    """A vocabulary and its special tokens."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, experts: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self.experts = tuple(experts)
        special = [PAD, BOS, EOS, SEP, *map(marker, experts)]
        ids = {token: number for token in special if (number := tokenizer.token_to_id(token)) is not None}
        if missing := [token for token in special if token not in ids]:
            raise ModelError(f"{FILE_NAME}: lacks the special tokens {', '.join(missing)}; export the model again")
        self.pad, self.bos, self.eos, self.sep = ids[PAD], ids[BOS], ids[EOS], ids[SEP]

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, experts: Sequence[str]) -> Tokenizer:
        """Learn a vocabulary of at most `vocab_size` tokens from `texts`."""
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, BOS, EOS, SEP, *map(marker, experts)],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer, experts)

    @classmethod
    def load(cls, folder: Path, experts: Sequence[str], vocab_size: int | None = None) -> Tokenizer:
        """Read `tokenizer.json` of a model folder; `vocab_size` is how many tokens the model knows.

        Raises ModelError where it is missing, damaged, of another kind than `train` makes, or has other tokens.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise ModelError(f"{path}: missing; copy the whole model folder again")
        try:
            if path.stat().st_size > _LONGEST:
                raise ValueError("far too long")
            content = path.read_text(encoding="utf-8")
            _check_kind(read_json(content))
            tokenizer = tokenizers.Tokenizer.from_str(content)
            highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
            if vocab_size is not None and highest >= vocab_size:
                raise ValueError(f"a token has the number {highest}, and the model knows {vocab_size}")
            return cls(tokenizer, experts)
        except ModelError:
            raise
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # tokenizers raises bare Exception, and panics that are not even that
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{path}: damaged ({reason}); copy the model folder again") from error

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`."""
        self._tokenizer.save(str(folder / FILE_NAME))

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without `<bos>` and `<eos>`; markers of experts in it become one id each."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def prompt_ids(self, prompt: str) -> list[int]:
        """`<bos>` prompt `<sep>`: what the language model reads before it generates."""
        return [self.bos, *self.encode(prompt), self.sep]

    def decode(self, ids: Sequence[int], *, keep_markers: bool = False) -> str:
        """The text of ids up to `<eos>`, without special tokens; `keep_markers` leaves those of experts in it."""
        ids = self._until_eos(ids)
        if keep_markers:
            ids = [token for token in ids if token not in (self.pad, self.bos, self.sep)]
        return self._tokenizer.decode(ids, skip_special_tokens=not keep_markers).strip()

    def _until_eos(self, ids: Sequence[int]) -> list[int]:
        ids = list(ids)
        return ids[: ids.index(self.eos)] if self.eos in ids else ids


def _check_kind(content: Any) -> None:
    """Raise ValueError where a tokenizer has parts that `Tokenizer.train` does not give it."""
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ValueError("no tokenizer")
    parts = [content["model"], *(content.get(name) for name in ("normalizer", "pre_tokenizer", "decoder"))]
    for part in parts:
        inner = [] if not isinstance(part, dict) else part.get("normalizers", [])
        for one in (part, *(inner if isinstance(inner, list) else [inner])):
            if not isinstance(one, dict) or one.get("type") not in _PARTS:
                raise ValueError("has parts that no model of rsmoe has")
    if any(content.get(name) is not None for name in ("post_processor", "truncation", "padding")):
        raise ValueError("cuts, pads or frames texts by itself")
