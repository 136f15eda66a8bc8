"""What stores are put through: small, each with a few hundred calls, and without chance."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import attrs
from durability_ledger import BINANCE, COINBASE, Ledger
from durability_recorder import Failure
from durability_run import DAY, NANOS, Run

from multilogger.config.policy import ExchangePolicy
from multilogger.storage.layout import NANOS_PER_DAY, day_suffix
from multilogger.tables import MD, TRADES, Table

_EVENING: Final = (DAY + 1) * NANOS_PER_DAY - 10 * NANOS
"""Ten seconds to midnight."""
_TO_SEALING: Final = 10 + 1900
"""From then to after the day is closed."""
_DAY_SECS: Final = 86_400
_BTC: Final = "BTC-USD"
Fail = Callable[[Failure], None]


@attrs.frozen(eq=False)
class Workload:
    """One of them."""

    name: str
    body: Callable[[Run, Fail], None]
    now: int = DAY * NANOS_PER_DAY + 43_200 * NANOS
    alternate: bool = False
    syncs_all: bool = True
    policies: Mapping[str, ExchangePolicy] = {}
    prepare: Callable[[Path, Ledger], None] = lambda _root, _ledger: None


def _work(run: Run, *symbols: str, rounds: int = 1, exchange: str = COINBASE) -> None:
    """Commit trades and quotes a few times, then apply."""
    for _ in range(rounds):
        for symbol in symbols or (_BTC,):
            run.wait(0.25)
            run.commit(run.trades(symbol, exchange=exchange), run.quotes(symbol, 1, exchange=exchange))
    run.apply()


def _steady(run: Run, _fail: Fail) -> None:
    """Commits, and checkpoints that free segments for use again while others still have to be applied."""
    run.start()
    for at in range(3):
        _work(run, rounds=2)
        run.note(f"note {at}")
        run.commit(run.trades(_BTC, 60))
        for _ in range(6):
            run.commit(run.quotes(_BTC, 1))
        run.checkpoint()
    _work(run, rounds=2)
    run.stop()


def _recycling(run: Run, _fail: Fail) -> None:
    """Segments are used again and again, while what they hold is not in the column files yet."""
    run.start()
    for _ in range(8):
        for ago in (0.3, 0.2, 0.1):
            run.commit(run.quotes(_BTC, 1, ago=ago))
        run.apply()
        run.commit(run.quotes(_BTC, 1))
        run.commit(run.quotes(_BTC, 40))
        run.checkpoint(spares=False)
        run.wait(0.5)
    run.stop()


def _symbols(run: Run, _fail: Fail) -> None:
    """Two exchanges, and symbols whose directories would have one name."""
    run.start()
    for at in range(2):
        run.commit(run.trades("A/B"), run.quotes("A_B"))
        run.commit(run.trades("A_B"), run.trades("A/B", exchange=BINANCE))
        run.apply()
        run.wait(1)
        run.commit(run.quotes("A/B", exchange=BINANCE), run.trades(f"N{at}"))
        run.checkpoint()
    run.stop()


def _midnight(run: Run, _fail: Fail) -> None:
    """Rows of two days at the same time."""
    run.start()
    _work(run)
    run.wait(8)
    run.commit(run.trades(_BTC, 4, step=1.0), run.quotes(_BTC, 4, step=1.0))
    run.apply()
    run.checkpoint()
    run.wait(4)
    run.commit(run.trades(_BTC, ago=4), run.quotes(_BTC))
    _work(run)
    run.checkpoint()
    _work(run)
    run.stop()


def _late(run: Run, _fail: Fail) -> None:
    """Rows that come too late, and such as can't be true."""
    run.start()
    _work(run)
    run.commit(run.trades(_BTC, ago=60), run.trades(_BTC), run.quotes(_BTC, ago=30 * _DAY_SECS))
    run.apply()
    run.checkpoint()
    run.commit(run.trades(_BTC, ago=90), run.trades(_BTC, 3, ago=100, step=50.0))
    run.commit(run.trades(_BTC, ago=2 * _DAY_SECS), run.trades(_BTC, ago=-5 * _DAY_SECS))
    run.apply()
    run.commit(run.trades(_BTC, ago=2 * _DAY_SECS + 1), run.quotes(_BTC, ago=300))
    run.checkpoint()
    run.commit(run.trades(_BTC, ago=40 * _DAY_SECS), run.quotes(_BTC, ago=31 * _DAY_SECS))
    run.stop()


