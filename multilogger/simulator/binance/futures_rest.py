"""The public REST APIs of Binance's futures, from a market's memory.

Source: developers.binance.com, "USDS-Margined Futures" and "COIN-Margined Futures", "Market Data Endpoints".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from multilogger.simulator.binance import futures_messages as messages
from multilogger.simulator.binance.messages import MILLISECOND
from multilogger.simulator.market import InstrumentMarket, Market
from multilogger.simulator.rest import Request, Response

_PAGE: Final = 500
_MAX_PAGE: Final = 1000
_DAY_NS: Final = 86_400 * 10**9
"""Aggregate trades are told for so long."""
_INVALID_SYMBOL: Final = (-1121, "Invalid symbol.")
_NO_SYMBOL: Final = (-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
_ILLEGAL: Final = (-1100, "Illegal characters found in a parameter.")
_NO_KEY: Final = (-2014, "API-key format invalid.")
_WEIGHTS: Final = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 1,
    "trades": 5,
    "aggTrades": 20,
    "historicalTrades": 20,
}


@attrs.frozen
class FuturesRest:
    """One market's API.

    Attributes:
        base: path up to the version, such as ``/fapi/v1``.
        number: of the market: 1 USD-M, 2 COIN-M.
        market: what trades.
        clock: exchange time, nanoseconds since the epoch.
    """

    base: str
    number: int
    market: Market
    clock: Callable[[], int]

    def weight(self, request: Request) -> int:
        """Return what a request weighs."""
        return _WEIGHTS.get(self._name(request), 1)

    def answer(self, request: Request) -> Response:
        """Return the answer to a request."""
        name = self._name(request)
        now_ms = self.clock() // MILLISECOND
        if name == "ping":
            return Response.of({})
        if name == "time":
            return Response.of({"serverTime": now_ms})
        if name == "exchangeInfo":
            symbols = [messages.listed(it, self.number) for it in self.market.instruments.values()]
            limits = [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
            ]
            return Response.of(
                {"timezone": "UTC", "serverTime": now_ms, "rateLimits": limits, "symbols": symbols}
            )
        if name == "historicalTrades":
            return _error(_NO_KEY, 401)
        return self._rows(name, request) if name in _WEIGHTS else Response.of({"code": -5000}, 404)

    def _name(self, request: Request) -> str:
        base, _, name = request.path.rpartition("/")
        return name if base == self.base else ""

    def _rows(self, name: str, request: Request) -> Response:
        symbol = request.query.get("symbol")
        if not symbol:
            return _error(_NO_SYMBOL)
        if symbol not in self.market.markets:
            return _error(_INVALID_SYMBOL)
        try:
            limit = min(request.integer("limit", _PAGE) or _PAGE, _MAX_PAGE)
            from_id = request.integer("fromId")
        except ValueError:
            return _error(_ILLEGAL)
        market = self.market.markets[symbol]
        return Response.of(
            _trades(market, limit) if name == "trades" else self._aggregates(market, from_id, limit)
        )

    def _aggregates(self, market: InstrumentMarket, from_id: int | None, limit: int) -> list[dict[str, Any]]:
        oldest_ns = self.clock() - _DAY_NS
        rows = [
            aggregate
            for cascade in market.cascades
            if cascade.last.time_ns >= oldest_ns
            for aggregate in messages.aggregates(cascade)
            if from_id is None or aggregate.aggregate_id >= from_id
        ]
        page = rows[-limit:] if from_id is None else rows[:limit]
        return [messages.rest_agg_trade(row) for row in page]


def _trades(market: InstrumentMarket, limit: int) -> list[dict[str, Any]]:
    fills = [fill for cascade in market.cascades for run in messages.on_book(cascade) for fill in run]
    return [messages.rest_trade(fill) for fill in fills[-limit:]]


def _error(error: tuple[int, str], status: int = 400) -> Response:
    return Response.of({"code": error[0], "msg": error[1]}, status)
