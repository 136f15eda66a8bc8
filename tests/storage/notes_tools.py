"""What the tests of notes and of their log share: some notes, and any."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from multilogger.notes import (
    CoverageNote,
    CoverageState,
    LossNote,
    Note,
    RetentionNote,
    SealNote,
    offline_note,
)

INTEGERS = st.integers(-(2**63), 2**63 - 1)
NOTES: st.SearchStrategy[list[Note]] = st.lists(
    st.one_of(
        st.builds(CoverageNote, start_ns=INTEGERS, end_ns=st.none() | INTEGERS),
        st.builds(
            SealNote,
            day=INTEGERS,
            generation=INTEGERS,
            rows=INTEGERS,
            late_rows=INTEGERS,
            duplicates=INTEGERS,
            sealed_ns=INTEGERS,
        ),
        st.builds(RetentionNote, day=INTEGERS, bytes=INTEGERS, removed_ns=INTEGERS),
        st.builds(LossNote, day=INTEGERS, first_row=INTEGERS, rows=INTEGERS),
    ),
    max_size=8,
)
# None ends with a zero: a record of which only that is gone would be whole again when zeros are filled in.
SOME: Sequence[Note] = (
    offline_note("coinbase", 10, 20),
    CoverageNote("coinbase", "BTC-USD", "MD", CoverageState.LIVE, "", 20, None),
    SealNote("coinbase", "BTC-USD", "MD", 20_300, 1, 1000, 3, 1, 2**60 + 1),
    LossNote("binance", "BTCUSDT", "TRADES", 20_300, 256, 2**32, "journal damaged"),
    RetentionNote("binance", "BTCUSDT", "TRADES", 20_000, 0, 1),
)
