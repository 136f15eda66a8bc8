"""The public REST API of OKX, from a market's memory.

Source: https://www.okx.com/docs-v5/en/, "Get instruments", "Get underlying", "Get trades", "Get trades
history" and "Error Code". A page of past trades has individual fills, also where the stream merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from multilogger.simulator.market import Fill, Market
from multilogger.simulator.okx import messages
from multilogger.simulator.okx.instruments import TYPES, family
from multilogger.simulator.rest import Request, Response

_NEWEST: Final = "/api/v5/market/trades"
_HISTORY: Final = "/api/v5/market/history-trades"
_PAGE: Final = 100
_MAX_NEWEST: Final = 500
_KINDS: Final = {name: kind for kind, name in TYPES.items()}
TOO_MANY: Final = ("50011", "Too Many Requests")


def weight(request: Request) -> float:
    """Return what a request weighs: most may be made 20 times in 2 s, that for the newest trades 100."""
    return 0.2 if request.path == _NEWEST else 1.0


def error(words: tuple[str, str], status: int = 400) -> Response:
    """Return an error, given its code and message."""
    return Response.of({"code": words[0], "msg": words[1], "data": []}, status)


def answer_rest(market: Market, clock: Callable[[], int], request: Request) -> Response:
    """Return the answer to a request."""
    if request.path == "/api/v5/public/time":
        return _data([{"ts": str(clock() // messages.MILLISECOND)}])
    if request.path == "/api/v5/public/instruments":
        return _instruments(market, request)
    if request.path == "/api/v5/public/underlying":
        return _underlying(market, request)
    if request.path in (_NEWEST, _HISTORY):
        return _trades(market, request)
    return error(("50002", "Incorrect API request"), 404)


def _data(data: Sequence[Any]) -> Response:
    return Response.of({"code": "0", "msg": "", "data": list(data)})


def _instruments(market: Market, request: Request) -> Response:
    query = request.query
    refusal = _refused_type(query.get("instType", ""))
    if refusal is not None:
        return refusal
    wanted = query.get("instFamily") or query.get("uly")
    if query["instType"] == "OPTION" and not wanted:
        return error(("50015", "Either parameter uly or instFamily is required."))
    found = [
        it
        for it in market.instruments.values()
        if TYPES[it.kind] == query["instType"]
        and wanted in (None, family(it))
        and query.get("instId") in (None, it.symbol)
    ]
    return _data([messages.listed(it) for it in found])


def _refused_type(kind: str) -> Response | None:
    if not kind:
        return error(("50014", "Parameter instType can not be empty."))
    return None if kind in _KINDS else error(("51000", "Parameter instType error"))


def _underlying(market: Market, request: Request) -> Response:
    kind = request.query.get("instType", "")
    refusal = _refused_type(kind)
    if refusal is not None or kind == "SPOT":
        return refusal or error(("51000", "Parameter instType error"))
    names = dict.fromkeys(family(it) for it in market.instruments.values() if TYPES[it.kind] == kind)
    return _data([list(names)])


def _trades(market: Market, request: Request) -> Response:
    symbol = request.query.get("instId", "")
    if not symbol:
        return error(("50014", "Parameter instId can not be empty."))
    if symbol not in market.markets:
        return error(("51001", "Instrument ID does not exist"), 200)
    history = request.path == _HISTORY
    try:
        limit = request.integer("limit", _PAGE) or _PAGE
        after, before = (request.integer("after"), request.integer("before")) if history else (None, None)
    except ValueError:
        return error(("51000", "Parameter limit error"))
    if request.query.get("type", "1") == "2" and history:
        fills = _earlier(market.markets[symbol].span(), after)
    else:
        # ``before`` gives the newest page above an id, not the page next to it.
        fills = market.markets[symbol].span(None if before is None else before + 1, after)
    newest = fills[: -min(limit, _PAGE if history else _MAX_NEWEST) - 1 : -1]
    return _data([messages.rest_trade(symbol, fill) for fill in newest])


def _earlier(fills: list[Fill], than_ms: int | None) -> list[Fill]:
    return [fill for fill in fills if than_ms is None or fill.time_ns // messages.MILLISECOND < than_ms]