def _seal(run: Run, _fail: Fail) -> None:
    """A day without late rows is sealed while the next one grows."""
    run.start()
    _work(run, _BTC, "A/B")
    run.wait(_TO_SEALING)
    _work(run)
    run.close_day()
    while run.seal_step():
        _work(run)
    run.checkpoint()
    run.restart()
    _work(run)
    run.stop()


def _fold(run: Run, _fail: Fail) -> None:
    """A day with late rows and repeated ones is sealed."""
    run.start()
    first, quotes = run.trades(_BTC, 3, ago=5), run.quotes(_BTC, 3, ago=5)
    run.commit(first, quotes)
    _work(run)
    again = run.ledger.again(TRADES, list(first.serials)[:2])
    run.commit(run.trades(_BTC, 2, ago=7), again, run.ledger.again(MD, list(quotes.serials)[1:]))
    run.commit(run.quotes(_BTC, ago=6))
    run.apply()
    run.checkpoint()
    run.wait(_TO_SEALING)
    _work(run)
    run.seal()
    _work(run)
    run.checkpoint()
    run.stop()


def _unsaved(run: Run, _fail: Fail) -> None:
    """A day is sealed of which no checkpoint knows."""
    run.start()
    run.commit(run.trades(_BTC, 4, ago=9, step=2.0), run.quotes(_BTC, 4, ago=9, step=2.0))
    run.commit(run.trades(_BTC, 2, ago=8, step=2.0), run.quotes(_BTC, 1, ago=6))
    run.wait(_TO_SEALING)
    run.seal()
    _work(run)
    run.commit(run.trades(_BTC, 2, ago=_TO_SEALING + 8))
    run.seal()
    run.stop()


def _reseal(run: Run, _fail: Fail) -> None:
    """Rows come for a sealed day: the next generation, and one more."""
    run.start()
    first = run.trades(_BTC, 3)
    run.commit(first)
    run.wait(_TO_SEALING)
    run.seal()
    for ago in (1912, 1915):
        run.commit(run.trades(_BTC, 2, ago=ago), run.ledger.again(TRADES, list(first.serials)[:1]))
        run.apply()
        run.checkpoint()
        run.seal()
        run.wait(1)
    _work(run)
    run.stop()


