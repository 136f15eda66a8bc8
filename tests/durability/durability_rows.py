"""Workloads of rows that come in, and of starts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from durability_ledger import BINANCE, COINBASE, Ledger
from durability_run import DAY, Run
from durability_workload import BTC, DAY_SECS, EVENING, Fail, Workload, work

from multilogger.storage.layout import NANOS_PER_DAY, day_suffix
from multilogger.tables import MD, TRADES, Table


def _steady(run: Run, _fail: Fail) -> None:
    """Commits, and checkpoints that free segments for use again while others still have to be applied."""
    run.start()
    for at in range(3):
        work(run, rounds=2)
        run.note(f"note {at}")
        run.commit(run.trades(BTC, 60))
        for _ in range(6):
            run.commit(run.quotes(BTC, 1))
        run.checkpoint()
    work(run, rounds=2)
    run.stop()


def _recycling(run: Run, _fail: Fail) -> None:
    """Segments are used again and again, while what they hold is not in the column files yet."""
    run.start()
    for _ in range(8):
        for ago in (0.3, 0.2, 0.1):
            run.commit(run.quotes(BTC, 1, ago=ago))
        run.apply()
        run.commit(run.quotes(BTC, 1))
        run.commit(run.quotes(BTC, 40))
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
    work(run)
    run.wait(8)
    run.commit(run.trades(BTC, 4, step=1.0), run.quotes(BTC, 4, step=1.0))
    run.apply()
    run.checkpoint()
    run.wait(4)
    run.commit(run.trades(BTC, ago=4), run.quotes(BTC))
    work(run)
    run.checkpoint()
    work(run)
    run.stop()


def _late(run: Run, _fail: Fail) -> None:
    """Rows that come too late, and such as can't be true."""
    run.start()
    work(run)
    run.commit(run.trades(BTC, ago=60), run.trades(BTC), run.quotes(BTC, ago=30 * DAY_SECS))
    run.apply()
    run.checkpoint()
    run.commit(run.trades(BTC, ago=90), run.trades(BTC, 3, ago=100, step=50.0))
    run.commit(run.trades(BTC, ago=2 * DAY_SECS), run.trades(BTC, ago=-5 * DAY_SECS))
    run.apply()
    run.commit(run.trades(BTC, ago=2 * DAY_SECS + 1), run.quotes(BTC, ago=300))
    run.checkpoint()
    run.commit(run.trades(BTC, ago=40 * DAY_SECS), run.quotes(BTC, ago=31 * DAY_SECS))
    run.stop()


def _adoption(run: Run, _fail: Fail) -> None:
    """Files that another program left are taken over, one without exact columns; uneven tails are not."""
    run.start()
    work(run)
    run.checkpoint()
    work(run)
    run.stop()


def _leave_files(root: Path, ledger: Ledger) -> None:
    """Write column files as another program would have, before the first start."""
    for table, exact in ((TRADES, True), (MD, False)):
        rows = ledger.make(table, COINBASE, BTC, [DAY * NANOS_PER_DAY + at for at in range(4)])
        ledger.offer(0, rows)
        _leave_table(root, ledger, table, exact=exact)
        kept = ledger.again(table, list(rows.serials)[:3])
        ledger.acknowledge(0, kept)
        ledger.foreign[table.number] = ledger.newest_serial(table)


def _leave_table(root: Path, ledger: Ledger, table: Table, *, exact: bool) -> None:
    directory = root / "data" / COINBASE / BTC / table.name
    directory.mkdir(parents=True)
    for at, column in enumerate(table.disk_columns(exact=exact)):
        data = ledger.values(table, column.name)[1:5].tobytes()
        file = directory / f"{column.name}{day_suffix(DAY)}"
        file.write_bytes(data if at % 2 else data[: len(data) * 3 // 4 + at // 2])


def _restarts(run: Run, _fail: Fail) -> None:
    """The logger is stopped, killed, and killed with rows that are in the journal only."""
    run.start()
    work(run, rounds=2)
    run.restart()
    work(run, rounds=2)
    run.kill()
    run.start()
    run.commit(run.trades(BTC), run.trades(BTC, ago=5), run.quotes("A/B"))
    run.kill()
    run.start()
    work(run, "A/B")
    run.checkpoint()
    work(run)
    run.stop()


ROWS: Final = (
    Workload("steady", _steady),
    Workload("recycling", _recycling),
    Workload("symbols", _symbols),
    Workload("midnight", _midnight, now=EVENING),
    Workload("late", _late),
    Workload("adoption", _adoption, prepare=_leave_files),
    Workload("restarts", _restarts),
)
