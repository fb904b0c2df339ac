"""Text ↔ token ids. A model has one byte-level BPE vocabulary of its own, shared by router, experts and fusion.

Boxes: `<bos>` prompt `<sep>` answer `<eos>`, and one mark for each expert, which heads that expert's part wherever the
parts of several experts stand in one text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from rsmoe_core.checkpoint.validation import read_json
from rsmoe_core.errors import ModelError

PAD, BOS, EOS, SEP = "<pad>", "<bos>", "<eos>", "<sep>"
FILE_NAME = "tokenizer.json"

_LONGEST = 2**26
"""Bytes of the file."""
# Others could hold patterns that take for ever to match.
_PARTS = {"BPE", "ByteLevel", "Sequence", "NFKC", "Lowercase"}


def mark(expert: str) -> str:
    """The mark that heads the part of `expert`."""
    return f"<{expert}>"


class Tokenizer:
    """A vocabulary and the marks in it."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, experts: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self.experts = tuple(experts)
        marks = [PAD, BOS, EOS, SEP, *map(mark, experts)]
        ids = {m: number for m in marks if (number := tokenizer.token_to_id(m)) is not None}
        if missing := [m for m in marks if m not in ids]:
            raise ModelError(f"{FILE_NAME}: lacks the marks {', '.join(missing)}; export the model again")
        self.pad, self.bos, self.eos, self.sep = ids[PAD], ids[BOS], ids[EOS], ids[SEP]
        self._owner = {ids[mark(name)]: name for name in experts}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, experts: Sequence[str]) -> Tokenizer:
        """Learn a vocabulary of at most `vocab_size` tokens from `texts`."""
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, BOS, EOS, SEP, *map(mark, experts)],
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
        """Ids of a text, without `<bos>` and `<eos>`; marks of experts in it become one id each."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def prompt_ids(self, prompt: str) -> list[int]:
        """`<bos>` prompt `<sep>`: what the language model reads before it writes."""
        return [self.bos, *self.encode(prompt), self.sep]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids up to `<eos>`, without marks."""
        return self._tokenizer.decode(self._until_eos(ids), skip_special_tokens=True).strip()

    def join_parts(self, parts: Mapping[str, str]) -> str:
        """One text of the parts of several experts, each headed by its mark, in the experts' order."""
        return " ".join(f"{mark(name)} {parts[name]}" for name in self.experts if name in parts)

    def split_parts(self, ids: Sequence[int]) -> dict[str, str]:
        """The inverse of `join_parts`, from ids; parts that are not there, or are empty, are left out."""
        parts: dict[str, list[int]] = {}
        current: list[int] = []
        for token in self._until_eos(ids):
            if token in self._owner:
                current = parts.setdefault(self._owner[token], [])
            else:
                current.append(token)
        texts = {name: self.decode(part) for name, part in parts.items()}
        return {name: text for name, text in texts.items() if text}

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
