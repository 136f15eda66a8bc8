"""Merged trades are on disk as they were sent, or as exactly their fills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from simulator_files import DAY, NANOS, write_day

from multilogger.simulator.compare import TableComparison, compare
from multilogger.simulator.ledger import FILLS, TRADES_ROW, Ledger, TradeEntry, read_ledgers

SYMBOL = "BTC-USDT"
PARTS = {10: (10,), 13: (11, 12, 13), 14: (14,), 16: (15, 16)}
"""The fills of each trade that was sent."""


def entry(trade_id: int, size: str) -> TradeEntry:
    """Return a trade as it is entered."""
    return TradeEntry(
        symbol=SYMBOL, time_ns=(DAY + trade_id) * NANOS, trade_id=trade_id, price="64000.1", size=size,
        maker=bytes(16), taker=bytes(16), bought=True,
    )  # fmt: skip


def fill_of(trade_id: int, merged_id: int) -> TradeEntry:
    """Return a fill: its time is that of the whole."""
    return attrs.evolve(entry(merged_id, f"0.{trade_id}"), trade_id=trade_id)


def ledger_of(directory: Path | None = None) -> Ledger:
    """Return a ledger of two single trades and two merged ones."""
    ledger = Ledger("okx", directory)
    for merged_id, parts in PARTS.items():
        fills = tuple(fill_of(trade_id, merged_id) for trade_id in parts)
        size = f"{sum(float(fill.size) for fill in fills):.2f}"
        ledger.trade(attrs.evolve(entry(merged_id, size), fills=fills if len(fills) > 1 else ()))
    return ledger


def on_disk(ledger: Ledger, data: Path, *trades: int | tuple[int, int], exact: bool = True) -> None:
    """Write trades: whole ones by their id, fills by id and that of the whole."""
    whole, fills = ledger.rows("TRADES"), ledger.rows(FILLS)
    rows: list[Any] = []
    counts = []
    for it in trades:
        if isinstance(it, int):
            rows.append(whole[whole["trade_id"] == it][0].tolist())
            counts.append(len(PARTS[it]))
        else:
            [fill] = fills[(fills["trade_id"] == it[0]) & (fills["merged_id"] == it[1])]
            rows.append(fill.tolist()[:-1])
            counts.append(1)
    folder = data / "okx" / SYMBOL / "TRADES"
    write_day(folder, np.array(rows, TRADES_ROW), "TRADES", exact=exact)
    if exact:
        (np.array(counts, "<u4") - 1 << 8).astype("<u4").tofile(folder / "flags.22.11.26.bin")


def found(ledger: Ledger | Path, data: Path) -> TableComparison:
    """Return how trades and disk compare."""
    return compare(ledger, data, "okx").tables["TRADES"]


def differences(result: TableComparison) -> dict[str, int]:
    """Return what is not 0 of what should be."""
    names = ("missing", "extra", "duplicates", "skew", "time_decreasing", "unclean")
    return {name: count for name in names if (count := getattr(result, name))}


def fills(merged_id: int) -> list[tuple[int, int]]:
    """Return the fills of a merged trade."""
    return [(trade_id, merged_id) for trade_id in PARTS[merged_id]]


@pytest.mark.parametrize("on_files", [True, False])
def test_merged_fills_come_back(tmp_path: Path, on_files: bool) -> None:
    """The ledger has what merged trades consist of in a table of its own, written before they are."""
    ledger = ledger_of(tmp_path if on_files else None)
    rows = ledger.rows(FILLS)
    assert [(int(row["trade_id"]), int(row["merged_id"])) for row in rows] == [*fills(13), *fills(16)]
    assert rows["size"].tolist() == [0.11, 0.12, 0.13, 0.15, 0.16]
    assert ledger.rows("TRADES")["size"].tolist() == [0.10, 0.36, 0.14, 0.31]
    assert ledger.counts == {"TRADES": 4, "MD": 0}
    ledger.close()


def test_merged_fills_have_no_file_without_rows(tmp_path: Path) -> None:
    """Exchanges that merge nothing leave no file of fills, and none is read."""
    ledger = Ledger("okx", tmp_path)
    ledger.trade(entry(10, "0.10"))
    ledger.close()
    assert not (tmp_path / "okx.FILLS.ledger").exists()
    assert len(read_ledgers([tmp_path], "okx", FILLS)) == 0


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "trades",
    [
        [10, 13, 14, 16],
        [10, *fills(13), 14, 16],
        [10, 13, 14, *fills(16)],
        [10, *fills(13), 14, *fills(16)],
    ],
)
def test_merged_trades_or_their_fills(tmp_path: Path, trades: list[Any], exact: bool) -> None:
    """Each merged trade may be there in either form; what was sent is counted in the form it has."""
    ledger = ledger_of(tmp_path / "ledger")
    on_disk(ledger, tmp_path / "data", *trades, exact=exact)
    for sent in (ledger, tmp_path / "ledger"):
        result = found(sent, tmp_path / "data")
        assert differences(result) == {}
        assert result.sent == result.on_disk == len(trades)
    ledger.close()


@pytest.mark.parametrize(
    ("trades", "wrong"),
    [
        ([10, 14, 16], {"missing": 1}),
        ([10, *fills(13)[:2], 14, 16], {"missing": 1}),
        ([10, *fills(13)[2:], 14, 16], {"missing": 2}),
        ([10, *fills(13)[:1], 13, 14, 16], {"extra": 1}),
        ([10, *fills(13)[:2], 13, 14, *fills(16)], {"extra": 2}),
        ([10, *fills(13), 13, 14, 16], {"duplicates": 1}),
        ([10, 13, 14, 14, 16], {"duplicates": 1}),
    ],
)
def test_merged_trades_in_between(tmp_path: Path, trades: list[Any], wrong: dict[str, int]) -> None:
    """Some of the fills are not enough, and beside the whole they are too many."""
    ledger = ledger_of()
    on_disk(ledger, tmp_path, *trades)
    result = found(ledger, tmp_path)
    assert differences(result) == wrong


def test_merged_trades_tell_how_many_fills_they_are(tmp_path: Path) -> None:
    """A trade that is whole, but does not say of how many fills, is wrong; so is one that says so falsely."""
    ledger = ledger_of()
    on_disk(ledger, tmp_path, 10, 13, 14, 16)
    flags = tmp_path / "okx" / SYMBOL / "TRADES" / "flags.22.11.26.bin"
    for counts in ([1, 1, 1, 2], [1, 2, 1, 2], [2, 3, 1, 2]):
        (np.array(counts, "<u4") - 1 << 8).astype("<u4").tofile(flags)
        assert not found(ledger, tmp_path).ok(), counts
    (np.array([1, 3, 1, 2], "<u4") - 1 << 8 | 1).astype("<u4").tofile(flags)
    assert found(ledger, tmp_path).ok()


def test_merged_trades_of_several_runs(tmp_path: Path) -> None:
    """Ledgers of several runs are one, whatever each of them has merged."""
    first = ledger_of(tmp_path / "1")
    second = Ledger("okx", tmp_path / "2")
    second.trade(entry(17, "0.17"))
    second.commit()
    on_disk(first, tmp_path / "data", 10, *fills(13), 14, 16)
    result = compare([tmp_path / "1", tmp_path / "2"], tmp_path / "data", "okx").tables["TRADES"]
    assert differences(result) == {"missing": 1}
    assert "BTC-USDT missing trade: 17" in result.samples
    first.close()
    second.close()
