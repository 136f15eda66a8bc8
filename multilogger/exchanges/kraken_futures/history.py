"""Kraken Futures' past trades, by REST.

https://docs.kraken.com/api/docs/futures-api/trading/get-history::

    GET /derivatives/api/v3/history?symbol=PF_XBTUSD
    {"result":"success","history":[{"time":"2026-11-22T10:00:00.123Z","trade_id":421135,"price":64000.5,
     "size":0.0125,"side":"sell","type":"fill","uid":"0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c3d"},..],
     "serverTime":"2026-11-22T10:00:01.000Z"}

The newest 100 trades, or those before ``lastTime``, the newest first, back 7 days or to the last restart of
the exchange's engine. The side is the taker's. Trades can be asked for by time alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import HttpGet, TradeHistory
from multilogger.exchanges.fields import IsoClock, Spec, convert, unnamed
from multilogger.exchanges.history import read_page
from multilogger.exchanges.kraken_futures.messages import sequence_of, trade_of
from multilogger.exchanges.listing import decode_listing
from multilogger.records import Flag, Trade

HISTORY: Final = TradeHistory(by_id=False, max_age_secs=7 * 86_400.0, page=100)


class PastTradeData(msgspec.Struct, gc=False):
    """An entry of ``history``."""

    uid: str
    side: str
    time: str
    size: float
    price: float


PAST_TRADE_SPEC: Final[Spec] = (
    ("uid", str, "bad id"),
    ("side", str, "bad side"),
    ("time", str, "bad time"),
    ("size", float, "bad size"),
    ("price", float, "bad price"),
)
_FIELDS: Final = frozenset(name for name, _, _ in PAST_TRADE_SPEC)


async def fetch_newest(http_get: HttpGet, endpoint: str, symbol: str) -> list[Trade]:
    """Fetch the newest trades of a product, the oldest first.

    Args:
        http_get: asks.
        endpoint: of the REST API.
        symbol: the product.

    Raises:
        RestError: the exchange did not answer, or not as documented.
    """
    url = f"{endpoint.rstrip('/')}/derivatives/api/v3/history"
    body = decode_listing(await http_get(url, {"symbol": symbol}), url)
    entries = body.get("history") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise ListingError(f"{url}: no history of trades: {str(body)[:200]}")
    trades = read_page(msgspec.json.encode(entries), partial(_past_trade, symbol), url)
    return sorted(trades, key=lambda it: (it.time_ns, sequence_of(it.exchange_specific.get("trade_id"))))


def _past_trade(symbol: str, entry: Mapping[str, Any]) -> Trade:
    data = convert(entry, PastTradeData, PAST_TRADE_SPEC)
    try:
        time_ns = IsoClock().ns(data.time)
    except ValueError as error:
        raise FrameError("bad time") from error
    return trade_of(
        symbol,
        data.uid,
        time_ns=time_ns,
        price=data.price,
        size=data.size,
        side=data.side,
        flags=Flag.BACKFILLED,
        rest=unnamed(entry, _FIELDS),
    )
