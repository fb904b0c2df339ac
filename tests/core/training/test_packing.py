from __future__ import annotations

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.examples import Row, pack


def test_packing_keeps_rows_apart(tiny_model: RSMoE) -> None:
    tokenizer = tiny_model.tokenizer
    first, second = Row(None, "name", "trees", 0.5), Row(None, "describe", "a pond", 2.0)
    rows = pack(tokenizer, [[first, second], [second]])
    long = [*tokenizer.prompt_ids("name"), *tokenizer.encode("trees"), tokenizer.eos]
    short = [*tokenizer.prompt_ids("describe"), *tokenizer.encode("a pond"), tokenizer.eos]
    padding = len(long)
    assert rows.ids_BT.tolist() == [long + short, short + [tokenizer.pad] * padding]
    assert rows.row_BT.tolist() == [[0] * len(long) + [1] * len(short), [0] * len(short) + [-1] * padding]
    assert rows.offset_BT.tolist()[0] == [*range(len(long)), *range(len(short))]
    learned = [0.0] * len(tokenizer.prompt_ids("describe")) + [2.0] * (len(tokenizer.encode("a pond")) + 1)
    assert rows.weight_BT.tolist()[1] == learned + [0.0] * padding
