"""An exchange with a dialect of a few words."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.errors import RestError
from multilogger.exchanges.base import (
    Adapter,
    Allowance,
    Confirmed,
    Event,
    Exchange,
    Limits,
    Rejected,
    Renew,
    Send,
)
from multilogger.records import ExchangeId, Flag, MarketData, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo


@attrs.define
class WordAdapter:
    """``t SYMBOL ID`` is a trade, ``r SYMBOL ID`` one that is repeated at subscribe.

    ``m SYMBOL PRICE`` is a ticker, ``n SYMBOL ID`` names the newest trade; ``ok``, ``no``, ``say`` and
    ``renew`` are the events.
    """

    table: SymbolTable
    stats: ExchangeStats
    newest_ids: dict[int, int] = attrs.field(factory=dict)

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One frame a symbol."""
        return [f"sub {symbol}" for symbol in symbols]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One frame for all."""
        for symbol in symbols:
            self.newest_ids.pop(self.table.number(symbol), None)
        return [f"unsub {' '.join(symbols)}"]

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> list[Event]:
        """Understand the words."""
        events: list[Event] = []
        for payload in frames:
            match payload.decode().split():
                case ["t" | "r" as word, symbol, trade_id]:
                    self._trade(symbol, int(trade_id), recv_ns, rows, replayed=word == "r")
                case ["m", symbol, price]:
                    self._ticker(symbol, float(price), recv_ns, rows)
                case ["n", symbol, trade_id]:
                    self.newest_ids[self.table.number(symbol)] = int(trade_id)
                case ["ok", *symbols]:
                    events.append(Confirmed(tuple(symbols)))
                case ["no", symbol, *why]:
                    events.append(Rejected((symbol,), " ".join(why)))
                case ["say", *words]:
                    events.append(Send((" ".join(words),)))
                case ["renew", *why]:
                    events.append(Renew(" ".join(why)))
                case _:
                    self.stats.ignored["word"] += 1
        return events

    def _trade(self, symbol: str, trade_id: int, recv_ns: int, rows: RowBuffer, *, replayed: bool) -> None:
        rows.add_trade(
            symbol=self.table.number(symbol),
            time_ns=recv_ns,
            recv_ns=recv_ns,
            trade_id=trade_id,
            price=1.0,
            size=1.0,
            side=1,
            flags=Flag.REPLAYED if replayed else 0,
        )

    def _ticker(self, symbol: str, price: float, recv_ns: int, rows: RowBuffer) -> None:
        rows.add_md(
            symbol=self.table.number(symbol),
            time_ns=recv_ns,
            recv_ns=recv_ns,
            price=price,
            volume=1.0,
            side=1,
            best_bid=price,
            best_ask=price,
        )

    def ping(self) -> str | None:
        """Every exchange has its own word for it."""
        return "hello?"


class Words(Exchange):
    """The exchange that speaks words."""

    id = ExchangeId("words")
    name = "Words"
    config_type = ExchangeConfig
    limits = Limits(messages_per_second=1000, connects=(Allowance(1000, 1.0),))
    on_record: dict[str, Trade | RestError]
    """What :meth:`fetch_newest` finds, if the test puts something there."""
    looks: list[tuple[float, str]]
    """When it was asked, and for what."""

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Nothing is listed."""
        return []

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Return what the test has put there."""
        await trio.lowlevel.checkpoint()
        self.looks.append((trio.current_time(), symbol))
        found = self.on_record.get(symbol)
        if isinstance(found, RestError):
            raise found
        return [] if found is None else [found]

    def normalize_symbol(self, symbol: str) -> str:
        """All names are the same."""
        return symbol

    def venue_symbol(self, normalized: str) -> str:
        """All names are the same."""
        return normalized

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> Adapter:
        """Return a word adapter."""
        return WordAdapter(symbols, stats)

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:  # noqa: ARG002 - the contract's
        """There are none."""
        return []

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:  # noqa: ARG002 - the contract's
        """There are none."""
        return []
