"""The rows of the VAST test server: one state after the other, and how rows are found in it."""

from typing import Final

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers.vast.rows import ROW_NUMBER, Rows

TYPES: Final = {0: pa.int64(), 1: pa.string()}
STEPS: Final = st.lists(
    st.tuples(st.sampled_from(["insert", "update", "delete"]), st.sets(st.integers(0, 40))),
    min_size=20,
    max_size=60,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_rows_are_those_of_a_plain_dictionary(steps: list[tuple[str, set[int]]]) -> None:
    rows, model, following = Rows(), {}, 0
    for number, (step, chosen) in enumerate(steps):
        if step == "insert":
            ids = np.arange(following, following + len(chosen), dtype=np.uint64)
            following += len(chosen)
        else:
            ids = np.array(sorted(chosen), np.uint64)
        values = {0: pa.array([number] * len(ids)), 1: pa.array([f"t{number}"] * len(ids))}
        if step == "insert" and len(ids):
            rows = rows.insert(ids, values, TYPES)
            model |= dict.fromkeys(ids.tolist(), (number, f"t{number}"))
        elif step == "update":
            rows = rows.update(ids, {0: values[0]}, TYPES)
            model |= {one: (number, model[one][1]) for one in chosen & model.keys()}
        else:
            rows = rows.delete(ids)
            model = {one: value for one, value in model.items() if one not in chosen}
    found = {}
    for part in rows.parts:
        alive = np.ones(len(part.block.ids), bool) if part.alive is None else part.alive
        columns = [part.block.columns[n].filter(pa.array(alive)).to_pylist() for n in TYPES]
        found.update(zip(part.block.ids[alive].tolist(), zip(*columns, strict=True), strict=True))
    assert model == found
    assert len(model) == rows.count
    assert len(rows.parts) <= 9


def test_an_index_finds_what_a_scan_finds() -> None:
    count = 10_000
    numbers = np.arange(count) * 7919 % count
    texts = [None if n % 10 == 0 else f"{n:05}" for n in numbers.tolist()]
    columns = {0: pa.array(numbers), 1: pa.array(texts)}
    (part,) = Rows().insert(np.arange(count, dtype=np.uint64), columns, TYPES).parts
    wanted = {0: (100, 199), 1: (b"00150", b"00160")}
    found = [part.candidates(wanted, 0) for _ in range(10)]
    assert found[0] is None
    assert [n for n in range(count) if (texts[n] or "") and 150 <= numbers[n] <= 160] == (
        found[-1].tolist()
    )
    assert [5, 6, 7] == part.candidates({ROW_NUMBER: (5, 7)}, 0).tolist()
    assert [] == part.candidates({0: (count, None)}, 0).tolist()
    assert [] == part.candidates({}, count).tolist()
