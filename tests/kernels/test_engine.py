"""Records of instructions before the first cycle, against what each word means."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.kernels import engine
from accelsim.kernels import engine_records as record

UNITS = 3
FIRST, FORMS, MOVED = 1000, 200, 600


@given(st.lists(st.tuples(st.integers(0, UNITS - 1), st.integers(0, 5), st.integers(0, 2**31 - 1)), max_size=20))
def test_records_name_forms_transfers_values_and_the_next_of_a_unit(given_: list[tuple[int, int, int]]) -> None:
    unit, form = (np.array([each[k] for each in given_], t) for k, t in ((0, np.int8), (1, np.int32)))
    value = np.array([(each[2], k, 0, each[2] // 2) for k, each in enumerate(given_)], np.int32).reshape(-1, 4)
    records = np.full((len(unit), record.INSTRUCTION_WORDS), 77, np.int64)
    head, transfers = np.empty(UNITS, np.int64), np.array([True, False, True])
    engine.put(records, FIRST, unit, form, FORMS, value, transfers, MOVED, head)
    place = FIRST + record.INSTRUCTION_WORDS * np.arange(len(unit))
    for u in range(UNITS):
        own = np.flatnonzero(unit == u)
        assert [head[u], *records[own, record.NEXT]] == [*place[own], -1]
    assert records[:, record.FORM].tolist() == [FORMS + record.FORM_WORDS * each for each in form.tolist()]
    moved = [i for i, u in enumerate(unit) if transfers[u]]
    assert records[moved, record.MOVED].tolist() == [MOVED + record.MOVED_WORDS * k for k in range(len(moved))]
    words = np.ascontiguousarray(records[:, record.VALUE : record.VALUE + 2]).view("<i4")  # the low half first
    np.testing.assert_array_equal(words, value)
    assert (records[:, record.ISSUE] == -1).all()
    assert (records[:, record.START : record.END + 1] == 0).all()
