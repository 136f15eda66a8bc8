"""Coinbase Exchange's past trades, by REST.

https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducttrades::

    GET /products/BTC-USD/trades?limit=1000&after=700102
    [{"trade_id":700101,"side":"buy","size":"0.50000000","price":"63999.00000000",
      "time":"2026-11-22T10:00:00.123456Z"}, ..]

The newest comes first, ids are below ``after``, back to the first trade. ``before`` is of no use: it gives
the newest page above an id, not the page next to it. The side is the maker's, as in a match; order ids are
not told. Answers come from a cache, and may be some seconds old.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from multilogger.exchanges.base import HttpGet, TradeHistory
from multilogger.exchanges.coinbase.messages import PAST_TRADE_SPEC, PastTradeData, trade_of
from multilogger.exchanges.fields import convert, unnamed
from multilogger.exchanges.history import read_page
from multilogger.records import Flag, Trade

HISTORY: Final = TradeHistory(page=1000)
_FIELDS: Final = frozenset(name for name, _, _ in PAST_TRADE_SPEC)


async def fetch_page(
    http_get: HttpGet, endpoint: str, symbol: str, limit: int, after: int | None = None
) -> list[Trade]:
    """Fetch the newest trades of a product, the oldest first.

    Args:
        http_get: asks.
        endpoint: of the REST API.
        symbol: the product.
        limit: how many at most.
        after: only ids below this one.

    Raises:
        RestError: the exchange did not answer, or not as documented.
    """
    source = f"{endpoint.rstrip('/')}/products/{quote(symbol, safe='')}/trades"
    params = {"limit": str(limit)} if after is None else {"limit": str(limit), "after": str(after)}
    body = await http_get(source, params)
    return read_page(body, partial(_past_trade, symbol), source)


def _past_trade(symbol: str, entry: Mapping[str, Any]) -> Trade:
    data = convert(entry, PastTradeData, PAST_TRADE_SPEC)
    return trade_of(data, symbol, flags=Flag.BACKFILLED, rest=unnamed(entry, _FIELDS))
