"""Frames of Bybit's three markets, and adapters that are fed with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.exchanges.base import Adapter, Event, Exchange
from multilogger.exchanges.bybit.contracts import BybitInverse, BybitLinear
from multilogger.exchanges.bybit.spot import Bybit
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

KINDS: Final[dict[str, type[Exchange]]] = {kind.id: kind for kind in (Bybit, BybitLinear, BybitInverse)}
RECV_NS: Final = 1_795_341_602_000_000_007
START_MS: Final = 1_795_341_600_000
MS: Final = 1_000_000
UUID: Final = "0c0ffee0-d8dd-5b31-9112-a178eb6023af"


def made(name: str = "bybit", **options: Any) -> Exchange:
    """Return an exchange that can parse, but not connect."""
    kind = KINDS[name]
    return kind(kind.config_type(**options))


def trade(
    price: str = "64000.10",
    size: str = "0.010",
    side: str = "Buy",
    trade_id: str = "2290000001189048101",
    ms: int = 100,
    **other: Any,
) -> dict[str, Any]:
    """Return an entry of ``publicTrade``."""
    return {"i": trade_id, "T": START_MS + ms, "p": price, "v": size, "S": side, "s": "BTCUSDT", **other}


def trades(*entries: Any, symbol: str = "BTCUSDT") -> dict[str, Any]:
    """Return a ``publicTrade``."""
    return {"topic": f"publicTrade.{symbol}", "ts": START_MS + 110, "type": "snapshot", "data": list(entries)}


def book(bid: str, ask: str, update: int, ms: int = 120, symbol: str = "BTCUSDT") -> dict[str, Any]:
    """Return an ``orderbook.1``; a side is empty if its price is."""
    sides = {"b": [[bid, "2.1"]] if bid else [], "a": [[ask, "0.4"]] if ask else []}
    data = {"s": symbol, **sides, "u": update, "seq": 7}
    return {"topic": f"orderbook.1.{symbol}", "ts": START_MS + ms, "type": "snapshot", "data": data}


def last(price: str, ms: int = 130, volume: str = "8100.25", symbol: str = "BTCUSDT") -> dict[str, Any]:
    """Return a ``tickers`` of spot."""
    data = {"symbol": symbol, "lastPrice": price, "volume24h": volume}
    return {"topic": f"tickers.{symbol}", "ts": START_MS + ms, "type": "snapshot", "cs": 9, "data": data}


def ticker(kind: str, ms: int = 120, symbol: str = "BTCUSDT", **data: str) -> dict[str, Any]:
    """Return a ``tickers`` of a contract."""
    return {
        "topic": f"tickers.{symbol}",
        "type": kind,
        "data": {"symbol": symbol, **data},
        "cs": 9,
        "ts": START_MS + ms,
    }


def snapshot(price: str, bid: str, ask: str, ms: int = 120) -> dict[str, Any]:
    """Return a snapshot of ``tickers`` of a contract."""
    return ticker("snapshot", ms, lastPrice=price, bid1Price=bid, ask1Price=ask, volume24h="91705.5")


class Fed:
    """A connection's adapter, and what came of the frames it was fed.

    Args:
        exchange: makes the adapter; it may have others.
        symbols: what is subscribed.
    """

    def __init__(self, exchange: Exchange, symbols: Sequence[str] = ("BTCUSDT",)) -> None:
        self.exchange = exchange
        self.table = SymbolTable(exchange.id)
        self.stats = ExchangeStats(exchange.id)
        self.buffer = RowBuffer()
        self.adapter: Adapter = exchange.create_adapter(self.table, self.stats)
        self.requests = [json.loads(frame) for frame in self.adapter.subscribe(list(symbols))]

    def feed(self, *messages: Mapping[str, Any] | bytes) -> list[Event]:
        """Receive messages; return the events."""
        frames = [it if isinstance(it, bytes) else json.dumps(it).encode() for it in messages]
        return list(self.adapter.receive(frames, RECV_NS, self.buffer))

    def md(self, *messages: Mapping[str, Any] | bytes) -> list[tuple[Any, ...]]:
        """Receive messages; return the ticker rows: ms, price, volume, side, bid, ask, flags."""
        self.feed(*messages)
        names = ("price", "volume", "side", "best_bid", "best_ask", "flags")
        return self._rows(self.buffer.take().get(MD.number, ()), names)

    def trades(self, *messages: Mapping[str, Any] | bytes) -> list[tuple[Any, ...]]:
        """Receive messages; return the trades: ms, id, price, size, side."""
        self.feed(*messages)
        names = ("trade_id", "price", "size", "side")
        return self._rows(self.buffer.take().get(TRADES.number, ()), names)

    def _rows(self, rows: Iterable[Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
        return [(row["time_ns"] // MS - START_MS, *(row[name].item() for name in names)) for row in rows]

    @property
    def refused(self) -> dict[str, int]:
        """Refusals by reason."""
        return dict(self.stats.refused)

    @property
    def ignored(self) -> dict[str, int]:
        """What was ignored, by kind."""
        return dict(self.stats.ignored)
