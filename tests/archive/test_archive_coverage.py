"""How much of the time was recorded, told from the catalog's notes."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from archive_ledger import (
    BACKFILLED,
    GAP,
    HALTED,
    LIVE,
    NOT_LISTED,
    at,
    note,
    offline,
    write_journal,
    write_ledger,
)
from archive_tools import NANOS

from multilogger.archive.coverage import NOT_RECORDED, TableCoverage, coverage_of
from multilogger.archive.reader import open_archive
from multilogger.archive.running import last_written_ns
from multilogger.errors import ArchiveError
from multilogger.notes import Note
from multilogger.storage.layout import Paths

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (DOCS / "coverage.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def of_one(
    data: Path, notes: Sequence[Note], low: float | None = None, high: float | None = None
) -> TableCoverage:
    """Return the coverage of the only table that the notes are of, in a window of seconds."""
    window = [None if it is None else at(it) for it in (low, high)]
    (found,) = coverage_of(write_ledger(data, notes), start_ns=window[0], end_ns=window[1])
    return found


def seconds(coverage: TableCoverage) -> dict[str, float]:
    """Return what is not zero of the sums, in seconds; gaps by their causes."""
    sums = coverage.sums
    lengths = {
        "live": sums.live_ns,
        "backfilled": sums.backfilled_ns,
        "halted": sums.halted_ns,
        "not listed": sums.not_listed_ns,
        "unknown": sums.unknown_ns,
        **sums.gap_ns,
    }
    return {name: length / NANOS for name, length in lengths.items() if length}


def test_states(tmp_path: Path) -> None:
    """Live and backfilled count as recorded; halts and times without a listing don't count at all."""
    found = of_one(
        tmp_path,
        [
            note(LIVE, 0, 100),
            note(GAP, 10, 20, "connection lost"),
            note(BACKFILLED, 10, 16),
            note(HALTED, 30, 40, "halted"),
            note(NOT_LISTED, 90, 100, "not listed"),
        ],
    )
    assert seconds(found) == {
        "live": 70,
        "backfilled": 6,
        "connection lost": 4,
        "halted": 10,
        "not listed": 10,
    }
    assert found.percentage == 95
    assert (found.sums.expected_secs, found.sums.lost_ns) == (80, 4 * NANOS)
    (gap,) = found.gaps
    assert (gap.exchange, gap.symbols, gap.tables, gap.cause) == (
        "coinbase",
        ("BTC-USD",),
        ("TRADES",),
        "connection lost",
    )
    assert (gap.start_ns, gap.end_ns, gap.secs) == (at(16), at(20), 4)


def test_notes_of_all_symbols(tmp_path: Path) -> None:
    """What is noted of all symbols and tables is among the words about each, in the log's order."""
    notes = [
        note(LIVE, 0, 50),
        note(LIVE, 0, 50, table="MD", symbol="ETH-USD"),
        offline(50, 60),
        note(LIVE, 58, 80),
        note(LIVE, 60, 80, table="MD", symbol="ETH-USD"),
        note(GAP, 0, 80, "elsewhere", exchange="binance", symbol="*", table="*"),
    ]
    btc, eth = coverage_of(write_ledger(tmp_path, notes))
    assert (btc.symbol, btc.table, seconds(btc)) == ("BTC-USD", "TRADES", {"live": 72, "offline": 8})
    assert (eth.symbol, eth.table, seconds(eth)) == ("ETH-USD", "MD", {"live": 70, "offline": 10})


def test_a_live_note_of_both_tables(tmp_path: Path) -> None:
    """A symbol that is live in all tables has each of them."""
    found = coverage_of(
        write_ledger(tmp_path, [note(LIVE, 0, 50, table="*"), note(GAP, 1, 2, "x", table="MD")])
    )
    assert [(it.table, seconds(it)) for it in found] == [
        ("MD", {"live": 49, "x": 1}),
        ("TRADES", {"live": 50}),
    ]


def test_before_the_first_live_time(tmp_path: Path) -> None:
    """What lies before the first live time doesn't count, and a symbol without one is not told of."""
    notes = [
        offline(0, 10),
        note(GAP, 5, 30, "x"),
        note(LIVE, 20, 40),
        note(GAP, 5, 8, "x", symbol="ETH-USD"),
    ]
    assert seconds(of_one(tmp_path, notes)) == {"live": 20}


