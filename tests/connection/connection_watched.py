"""A rig whose exchange can be asked for its newest trades, for the tests of the silence watch."""

from __future__ import annotations

from typing import Any

import trio
from connection_peer import Rig, calendar, make_rig

from multilogger.exchanges.base import TradeHistory
from multilogger.records import Flag, Side, Trade

QUIET = 30.0


def watched(nursery: trio.Nursery, **config: Any) -> Rig:
    """Return a rig whose exchange has a history, and whose connections may be silent for long."""
    rig = make_rig(nursery, receive_clock=calendar, silence_secs=80_000.0, quiet_secs=QUIET, **config)
    rig.exchange.history = TradeHistory()
    return rig


def traded(rig: Rig, symbol: str, *, trade_id: int = 1, ago: float = 0.0) -> None:
    """Let a trade happen that the exchange's history tells of."""
    time_ns = calendar() - round(ago * 1e9)
    rig.exchange.on_record[symbol] = Trade(
        exchange=rig.exchange.id,
        symbol=symbol,
        trade_id=trade_id,
        time_ns=time_ns,
        recv_ns=time_ns,
        price=1.0,
        size=1.0,
        side=Side.BUY,
        flags=Flag.BACKFILLED,
    )


def fall_silent(rig: Rig, *symbols: str, table: str = "TRADES") -> None:
    """Let the checks find symbols silent, until they are excused."""
    numbers = {rig.feed.symbols.number(symbol) for symbol in symbols}
    rig.quality.quiet.setdefault(table, set()).update(numbers)
