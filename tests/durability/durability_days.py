"""Workloads of days that are sealed and removed."""

from __future__ import annotations

from typing import Final

from durability_ledger import BINANCE, COINBASE
from durability_run import Run
from durability_workload import BTC, DAY_SECS, EVENING, TO_SEALING, Fail, Workload, work

from multilogger.config.policy import ExchangePolicy
from multilogger.tables import MD, TRADES


def _seal(run: Run, _fail: Fail) -> None:
    """A day without late rows is sealed while the next one grows."""
    run.start()
    work(run, BTC, "A/B")
    run.wait(TO_SEALING)
    work(run)
    run.close_day()
    while run.seal_step():
        work(run)
    run.checkpoint()
    run.restart()
    work(run)
    run.stop()


def _fold(run: Run, _fail: Fail) -> None:
    """A day with late rows and repeated ones is sealed."""
    run.start()
    first, quotes = run.trades(BTC, 3, ago=5), run.quotes(BTC, 3, ago=5)
    run.commit(first, quotes)
    work(run)
    again = run.ledger.again(TRADES, list(first.serials)[:2])
    run.commit(run.trades(BTC, 2, ago=7), again, run.ledger.again(MD, list(quotes.serials)[1:]))
    run.commit(run.quotes(BTC, ago=6))
    run.apply()
    run.checkpoint()
    run.wait(TO_SEALING)
    work(run)
    run.seal()
    work(run)
    run.checkpoint()
    run.stop()


def _unsaved(run: Run, _fail: Fail) -> None:
    """A day is sealed of which no checkpoint knows."""
    run.start()
    run.commit(run.trades(BTC, 4, ago=9, step=2.0), run.quotes(BTC, 4, ago=9, step=2.0))
    run.commit(run.trades(BTC, 2, ago=8, step=2.0), run.quotes(BTC, 1, ago=6))
    run.wait(TO_SEALING)
    run.seal()
    work(run)
    run.commit(run.trades(BTC, 2, ago=TO_SEALING + 8))
    run.seal()
    run.stop()


def _reseal(run: Run, _fail: Fail) -> None:
    """Rows come for a sealed day: the next generation, and one more."""
    run.start()
    first = run.trades(BTC, 3)
    run.commit(first)
    run.wait(TO_SEALING)
    run.seal()
    for ago in (1912, 1915):
        run.commit(run.trades(BTC, 2, ago=ago), run.ledger.again(TRADES, list(first.serials)[:1]))
        run.apply()
        run.checkpoint()
        run.seal()
        run.wait(1)
    work(run)
    run.stop()


def _retention(run: Run, _fail: Fail) -> None:
    """Days are removed, of one exchange only."""
    run.start()
    run.commit(run.trades(BTC), run.quotes(BTC, 1), run.trades(BTC, exchange=BINANCE))
    run.commit(run.trades(BTC, ago=1))
    run.wait(TO_SEALING)
    run.seal()
    run.wait(DAY_SECS)
    work(run)
    run.seal()
    run.wait(DAY_SECS // 2)
    run.retain()
    work(run)
    run.checkpoint()
    run.wait(DAY_SECS)
    run.seal()
    run.retain()
    run.stop()


def _no_syncfs(run: Run, _fail: Fail) -> None:
    """A file system whose syncfs does nothing: every file is synced by itself."""
    run.start()
    work(run)
    run.commit(run.trades(BTC, ago=60), run.quotes(BTC, ago=30 * DAY_SECS))
    run.apply()
    run.checkpoint()
    work(run)
    run.wait(TO_SEALING)
    run.commit(run.trades(BTC))
    run.seal()
    work(run)
    run.stop()


DAYS: Final = (
    Workload("seal", _seal, now=EVENING),
    Workload("fold", _fold, now=EVENING),
    Workload("unsaved", _unsaved, now=EVENING),
    Workload("reseal", _reseal, now=EVENING),
    Workload("retention", _retention, now=EVENING, policies={COINBASE: ExchangePolicy(retention_days=1)}),
    Workload("no-syncfs", _no_syncfs, now=EVENING, syncs_all=False),
)
