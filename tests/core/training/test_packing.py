from __future__ import annotations

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.examples import Row, pack


def test_packing_keeps_rows_apart(tiny_model: RSMoE) -> None:
    codec = tiny_model.codec
    first, second = Row(None, "name", "trees", 0.5), Row(None, "describe", "a pond", 2.0)
    rows = pack(codec, [[first, second], [second]])
    long = [*codec.prompt_ids("name"), *codec.encode("trees"), codec.eos]
    short = [*codec.prompt_ids("describe"), *codec.encode("a pond"), codec.eos]
    padding = len(long)
    assert rows.ids_BT.tolist() == [long + short, short + [codec.pad] * padding]
    assert rows.row_BT.tolist() == [[0] * len(long) + [1] * len(short), [0] * len(short) + [-1] * padding]
    assert rows.offset_BT.tolist()[0] == [*range(len(long)), *range(len(short))]
    learned = [0.0] * len(codec.prompt_ids("describe")) + [2.0] * (len(codec.encode("a pond")) + 1)
    assert rows.weight_BT.tolist()[1] == learned + [0.0] * padding