def _retention(run: Run, _fail: Fail) -> None:
    """Days are removed, of one exchange only."""
    run.start()
    run.commit(run.trades(_BTC), run.quotes(_BTC, 1), run.trades(_BTC, exchange=BINANCE))
    run.commit(run.trades(_BTC, ago=1))
    run.wait(_TO_SEALING)
    run.seal()
    run.wait(_DAY_SECS)
    _work(run)
    run.seal()
    run.wait(_DAY_SECS // 2)
    run.retain()
    _work(run)
    run.checkpoint()
    run.wait(_DAY_SECS)
    run.seal()
    run.retain()
    run.stop()


def _adoption(run: Run, _fail: Fail) -> None:
    """Files that another program left are taken over, one without exact columns; uneven tails are not."""
    run.start()
    _work(run)
    run.checkpoint()
    _work(run)
    run.stop()


def _leave_files(root: Path, ledger: Ledger) -> None:
    """Write column files as another program would have, before the first start."""
    for table, exact in ((TRADES, True), (MD, False)):
        rows = ledger.make(table, COINBASE, _BTC, [DAY * NANOS_PER_DAY + at for at in range(4)])
        ledger.offer(0, rows)
        _leave_table(root, ledger, table, exact=exact)
        kept = ledger.again(table, list(rows.serials)[:3])
        ledger.acknowledge(0, kept)
        ledger.foreign[table.number] = ledger.newest_serial(table)


def _leave_table(root: Path, ledger: Ledger, table: Table, *, exact: bool) -> None:
    directory = root / "data" / COINBASE / _BTC / table.name
    directory.mkdir(parents=True)
    for at, column in enumerate(table.disk_columns(exact=exact)):
        data = ledger.values(table, column.name)[1:5].tobytes()
        file = directory / f"{column.name}{day_suffix(DAY)}"
        file.write_bytes(data if at % 2 else data[: len(data) * 3 // 4 + at // 2])


def _restarts(run: Run, _fail: Fail) -> None:
    """The logger is stopped, killed, and killed with rows that are in the journal only."""
    run.start()
    _work(run, rounds=2)
    run.restart()
    _work(run, rounds=2)
    run.kill()
    run.start()
    run.commit(run.trades(_BTC), run.trades(_BTC, ago=5), run.quotes("A/B"))
    run.kill()
    run.start()
    _work(run, "A/B")
    run.checkpoint()
    _work(run)
    run.stop()


def _journal_fails(run: Run, fail: Fail) -> None:
    """The journal's segments fail, each in another way; the next one takes the rows."""
    run.start()
    _work(run, rounds=2)
    for call in ("sync_data", "write"):
        fail(Failure(call, ".wal", errno.EIO))
        _work(run, rounds=2)
    fail(Failure("sync_directory", "journal", errno.EIO))
    _work(run, rounds=4)
    run.checkpoint()
    fail(Failure("write", ".wal", errno.ENOSPC, times=2))
    _work(run, rounds=2)
    run.checkpoint()
    run.checkpoint()
    _work(run)
    run.stop()


def _alternate(run: Run, fail: Fail) -> None:
    """The journal's directory fails for a while, the alternate one takes over."""
    run.start()
    _work(run, rounds=2)
    fail(Failure("write", "data/.multilogger/journal", errno.EROFS, times=3))
    fail(Failure("rename", "data/.multilogger/journal", errno.EROFS, times=3))
    _work(run, rounds=6)
    run.checkpoint(spares=False)
    fail(Failure("sync_data", "alternate", errno.EIO, times=2))
    _work(run, rounds=2)
    run.checkpoint()
    run.kill()
    run.start()
    _work(run, rounds=2)
    run.stop()


def _columns_fail(run: Run, fail: Fail) -> None:
    """Syncs and writes of column files fail; the files are replaced by copies."""
    run.start()
    _work(run)
    run.checkpoint()
    _work(run)
    fail(Failure("sync_filesystem", "", errno.EIO))
    run.checkpoint()
    fail(Failure("write", "trade_price", errno.EIO))
    _work(run)
    fail(Failure("write", "/MD/", errno.ENOSPC))
    _work(run)
    run.checkpoint()
    _work(run)
    fail(Failure("sync_filesystem", "", errno.EIO))
    run.stop()


def _no_syncfs(run: Run, _fail: Fail) -> None:
    """A file system whose syncfs does nothing: every file is synced by itself."""
    run.start()
    _work(run)
    run.commit(run.trades(_BTC, ago=60), run.quotes(_BTC, ago=30 * _DAY_SECS))
    run.apply()
    run.checkpoint()
    _work(run)
    run.wait(_TO_SEALING)
    run.commit(run.trades(_BTC))
    run.seal()
    _work(run)
    run.stop()


WORKLOADS: Final = (
    Workload("steady", _steady),
    Workload("recycling", _recycling),
    Workload("symbols", _symbols),
    Workload("midnight", _midnight, now=_EVENING),
    Workload("late", _late),
    Workload("seal", _seal, now=_EVENING),
    Workload("fold", _fold, now=_EVENING),
    Workload("unsaved", _unsaved, now=_EVENING),
    Workload("reseal", _reseal, now=_EVENING),
    Workload("retention", _retention, now=_EVENING, policies={COINBASE: ExchangePolicy(retention_days=1)}),
    Workload("adoption", _adoption, prepare=_leave_files),
    Workload("restarts", _restarts),
    Workload("journal-fails", _journal_fails),
    Workload("alternate", _alternate, alternate=True),
    Workload("columns-fail", _columns_fail),
    Workload("no-syncfs", _no_syncfs, now=_EVENING, syncs_all=False),
)
