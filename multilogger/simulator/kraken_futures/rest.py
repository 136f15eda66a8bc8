"""The public REST API of Kraken Futures, from a market's memory.

Source: Kraken documentation, "Derivatives REST: Get instruments, Get trade history".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any, Final

from multilogger.simulator.kraken_futures import messages
from multilogger.simulator.market import Market
from multilogger.simulator.rest import Request, Response

_PAGE: Final = 100
_ROOT: Final = "/derivatives/api/v3/"
_NANOS: Final = 1_000_000_000
_DAYS_BACK_NS: Final = 7 * 86_400 * _NANOS


def answer_rest(market: Market, clock: Callable[[], int], request: Request) -> Response:
    """Answer ``instruments`` and ``history``."""
    time = {"serverTime": messages.iso(clock())}
    if request.path == f"{_ROOT}instruments":
        return _success({"instruments": _instruments(market)}, time)
    if request.path != f"{_ROOT}history":
        return _failure(404, "NOT_FOUND", 0, "404 NOT_FOUND", time)
    symbol = request.query.get("symbol", "").upper()
    if symbol not in market.markets:
        return _failure(400, "BAD_REQUEST", 11, "Argument invalid: symbol", time)
    try:
        before_ns = _time_ns(request.query["lastTime"]) if "lastTime" in request.query else None
    except ValueError:
        return _failure(400, "BAD_REQUEST", 11, "Argument invalid: lastTime", time)
    return _success({"history": _history(market, symbol, before_ns, clock() - _DAYS_BACK_NS)}, time)


def _instruments(market: Market) -> list[dict[str, Any]]:
    instruments = list(market.instruments.values())
    return [*map(messages.listed, instruments), *map(messages.index, instruments)]


def _history(market: Market, symbol: str, before_ns: int | None, since_ns: int) -> list[dict[str, Any]]:
    """Return the newest trades, or those before a time, the newest first."""
    found = (
        fill
        for fill in reversed(market.markets[symbol].recent)
        if fill.time_ns >= since_ns and (before_ns is None or fill.time_ns < before_ns)
    )
    return [messages.past_trade(fill) for fill in islice(found, _PAGE)]


def _time_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000) * messages.MILLISECOND


def _success(content: dict[str, Any], time: dict[str, str]) -> Response:
    return Response.of({"result": "success", **content, **time})


def _failure(status: int, word: str, code: int, message: str, time: dict[str, str]) -> Response:
    errors = [{"code": code, "message": message}]
    return Response.of({"status": word, "result": "error", "errors": errors, **time}, status)