def test_a_hole_without_a_word(tmp_path: Path) -> None:
    """Between two live times silence is a gap; behind the last it is unknown, and not expected."""
    notes = [
        note(LIVE, 0, 10),
        note(LIVE, 30, 40),
        note(BACKFILLED, 12, 15),
        note(LIVE, 0, 50, symbol="ETH-USD"),
    ]
    btc, _ = coverage_of(write_ledger(tmp_path, notes))
    assert seconds(btc) == {"live": 20, "backfilled": 3, NOT_RECORDED: 17, "unknown": 10}
    assert btc.sums.expected_secs == 40
    assert [(gap.cause, gap.secs) for gap in btc.gaps] == [(NOT_RECORDED, 2), (NOT_RECORDED, 15)]


def test_a_window(tmp_path: Path) -> None:
    """Only the window counts, whatever is outside: a gap that reaches in, a first live time before it."""
    notes = [note(LIVE, 0, 10), offline(10, 60), note(LIVE, 60, 100), note(GAP, 70, 71, "x")]
    assert seconds(of_one(tmp_path, notes, 20, 65)) == {"live": 5, "offline": 40}
    assert seconds(of_one(tmp_path / "more", notes, 20, 50)) == {"offline": 30}
    later = of_one(tmp_path / "later", notes, 200, 300)
    assert (seconds(later), later.percentage) == ({}, None)


def test_what_is_taken_back(tmp_path: Path) -> None:
    """A gap that was noted and taken back is none."""
    notes = [note(LIVE, 0, 10), note(GAP, 5, None, "unproven"), note(GAP, 5, 5, "unproven")]
    found = of_one(tmp_path, notes)
    assert (seconds(found), found.gaps, found.percentage) == ({"live": 10}, [], 100)


def test_missing_ids(tmp_path: Path) -> None:
    """Trade ids that may yet be had are counted once, with the gap that their interval begins in."""
    notes = [
        note(LIVE, 0, 100),
        note(GAP, 10, 20, "ids missing", ids=(5, 9)),
        note(GAP, 20, 22, "ids missing", ids=(11, 11)),
        note(GAP, 50, 60, "connection lost", ids=(20, 29)),
        note(LIVE, 54, 56),
        note(GAP, 70, 71, "not in the exchange's history"),
    ]
    found = of_one(tmp_path, notes)
    assert found.sums.missing_ids == 16
    assert [(gap.secs, gap.missing_ids) for gap in found.gaps] == [(12, 6), (4, 10), (4, 0), (1, 0)]
    assert of_one(tmp_path / "part", notes, 0, 15).sums.missing_ids == 5


def test_what_still_lasts(tmp_path: Path) -> None:
    """Without a logger it lasts until the journal was last written; with one until now."""
    data = write_ledger(tmp_path, [note(LIVE, 0, None), note(GAP, 20, None, "x"), note(GAP, 90, 95, "y")])
    (found,) = coverage_of(data)
    assert seconds(found) == {"live": 20, "x": 70, "y": 5}
    write_journal(data, 3, 40, 50)
    (found,) = coverage_of(data)
    assert seconds(found) == {"live": 20, "x": 30}
    with Paths(data).lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (found,) = coverage_of(data, clock=lambda: at(80))
        assert seconds(found) == {"live": 20, "x": 60}
        (found,) = coverage_of(data, clock=lambda: at(30))
        assert seconds(found) == {"live": 20, "x": 30}


def test_after_a_stop(tmp_path: Path) -> None:
    """What a logger writes last, after it was stopped in order, is no gap; after the next start it is."""
    data = write_ledger(tmp_path, [note(LIVE, 0, 40), offline(40, None)])
    write_journal(data, 3, 42)
    (found,) = coverage_of(data)
    assert seconds(found) == {"live": 40}
    again = write_ledger(tmp_path / "again", [note(LIVE, 0, 40), offline(40, None), note(LIVE, 50, None)])
    write_journal(again, 3, 52)
    (found,) = coverage_of(again)
    assert seconds(found) == {"live": 42, "offline": 10}
    with Paths(data).lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (found,) = coverage_of(data, clock=lambda: at(45))
    assert seconds(found) == {"live": 40, "offline": 5}


