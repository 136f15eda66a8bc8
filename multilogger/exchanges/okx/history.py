"""OKX's past trades, by REST.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history::

    GET /api/v5/market/history-trades?instId=BTC-USDT&type=1&after=900124&limit=100
    {"code":"0","msg":"","data":[{"instId":"BTC-USDT","side":"buy","sz":"0.01","source":"0","px":"64000.1",
      "tradeId":"900123","ts":"1795341600100"}, ..]}

The newest comes first, ids are below ``after``, of the last three months. ``before`` alone is of no use: it
gives the newest page. ``GET /api/v5/market/trades?limit=`` gives the newest, 500 at most. Every fill is a
trade of its own here, also where the stream has merged several.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from multilogger.errors import ListingError, RateLimited
from multilogger.exchanges.base import HttpGet, TradeHistory
from multilogger.exchanges.fields import UNREADABLE, convert, unnamed
from multilogger.exchanges.history import read_page
from multilogger.exchanges.okx.messages import TRADE_SPEC, TradeData, trade_of
from multilogger.records import Flag, Trade

HISTORY: Final = TradeHistory(page=100, max_age_secs=90 * 86400.0)
_FIELDS: Final = frozenset(name for name, _, _ in TRADE_SPEC)
_TOO_MANY: Final = "50011"
_PAUSE_SECS: Final = 2.0
"""All allowances are so much in two seconds."""


class _Answer(msgspec.Struct):
    """What stands around the data of every answer."""

    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


def data_of(body: bytes, source: str) -> bytes:
    """Return the data of an answer, still encoded.

    Args:
        body: of the answer.
        source: the URL, for messages.

    Raises:
        RateLimited: these were too many requests.
        ListingError: the answer is an error, or none at all.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except UNREADABLE as error:
        raise ListingError(f"{source}: no answer: {error}: {body[:200].decode(errors='replace')}") from error
    if answer.code == _TOO_MANY:
        raise RateLimited(f"{source}: code {answer.code}: {answer.msg}", _PAUSE_SECS)
    if answer.code != "0":
        raise ListingError(f"{source}: code {answer.code}: {answer.msg}")
    return bytes(answer.data)


async def fetch_page(http_get: HttpGet, endpoint: str, symbol: str, limit: int, after: int) -> list[Trade]:
    """Fetch the trades below an id, the oldest first.

    Args:
        http_get: asks.
        endpoint: of the REST API.
        symbol: the instrument.
        limit: how many at most; the newest of them.
        after: only ids below this one.

    Raises:
        RestError: the exchange did not answer, or not as documented.
    """
    params = {"instId": symbol, "type": "1", "after": str(after), "limit": str(limit)}
    return await _fetch(http_get, f"{endpoint}/api/v5/market/history-trades", params)


async def fetch_newest(http_get: HttpGet, endpoint: str, symbol: str) -> list[Trade]:
    """Fetch the newest trades of an instrument, the oldest first; the same errors."""
    params = {"instId": symbol, "limit": str(HISTORY.page)}
    return await _fetch(http_get, f"{endpoint}/api/v5/market/trades", params)


async def _fetch(http_get: HttpGet, source: str, params: Mapping[str, str]) -> list[Trade]:
    body = await http_get(source, params)
    return read_page(data_of(body, source), partial(_past_trade, params["instId"]), source)


def _past_trade(symbol: str, entry: Mapping[str, Any]) -> Trade:
    data = convert(entry, TradeData, TRADE_SPEC)
    return trade_of(data, symbol, flags=Flag.BACKFILLED, rest=unnamed(entry, _FIELDS))
