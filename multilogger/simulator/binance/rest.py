"""The public REST API of Binance spot, from a market's memory.

Source: binance-spot-api-docs, ``rest-api.md`` (Market Data endpoints) and ``errors.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from multilogger.simulator.binance import messages
from multilogger.simulator.market import InstrumentMarket, Market
from multilogger.simulator.rest import Request, Response

_PAGE: Final = 500
_MAX_PAGE: Final = 1000
_INVALID_SYMBOL: Final = (-1121, "Invalid symbol.")
_NO_SYMBOL: Final = (-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
_ILLEGAL: Final = (-1100, "Illegal characters found in a parameter.")
_WEIGHTS: Final = {
    "/api/v3/ping": 1,
    "/api/v3/time": 1,
    "/api/v3/exchangeInfo": 20,
    "/api/v3/trades": 25,
    "/api/v3/historicalTrades": 25,
    "/api/v3/aggTrades": 4,
}

Row = TypeVar("Row")


def weight(request: Request) -> int:
    """Return what a request weighs."""
    return _WEIGHTS.get(request.path, 1)


def answer_rest(market: Market, clock: Callable[[], int], request: Request) -> Response:
    """Return the answer to a request."""
    if request.path not in _WEIGHTS:
        return Response.of({"code": 0, "msg": "Not Found"}, 404)
    if request.path == "/api/v3/ping":
        return Response.of({})
    if request.path == "/api/v3/time":
        return Response.of({"serverTime": clock() // messages.MILLISECOND})
    if request.path == "/api/v3/exchangeInfo":
        return _exchange_info(market, clock, request)
    return _rows(market, request)


def _exchange_info(market: Market, clock: Callable[[], int], request: Request) -> Response:
    wanted = request.query.get("symbol")
    if wanted is not None and wanted not in market.instruments:
        return _error(_INVALID_SYMBOL)
    symbols = [messages.listed(i) for i in market.instruments.values() if wanted in (None, i.symbol)]
    return Response.of(
        {
            "timezone": "UTC",
            "serverTime": clock() // messages.MILLISECOND,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
            ],
            "exchangeFilters": [],
            "symbols": symbols,
        }
    )


def _rows(market: Market, request: Request) -> Response:
    symbol = request.query.get("symbol")
    if not symbol:
        return _error(_NO_SYMBOL)
    if symbol not in market.markets:
        return _error(_INVALID_SYMBOL)
    try:
        limit = min(request.integer("limit", _PAGE) or _PAGE, _MAX_PAGE)
        from_id = None if request.path == "/api/v3/trades" else request.integer("fromId")
    except ValueError:
        return _error(_ILLEGAL)
    micro = request.headers.get("x-mbx-time-unit", "").upper() == "MICROSECOND"
    unit_ns = messages.MICROSECOND if micro else messages.MILLISECOND
    make = _aggregates if request.path == "/api/v3/aggTrades" else _trades
    return Response.of(make(market.markets[symbol], from_id, limit, unit_ns))


def _trades(market: InstrumentMarket, from_id: int | None, limit: int, unit_ns: int) -> list[dict[str, Any]]:
    fills = market.span(from_id)
    return [messages.rest_trade(fill, unit_ns) for fill in _page(fills, from_id, limit)]


def _aggregates(
    market: InstrumentMarket, from_id: int | None, limit: int, unit_ns: int
) -> list[dict[str, Any]]:
    rows = [
        aggregate
        for cascade in market.cascades
        for aggregate in messages.aggregates(cascade)
        if from_id is None or aggregate.aggregate_id >= from_id
    ]
    return [messages.rest_agg_trade(row, unit_ns) for row in _page(rows, from_id, limit)]


def _page(rows: Iterable[Row], from_id: int | None, limit: int) -> list[Row]:
    """Return a page, oldest first: from an id on, or the newest."""
    kept = list(rows)
    return kept[-limit:] if from_id is None else kept[:limit]


def _error(error: tuple[int, str]) -> Response:
    return Response.of({"code": error[0], "msg": error[1]}, 400)
