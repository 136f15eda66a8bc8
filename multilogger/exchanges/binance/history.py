"""Binance spot's past trades, by REST.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints::

    GET /api/v3/historicalTrades?symbol=BTCUSDT&fromId=5000001&limit=1000
    [{"id":5000001,"price":"64000.10000000","qty":"0.01000000","quoteQty":"640.00100000",
      "time":1795341600100,"isBuyerMaker":true,"isBestMatch":true}, ..]
    GET /api/v3/aggTrades?symbol=BTCUSDT&fromId=3000001&limit=1000
    [{"a":3000001,"p":"64000.10","q":"0.03","f":5000001,"l":5000003,"T":1795341600100,"m":true,"M":true}, ..]

Ids rise from ``fromId`` on, the oldest first, back to the first trade; ``/api/v3/trades``, and ``aggTrades``
without ``fromId``, give the newest. Times are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs
import msgspec

from multilogger.exchanges.base import HttpGet, TradeHistory
from multilogger.exchanges.binance.messages import SPECS, AggTradeData, TradeData, trade_of
from multilogger.exchanges.fields import Spec, convert, unnamed
from multilogger.exchanges.history import read_page
from multilogger.records import Flag, Trade

HISTORY: Final = TradeHistory(page=1000)


class PastTradeData(TradeData):
    """An entry of ``historicalTrades`` and ``trades``."""

    t: int = msgspec.field(name="id")
    p: float = msgspec.field(name="price")
    q: float = msgspec.field(name="qty")
    T: int = msgspec.field(name="time")
    m: bool = msgspec.field(name="isBuyerMaker")


PAST_TRADE_SPEC: Final[Spec] = (
    ("id", int, "bad id"),
    ("price", float, "bad price"),
    ("qty", float, "bad size"),
    ("time", int, "bad time"),
    ("isBuyerMaker", bool, "bad side"),
)


@attrs.frozen
class _Source:
    """Where the past trades of a kind of stream are."""

    by_id: str
    newest: str
    weight: int
    data: type[TradeData]
    spec: Spec


_SOURCES: Final = {
    "trade": _Source("historicalTrades", "trades", 25, PastTradeData, PAST_TRADE_SPEC),
    "aggTrade": _Source("aggTrades", "aggTrades", 4, AggTradeData, SPECS["aggTrade"]),
}


async def fetch_page(
    http_get: HttpGet, endpoint: str, stream: str, symbol: str, limit: int, first: int | None = None
) -> list[Trade]:
    """Fetch trades from an id on, or the newest; the oldest first.

    Args:
        http_get: asks.
        endpoint: of the REST API.
        stream: ``trade`` or ``aggTrade``: which ids are meant.
        symbol: whose.
        limit: how many at most.
        first: the lowest id; None for the newest trades.

    Raises:
        RestError: the exchange did not answer, or not as documented.
    """
    source = _SOURCES[stream]
    params = {"symbol": symbol, "limit": str(limit)}
    if first is not None:
        params["fromId"] = str(first)
    url = f"{endpoint.rstrip('/')}/api/v3/{source.newest if first is None else source.by_id}"
    body = await http_get(url, params, weight=source.weight)
    return read_page(body, partial(_past_trade, symbol, source), url)


def _past_trade(symbol: str, source: _Source, entry: Mapping[str, Any]) -> Trade:
    data = convert(entry, source.data, source.spec)
    named = frozenset(name for name, _, _ in source.spec)
    return trade_of(data, symbol, flags=Flag.BACKFILLED, rest=unnamed(entry, named))
