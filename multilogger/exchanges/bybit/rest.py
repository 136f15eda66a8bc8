"""Bybit's REST interface: listings and the newest trades.

https://bybit-exchange.github.io/docs/v5/market/instrument and ``/recent-trade``::

    GET /v5/market/instruments-info?category=linear&limit=1000&cursor=..
    {"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT",
     "contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT",
     "settleCoin":"USDT","deliveryTime":"0","priceFilter":{"tickSize":"0.10"},
     "lotSizeFilter":{"minOrderQty":"0.001",..},..},..],"nextPageCursor":""},..}
    GET /v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=60
    {"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"execId":"2100000000007764263",
     "symbol":"BTCUSDT","price":"64000.10","size":"0.010","side":"Buy","time":"1795341600100",
     "isBlockTrade":false,"isRPITrade":false,"seq":"70010001"},..]},..}

An error comes with HTTP status 200 and another ``retCode``. Only the newest trades can be had, 60 on spot and
1000 elsewhere, the newest first. A listing has what trades; contracts of before their launch are asked for
apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from multilogger.errors import ListingError, RateLimited
from multilogger.exchanges.base import HttpGet
from multilogger.exchanges.bybit.trades import TradeData, trade_of
from multilogger.exchanges.fields import UNREADABLE, Spec, convert, unnamed
from multilogger.exchanges.history import read_page
from multilogger.records import ExchangeId, Flag, Trade

TOO_MANY: Final = 10006
"""``retCode`` of a request too many."""
PAUSE_SECS: Final = 5.0
"""For which no requests are made then: the allowance is for as long."""
_PAGE: Final = 1000
_MOST_PAGES: Final = 100
"""Some hundred times as many instruments as there are."""


class _PastTradeData(TradeData):
    """An entry of ``recent-trade``."""

    i: str = msgspec.field(name="execId")
    T: int = msgspec.field(name="time")
    p: float = msgspec.field(name="price")
    v: float = msgspec.field(name="size")
    S: Literal["Buy", "Sell"] = msgspec.field(name="side")


PAST_TRADE_SPEC: Final[Spec] = (
    ("execId", str, "bad id"),
    ("time", int, "bad time"),
    ("price", float, "bad price"),
    ("size", float, "bad size"),
    ("side", Literal["Buy", "Sell"], "bad side"),
)
_PAST_TRADE_FIELDS: Final = frozenset({*(name for name, _, _ in PAST_TRADE_SPEC), "symbol"})


class _Result(msgspec.Struct, gc=False, rename="camel"):
    list: msgspec.Raw
    next_page_cursor: str = ""


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_result: Final = msgspec.json.Decoder(_Result).decode


def result_of(body: bytes, source: str, what: str) -> _Result:
    """Return what an answer brings.

    Args:
        body: of the answer.
        source: the URL, for messages.
        what: was asked for, for messages.

    Raises:
        RateLimited: the exchange wants no requests for a while.
        ListingError: it is no such answer, or says that the request failed.
    """
    try:
        answer = _decode_answer(body)
        if answer.ret_code == 0:
            return _decode_result(answer.result)
    except UNREADABLE as error:
        raise ListingError(f"{source}: no list of {what}: {error}") from error
    words = f"retCode {answer.ret_code}: {answer.ret_msg}"
    if answer.ret_code == TOO_MANY:
        raise RateLimited(f"{source}: {words}; no requests for {PAUSE_SECS:g} s", PAUSE_SECS)
    raise ListingError(f"{source}: no list of {what}: {words}")


async def fetch_entries(http_get: HttpGet, source: str, query: Mapping[str, str]) -> list[Any]:
    """Fetch the entries of all pages of a listing.

    Args:
        http_get: asks.
        source: the URL.
        query: of the first page.

    Raises:
        RestError: the exchange did not answer, or not as documented.
    """
    entries: list[Any] = []
    params = {**query, "limit": str(_PAGE)}
    for _ in range(_MOST_PAGES):
        result = result_of(await http_get(source, params), source, "instruments")
        page = msgspec.json.decode(result.list)
        if not isinstance(page, list):
            raise ListingError(f"{source}: no list of instruments: {str(page)[:200]}")
        entries += page
        if not result.next_page_cursor:
            return entries
        params["cursor"] = result.next_page_cursor
    raise ListingError(f"{source}: no end of the list of instruments after {_MOST_PAGES} pages")


async def fetch_newest(
    http_get: HttpGet, endpoint: str, exchange: ExchangeId, query: Mapping[str, str]
) -> list[Trade]:
    """Fetch the newest trades of a symbol, the oldest first.

    Args:
        http_get: asks.
        endpoint: of the REST interface.
        exchange: whose records these are.
        query: with ``symbol`` among it.

    Raises:
        RestError: the exchange did not answer, or not as documented.
    """
    source = f"{endpoint.rstrip('/')}/v5/market/recent-trade"
    result = result_of(await http_get(source, query), source, "trades")

    trades: list[Trade] = []

    def past_trade(entry: Mapping[str, Any]) -> Trade:
        data = convert(entry, _PastTradeData, PAST_TRADE_SPEC)
        rest = unnamed(entry, _PAST_TRADE_FIELDS)
        trade = trade_of(data, exchange, query["symbol"], flags=Flag.BACKFILLED, rest=rest)
        trades.append(trade)
        return trade

    # A page in order of ids is of no use: those that are UUIDs have none.
    read_page(bytes(result.list), past_trade, source)
    trades.reverse()
    return sorted(trades, key=lambda trade: trade.time_ns)
