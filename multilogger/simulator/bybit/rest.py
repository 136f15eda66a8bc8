"""The public REST interface of Bybit v5, from a market's memory.

Source: bybit-exchange.github.io/docs/v5/market, "Get Instruments Info", "Get Public Recent Trading History",
and ``/v5/rate-limit``. Errors come with status 200; but an address that asks too often gets 403, for ten
minutes. What is off-line is listed apart, as contracts before their launch are; spot has none such in truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote

import attrs

from multilogger.simulator.instruments import Instrument
from multilogger.simulator.market import Fill, Market
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules, Window

BAN_SECS: Final = 600.0
_FORBIDDEN: Final = 403
_PARAMS_ERROR: Final = 10001
_TOO_MANY: Final = 10006
_MOST: Final = 1000
_USUAL: Final = 500
_MOST_SPOT: Final = 60
_STATUSES: Final = {"Trading": True, "PreLaunch": False}


@attrs.define(kw_only=True)
class BybitRules(Rules):
    """Bybit's allowances: who asks for too much is shut out, and not told for how long."""

    def _refusal(self, status: int, now: float) -> Response:  # noqa: ARG002 - it is always the same
        return Response.of(_body(None, 0, _TOO_MANY, "Too many visits!"), _FORBIDDEN)


def make_rules() -> BybitRules:
    """Return what an address may ask for: 500 connects in five minutes, 600 requests in five seconds."""
    return BybitRules(
        connects=Window(500, 300.0),
        weight=Window(600, 5.0),
        retry_after_secs=BAN_SECS,
        ban_secs=BAN_SECS,
    )


@attrs.frozen
class Rest:
    """Answers the requests of one category.

    Args:
        market: what is listed, and has traded.
        clock: exchange time, nanoseconds since the epoch.
        category: ``spot``, ``linear`` or ``inverse``.
        listed: spells an instrument.
        past_trade: spells a trade of a symbol.
    """

    market: Market
    clock: Callable[[], int]
    category: str
    listed: Callable[[Instrument], dict[str, Any]]
    past_trade: Callable[[str, Fill], dict[str, Any]]

    def answer(self, request: Request) -> Response:
        """Answer ``instruments-info``, ``recent-trade`` and ``time``."""
        if request.path == "/v5/market/time":
            seconds = self.clock() // 1_000_000_000
            return self._good({"timeSecond": str(seconds), "timeNano": str(self.clock())})
        make = {
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/recent-trade": self._recent,
        }.get(request.path)
        if make is None:
            return Response(404, b"")
        if request.query.get("category") != self.category:
            return self._bad("params error: Category is invalid")
        try:
            return make(request)
        except ValueError:
            return self._bad("params error: limit is invalid")

    def _instruments(self, request: Request) -> Response:
        wanted, status = request.query.get("symbol"), request.query.get("status", "Trading")
        found = [
            instrument
            for instrument in self.market.instruments.values()
            if wanted in (None, instrument.symbol)
            and (self.category == "spot" or _STATUSES.get(status) is instrument.online)
        ]
        if self.category == "spot":
            return self._good({"category": "spot", "list": [self.listed(it) for it in found]})
        found.sort(key=lambda it: it.symbol)
        # The cursor is quoted already: whether it is quoted again or not, it comes back as one of these two.
        after = dict(
            part.partition("=")[::2] for part in unquote(request.query.get("cursor", "")).split("&")
        ).get("last", "")
        left = [it for it in found if it.symbol > after]
        page = left[: _limit(request, _USUAL, _MOST)]
        cursor = f"first={page[0].symbol}&last={page[-1].symbol}" if len(page) < len(left) else ""
        result = {"category": self.category, "list": [self.listed(it) for it in page]}
        return self._good({**result, "nextPageCursor": quote(cursor)})

    def _recent(self, request: Request) -> Response:
        symbol = request.query.get("symbol", "")
        if symbol not in self.market.markets:
            return self._bad("params error: Symbol Invalid")
        spot = self.category == "spot"
        limit = _limit(request, _MOST_SPOT, _MOST_SPOT) if spot else _limit(request, _USUAL, _MOST)
        fills = self.market.markets[symbol].span()[: -limit - 1 : -1]
        return self._good(
            {"category": self.category, "list": [self.past_trade(symbol, fill) for fill in fills]}
        )

    def _good(self, result: Any) -> Response:
        return Response.of(_body(result, self.clock()))

    def _bad(self, words: str) -> Response:
        return Response.of(_body({}, self.clock(), _PARAMS_ERROR, words))


def _limit(request: Request, usual: int, most: int) -> int:
    limit = request.integer("limit", usual) or usual
    if limit < 1:
        raise ValueError(f"limit {limit}")
    return min(limit, most)


def _body(result: Any, now_ns: int, code: int = 0, words: str = "OK") -> dict[str, Any]:
    return {
        "retCode": code,
        "retMsg": words,
        "result": {} if result is None else result,
        "retExtInfo": {},
        "time": now_ns // 1_000_000,
    }
