"""OKX's past trades, by REST."""

from __future__ import annotations

import json

import attrs
import pytest
from exchanges_okx_tools import BUY, served

from multilogger.errors import ListingError, RateLimited
from multilogger.exchanges.base import TradeIds
from multilogger.exchanges.okx.exchange import Okx, OkxConfig
from multilogger.records import Flag, Side


def past(trade_id: int, **fields: str) -> dict[str, str]:
    """Return an entry of a page, in the documented shape."""
    times = {"tradeId": str(trade_id), "ts": str(1_795_341_600_000 + trade_id)}
    return {
        "instId": "BTC-USDT",
        "side": "sell",
        "sz": "0.5",
        "source": "0",
        "px": "63999",
        **times,
        **fields,
    }


async def test_okx_history_is_asked_for_below_an_id() -> None:
    """A span is asked for from above, as much as a page holds; what lies below it is left out."""
    exchange, rest = served({("history-trades", "BTC-USDT"): [past(it) for it in range(20, 8, -1)]})
    trades = await exchange.fetch_trades("BTC-USDT", 11, 20, 0)
    assert [trade.trade_id for trade in trades] == list(range(11, 21))
    await exchange.fetch_trades("BTC-USDT", 11, 4000, 0)
    query = {"instId": "BTC-USDT", "type": "1"}
    url = "https://openapi.okx.com/api/v5/market/history-trades"
    assert rest.asked == [
        (url, {**query, "after": "21", "limit": "10"}),
        (url, {**query, "after": "4001", "limit": "100"}),
    ]


async def test_okx_history_says_what_the_stream_says() -> None:
    """A past trade has the bounds, side and time of a live one, is a single fill, and keeps other fields."""
    entry = {name: BUY["data"][0][name] for name in ("instId", "tradeId", "px", "sz", "side", "ts", "source")}
    exchange, rest = served({("trades", "BTC-USDT"): [entry, past(5, px=""), past(3)]})
    oldest, trade = await exchange.fetch_newest("BTC-USDT")
    assert rest.asked[0][1] == {"instId": "BTC-USDT", "limit": "100"}
    (live,) = exchange.parse_trade_data(json.dumps(BUY).encode())
    rest_of_it = {"instId": "BTC-USDT", "source": "0"}
    assert trade == attrs.evolve(live, flags=Flag.BACKFILLED, exchange_specific=rest_of_it)
    assert (oldest.trade_id, oldest.side, oldest.count) == (3, Side.SELL, 1)


async def test_okx_history_errors() -> None:
    """Too many requests ask for a pause in OKX's own words, other errors are told as they are."""
    body = b'{"code":"50011","msg":"Too Many Requests","data":[]}'
    exchange, _ = served({("trades", "BTC-USDT"): body})
    with pytest.raises(RateLimited, match="code 50011: Too Many Requests") as raised:
        await exchange.fetch_newest("BTC-USDT")
    assert raised.value.retry_after_secs == 2.0
    exchange, _ = served({("trades", "BTC-USDT"): b'{"code":"51001","msg":"no such","data":[]}'})
    with pytest.raises(ListingError, match="market/trades: code 51001: no such"):
        await exchange.fetch_newest("BTC-USDT")


def test_okx_history_is_stated() -> None:
    """Ids rise by one as far as is known; the past reaches back three months, a hundred trades a page."""
    exchange = Okx(OkxConfig())
    assert exchange.trade_ids is TradeIds.SUSPECTED
    assert exchange.history is not None
    history = exchange.history
    assert (history.by_id, history.max_age_secs, history.page) == (True, 90 * 86400.0, 100)
