"""The tickers of the simulated OKX: of what traded, at most one in 100 ms, with sides that are certain.

A ticker does not tell its side; a recorder takes that of the last trade that it got. What the ledger says of
a ticker has to be what any recorder finds. So none is sent while that depends on what a client remembers, or
on which of two sockets is read first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Final

import trio

from multilogger.simulator.ledger import TickerEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.okx import messages
from multilogger.simulator.okx.client import OkxClient, Told
from multilogger.simulator.okx.messages import ALL_TRADES, TICKERS, TRADES, Ticker
from multilogger.simulator.okx.requests import OkxRequests

TICKER_SECS: Final = 0.1
"""Between two tickers of an instrument, at least."""
SETTLE_SECS: Final = 0.25
"""Who gets trades and tickers over two sockets may have a ticker before a trade that was sent so long ago."""


class OkxTickers(OkxRequests):
    """The part of a venue that sends tickers."""

    @cached_property
    def told(self) -> dict[str, float]:
        """When any client was last told a trade of a symbol, or a ticker; on Trio's clock."""
        return {}

    @cached_property
    def _tickers(self) -> dict[str, Ticker]:
        """The newest ticker of each symbol."""
        return {}

    def step(self, fills: int) -> int:
        """Let the market make ``fills`` trades or a few more, send them and then tickers of what traded."""
        made = super().step(fills)
        self._send_tickers()
        return made

    def every_second(self) -> None:
        """Send the tickers that were too many when something traded."""
        self._send_tickers()

    def replay_ticker(self, symbol: str, client: OkxClient) -> None:
        """Send the current ticker, if its side is certain."""
        if not self._side_is_certain(symbol, [client]):
            return
        cascade, known = self.market.markets[symbol].cascades[-1], self._tickers.get(symbol)
        side = self._known_side(symbol, client)
        if known is None or known.cascade is not cascade or known.bought not in (None, side):
            # One that was recorded with another side would be another row.
            known = self._ticker(cascade)
        self._show(known, [client])

    def tell_trade(self, symbol: str, fill: Fill, clients: list[OkxClient]) -> None:
        """Note who is told of a trade."""
        self.told[symbol] = trio.current_time()
        for client in clients:
            client.tell(symbol, Told(fill.trade_id, fill.time_ns, fill.bought))

    def _send_tickers(self) -> None:
        """Send the tickers of what has traded, unless the last one was a moment ago."""
        if self.silent:
            return
        for symbol, market in self.market.markets.items():
            known = self._tickers.get(symbol)
            cascade = market.cascades[-1] if market.cascades else None
            if cascade is None or (known is not None and known.cascade is cascade):
                continue
            if known is not None and trio.current_time() < known.made_at + TICKER_SECS:
                continue
            topic = f"{TICKERS}:{symbol}"
            clients = self.listeners(topic)
            if self._side_is_certain(symbol, clients):
                fresh = self._tickers[symbol] = self._ticker(cascade)
                self.detour.send(topic, clients, partial(self._send_ticker, fresh), repeatable=False)
        self.ledger.commit()

    def _ticker(self, cascade: Cascade) -> Ticker:
        now_ns = self.clock() // messages.MILLISECOND * messages.MILLISECOND
        return Ticker(cascade, now_ns, trio.current_time())

    def _send_ticker(self, it: Ticker, clients: list[OkxClient]) -> None:
        # One held back may have opened a subscription meanwhile, and its side may be uncertain by now.
        if not it.sent and self._side_is_certain(it.cascade.instrument.symbol, clients):
            self._show(it, clients)

    def _show(self, it: Ticker, clients: Sequence[OkxClient]) -> None:
        symbol = it.cascade.instrument.symbol
        it.sent = True
        self.told.setdefault(symbol, -math.inf)
        sides = [self._ticker_side(it, client) for client in clients]
        known = [side for side in sides if side is not None]
        if known and it.bought is None:
            it.bought = known[0]
            self._enter_ticker(it, known[0])
        self.broadcast(clients, messages.ticker(it))

    def _enter_ticker(self, it: Ticker, bought: bool) -> None:
        cascade = it.cascade
        self.ledger.ticker(
            TickerEntry(
                symbol=cascade.instrument.symbol,
                time_ns=it.time_ns,
                sequence=cascade.quote.update_id,
                price=cascade.last.price,
                volume=it.size,
                best_bid=cascade.quote.bid,
                best_ask=cascade.quote.ask,
                bought=bought,
            )
        )

    def _sources(self, symbol: str, client: OkxClient) -> list[OkxClient]:
        """Return the connections by which the client's recorder gets the trades of a symbol."""
        if f"{TRADES}:{symbol}" in client.topics:
            return [client]
        return list(self.subscribers.get(f"{ALL_TRADES}:{symbol}", ()))

    def _side_is_certain(self, symbol: str, clients: Sequence[OkxClient]) -> bool:
        """Return whether all clients are sure to find the same side for a ticker, or all of them none."""
        sides: set[bool] = set()
        for client in clients:
            sources = self._sources(symbol, client)
            told = [source.newest[symbol] for source in sources if symbol in source.newest]
            if any(source.wonders(symbol) for source in sources) or 0 < len(told) < len(sources):
                return False
            if sources != [client] and f"{ALL_TRADES}:{symbol}" in self.followed:
                settled = self.told.get(symbol, -math.inf) + SETTLE_SECS <= trio.current_time()
                if not (sources and settled):
                    return False
            sides |= {one.bought for one in told}
        return len(sides) <= 1

    def _known_side(self, symbol: str, client: OkxClient) -> bool | None:
        """Return the side that the client's recorder knows by trades."""
        told = (source.newest.get(symbol) for source in self._sources(symbol, client))
        return next((one.bought for one in told if one is not None), None)

    def _ticker_side(self, it: Ticker, client: OkxClient) -> bool | None:
        """Return the side that the client's recorder finds: that of the last trade, else by the tick rule."""
        symbol = it.cascade.instrument.symbol
        known = self._known_side(symbol, client)
        return client.tick(symbol, float(it.cascade.last.price)) if known is None else known
