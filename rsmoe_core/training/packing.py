"""Rows of text → token ids of a batch, packed so that an image's rows stand behind one reading of its vision tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rsmoe_core.model.language import PackedRows
from rsmoe_core.tokenizer import TextCodec
from rsmoe_core.training.lessons import Row

IdRow = tuple[Sequence[int], Sequence[int], float]
"""Ids of a prompt, ids of its answer with `<eos>`, and the row's weight."""


def pack(codec: TextCodec, rows: Sequence[Sequence[Row]]) -> PackedRows:
    """Token ids of every row of every image; see PackedRows."""
    ids = [
        [(codec.prompt_ids(row.prompt), [*codec.encode(row.answer), codec.eos], row.weight) for row in own]
        for own in rows
    ]
    return pack_ids(ids, codec.pad)


def pack_ids(rows: Sequence[Sequence[IdRow]], pad: int) -> PackedRows:
    """The same for rows that are ids already."""
    ids, numbers, offsets, weights = [], [], [], []
    for own in rows:
        lengths = [len(prompt) + len(answer) for prompt, answer, _ in own]
        ids.append([token for prompt, answer, _ in own for token in (*prompt, *answer)])
        numbers.append([number for number, length in enumerate(lengths) for _ in range(length)])
        offsets.append([place for length in lengths for place in range(length)])
        weights.append(
            [w for prompt, answer, weight in own for w in [0.0] * len(prompt) + [float(weight)] * len(answer)]
        )
    return PackedRows(
        ids_BT=_padded(ids, pad),
        row_BT=_padded(numbers, -1),
        offset_BT=_padded(offsets, 0),
        weight_BT=_padded(weights, 0.0),
    )


def _padded(lists: Sequence[Sequence[float]], value: float) -> Tensor:
    return pad_sequence([torch.tensor(values) for values in lists], batch_first=True, padding_value=value)
