"""Kraken spot for tests: messages in the documented shape, an adapter to feed, a REST side that answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.exchanges.base import Event, Exchange, ExchangeConnection, Services
from multilogger.exchanges.kraken.exchange import Kraken, KrakenConfig
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

RECV_NS: Final = 1_795_341_602_000_000_007
NAMES: Final = ("trade_id", "price", "size", "side", "flags", "time_ns")
TICKS: Final = ("price", "volume", "side", "best_bid", "best_ask", "flags", "time_ns")


def trade(trade_id: int, **fields: Any) -> dict[str, Any]:
    """Return one trade of a message."""
    return {
        "symbol": "BTC/USD",
        "side": "buy",
        "price": 64000.1,
        "qty": 0.01,
        "ord_type": "market",
        "trade_id": trade_id,
        "timestamp": "2026-11-22T10:00:00.123456Z",
        **fields,
    }


def ticker(**fields: Any) -> dict[str, Any]:
    """Return one ticker of a message."""
    values = {"bid": 64000.0, "bid_qty": 1.2, "ask": 64000.1, "ask_qty": 0.4, "last": 64000.2}
    return {"symbol": "BTC/USD", **values, "volume": 2100.5, "vwap": 63500.2, **fields}


def message(channel: str, *data: Any, kind: str = "update") -> dict[str, Any]:
    """Return a message."""
    return {"channel": channel, "type": kind, "data": list(data)}


def ack(channel: str, symbol: str, number: int) -> dict[str, Any]:
    """Return the answer that grants a symbol of a request."""
    result = {"channel": channel, "snapshot": True, "symbol": symbol}
    return {"method": "subscribe", "result": result, "success": True, "req_id": number}


def refusal(words: str, number: int, symbol: str | None = None) -> dict[str, Any]:
    """Return the answer that refuses a request, or a symbol of it."""
    named = {} if symbol is None else {"symbol": symbol}
    return {"error": words, "method": "subscribe", "success": False, **named, "req_id": number}


class Fed:
    """An adapter with subscriptions, and all that came of the frames it was fed."""

    def __init__(
        self,
        symbols: Iterable[str] = ("BTC/USD", "ETH/USD"),
        exchange: Exchange | None = None,
        **options: Any,
    ) -> None:
        self.exchange = exchange or Kraken(KrakenConfig(**options))
        self.table = SymbolTable(self.exchange.id)
        self.stats = ExchangeStats("kraken")
        self.buffer = RowBuffer()
        self.adapter = self.exchange.create_adapter(self.table, self.stats)
        self.requests = [json.loads(frame) for frame in self.adapter.subscribe(list(symbols))]

    def feed(self, *messages: object, recv_ns: int = RECV_NS) -> list[Event]:
        """Receive messages, encoded unless they are bytes already; return the events."""
        frames = [it if isinstance(it, bytes) else json.dumps(it).encode() for it in messages]
        return list(self.adapter.receive(frames, recv_ns, self.buffer))

    def trades(self) -> list[tuple[Any, ...]]:
        """Return the values named in ``NAMES`` of the trades since the last call, and forget the tickers."""
        return self._rows(TRADES.number, NAMES)

    def tickers(self) -> list[tuple[Any, ...]]:
        """Return the values named in ``TICKS`` of the tickers since the last call, and forget the trades."""
        return self._rows(MD.number, TICKS)

    def _rows(self, table: int, names: Sequence[str]) -> list[tuple[Any, ...]]:
        rows = self.buffer.take().get(table, ())
        return [tuple(row[name].item() for name in names) for row in rows]


@attrs.define
class Rest:
    """Answers GET requests, and keeps what was asked."""

    answer: Callable[[str, Mapping[str, str]], object]
    asked: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return an answer, encoded unless it is bytes already."""
        await trio.lowlevel.checkpoint()
        assert weight == 1.0
        query = dict(params or {})
        self.asked.append((url, query))
        body = self.answer(url, query)
        return body if isinstance(body, bytes) else json.dumps(body).encode()


def no_connection(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


def served(rest: Rest, **options: Any) -> Kraken:
    """Return an exchange whose REST side is ``rest``."""
    return Kraken(KrakenConfig(**options), Services(rest, no_connection))