def test_the_newest_frame(tmp_path: Path) -> None:
    """The newest frame is that of the highest segment that has one of its own; other directories count."""
    assert last_written_ns([tmp_path]) is None
    folder = write_journal(tmp_path, 3, 40, 50)
    write_journal(tmp_path, 4, 90, sound=False)
    (folder / "000000000005.wal").touch()
    (folder / "000000000006.free").write_bytes(b"x")
    assert last_written_ns([tmp_path / "nowhere", folder]) == at(50)
    other = write_journal(tmp_path / "other", 7, 60)
    assert last_written_ns([folder, other]) == at(60)
    data = write_ledger(tmp_path, [note(LIVE, 0, None)])
    (found,) = coverage_of(data, journal_alternate=other)
    assert seconds(found) == {"live": 60}


def test_parts(tmp_path: Path) -> None:
    """Exchange, symbol and table narrow what is told; a symbol may be named as its directory."""
    notes = [
        note(LIVE, 0, 10, exchange=exchange, symbol=symbol, table=table)
        for exchange in ("binance", "kraken")
        for symbol in ("BTC/USD", "ETH")
        for table in ("MD", "TRADES")
    ]
    data = write_ledger(tmp_path, notes)
    told: list[tuple[int, int, str]] = []
    every = coverage_of(data, progress=lambda done, of, what: told.append((done, of, what)))
    assert len(every) == 8
    assert (told[0], len(told)) == ((0, 8, "binance BTC/USD MD"), 8)
    assert [(it.symbol, it.table) for it in coverage_of(data, "kraken", "ETH")] == [
        ("ETH", "MD"),
        ("ETH", "TRADES"),
    ]
    assert [it.exchange for it in coverage_of(data, symbol="BTC_USD", table="MD")] == ["binance", "kraken"]


def test_beside_rows(tmp_path: Path) -> None:
    """The reader of rows tells the coverage of a range, too."""
    notes = [note(LIVE, 0, 10, symbol="BTC/USD"), note(GAP, 2, 5, "x", symbol="BTC/USD")]
    archive = open_archive(write_ledger(tmp_path, notes))
    found = archive.coverage("coinbase", "BTC/USD", "TRADES", "2025-07-31T00:00:04", at(8))
    assert seconds(found) == {"live": 3, "x": 1}
    assert archive.coverage("coinbase", "BTC_USD", "TRADES").percentage == 70
    with pytest.raises(ArchiveError, match="nothing is known of the coverage of coinbase BTC/USD MD in "):
        archive.coverage("coinbase", "BTC/USD", "MD")


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples of docs/coverage.md work, but for the data path."""
    assert "/mnt/md/data" in example
    code = example.replace("/mnt/md/data", str(write_ledger(tmp_path, [note(LIVE, 0, 10), offline(5, 7)])))
    exec(compile(code, "example", "exec"), {})  # noqa: S102 - the documentation is our own
    assert capsys.readouterr().out.splitlines() == [
        "coinbase TRADES 1 80.0",
        "('BTC-USD',) offline 2.0 0",
    ]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"symbol": "XRP-USD"}, "nothing is known of the coverage of XRP-USD in "),
        ({"exchange": "kraken", "table": "MD"}, "nothing is known of the coverage of kraken MD in "),
        (
            {"start_ns": at(5), "end_ns": at(4)},
            "the range ends at 2025-07-31T00:00:04.000000000Z, before it starts",
        ),
    ],
)
def test_what_is_not_there(asked: dict[str, object], words: str, tmp_path: Path) -> None:
    """What can't be told is an error that says what was asked for."""
    data = write_ledger(tmp_path, [note(LIVE, 0, 10)])
    with pytest.raises(ArchiveError, match=words):
        coverage_of(data, **asked)  # type: ignore[arg-type]


def test_no_catalog(tmp_path: Path) -> None:
    """So is a data path without a catalog, or that is not there."""
    with pytest.raises(ArchiveError, match="there is no such directory"):
        coverage_of(tmp_path / "nowhere")
    with pytest.raises(ArchiveError, match="the coverage can't be told: "):
        coverage_of(tmp_path)
