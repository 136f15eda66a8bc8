"""The messages of Kraken Futures, as its WebSocket API v1 and REST API v3 spell them.

Source: Kraken documentation, "Derivatives WebSocket: Trade, Ticker, Ticker Lite, Heartbeat" and "Derivatives
REST: Get instruments, Get trade history". Prices and sizes are JSON numbers, times milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill

MILLISECOND: Final = 1_000_000
_HOUR_MS: Final = 3_600_000
_NANOS: Final = 1_000_000_000
_NODE_SHIFT: Final = 80
"""Above a UUID's version and variant."""
_NODE: Final = 1 << 48


def _uuid(fill: Fill) -> int:
    """Return the trade's UUID, made of its resting order's: no message tells that, and runs share those."""
    return int.from_bytes(fill.maker, "big") ^ (fill.trade_id % _NODE << _NODE_SHIFT)


def uid(fill: Fill) -> str:
    """Return the trade's UUID in text."""
    digits = f"{_uuid(fill):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def trade_id(fill: Fill) -> int:
    """Return the first 8 bytes of the trade's UUID as a number."""
    return _uuid(fill) >> 64


def taker_side(fill: Fill) -> str:
    """Return the aggressor's side."""
    return "buy" if fill.bought else "sell"


def trade(symbol: str, fill: Fill) -> bytes:
    """Return a trade; its number within the product rises by one."""
    return (
        f'{{"product_id":"{symbol}","feed":"trade","uid":"{uid(fill)}","side":"{taker_side(fill)}",'
        f'"type":"fill","time":{fill.time_ns // MILLISECOND},"qty":{fill.size},"price":{fill.price},'
        f'"seq":{fill.trade_id}}}'
    ).encode()


def trade_snapshot(symbol: str, newest_first: Iterable[Fill]) -> bytes:
    """Return the trades before a subscription."""
    trades = b",".join(trade(symbol, fill) for fill in newest_first)
    return b'{"feed":"trade_snapshot","product_id":"%s","trades":[%s]}' % (symbol.encode(), trades)


def ticker(cascade: Cascade, now_ns: int) -> bytes:
    """Return a ticker: last price, best quotes and 24-hour statistics at ``now_ns``."""
    instrument, quote, day = cascade.instrument, cascade.quote, cascade.day
    text, now_ms = instrument.price_text, now_ns // MILLISECOND
    volume = spell(day.volume, instrument.size_decimals)
    funding = (
        f'"funding_rate":1.5e-7,"funding_rate_prediction":2.5e-7,"relative_funding_rate":0.0000125,'
        f'"next_funding_rate_time":{now_ms - now_ms % _HOUR_MS + _HOUR_MS},'
        if instrument.expiry_ns is None
        else ""
    )
    return (
        f'{{"time":{now_ms},"product_id":"{instrument.symbol}",{funding}"leverage":"50x","premium":0.0,'
        f'"feed":"ticker","bid":{quote.bid},"ask":{quote.ask},"bid_size":{quote.bid_size},'
        f'"ask_size":{quote.ask_size},"volume":{volume},"dtm":0,"index":{quote.bid},'
        f'"last":{cascade.last.price},"change":0.0,"suspended":false,"tag":"{_tag(instrument)}",'
        f'"pair":"{instrument.base}:{instrument.quote}","openInterest":1000.0,"markPrice":{quote.ask},'
        f'"maturityTime":{(instrument.expiry_ns or 0) // MILLISECOND},"post_only":false,'
        f'"open":{text(day.open)},"high":{text(day.high)},"low":{text(day.low)}}}'
    ).encode()


def ticker_lite(cascade: Cascade) -> bytes:
    """Return the best quotes, without a time."""
    instrument, quote = cascade.instrument, cascade.quote
    volume = spell(cascade.day.volume, instrument.size_decimals)
    return (
        f'{{"feed":"ticker_lite","product_id":"{instrument.symbol}","bid":{quote.bid},"ask":{quote.ask},'
        f'"change":0.0,"premium":0.0,"volume":{volume},"tag":"{_tag(instrument)}",'
        f'"pair":"{instrument.base}:{instrument.quote}","dtm":0,'
        f'"maturityTime":{(instrument.expiry_ns or 0) // MILLISECOND}}}'
    ).encode()


def heartbeat(now_ns: int) -> bytes:
    """Return a sign of life."""
    return b'{"feed":"heartbeat","time":%d}' % (now_ns // MILLISECOND)


def subscribed(event: str, feed: str, symbol: str | None) -> bytes:
    """Return an acknowledgement, of a feed or of one product of it."""
    products = {} if symbol is None else {"product_ids": [symbol]}
    return encoded({"event": event, "feed": feed, **products})


def alert(words: str) -> bytes:
    """Return what the exchange says of a request that it does not follow."""
    return encoded({"event": "alert", "message": words})


def iso(time_ns: int) -> str:
    """Return a time as the REST API writes it: ISO 8601, UTC, milliseconds."""
    seconds, nanos = divmod(time_ns, _NANOS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos // MILLISECOND:03d}Z"


def listed(instrument: Instrument) -> dict[str, Any]:
    """Return an entry of ``instruments``."""
    inverse = instrument.settle == instrument.base
    entry = {
        "symbol": instrument.symbol,
        "type": "futures_inverse" if inverse else "flexible_futures",
        **({"underlying": f"rr_{_pair(instrument)}"} if inverse else {}),
        "tickSize": float(spell(instrument.tick, instrument.decimals)),
        "contractSize": 1,
        "tradeable": instrument.online,
        "openingDate": "2022-03-22T13:15:36Z",
        "contractValueTradePrecision": instrument.size_decimals,
        "postOnly": False,
        "base": instrument.base,
        "quote": instrument.quote,
        "pair": f"{instrument.base}:{instrument.quote}",
        "isExpired": False,
    }
    if instrument.expiry_ns is not None:
        entry["lastTradingTime"] = iso(instrument.expiry_ns)
    return entry


def index(instrument: Instrument) -> dict[str, Any]:
    """Return the index that a contract follows, which is in the same list."""
    return {"symbol": f"in_{_pair(instrument)}", "type": "spot index", "tradeable": False}


def past_trade(fill: Fill) -> dict[str, Any]:
    """Return an entry of ``history``."""
    return {
        "time": iso(fill.time_ns),
        "trade_id": fill.trade_id,
        "price": float(fill.price),
        "size": float(fill.size),
        "side": taker_side(fill),
        "type": "fill",
        "uid": uid(fill),
    }


def garbage(cascade: Cascade) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices, no id, a bad one, and a message of an unknown feed."""
    symbol, fill = cascade.instrument.symbol, cascade.last
    good = trade(symbol, fill)
    price, name = f'"price":{fill.price}'.encode(), f'"uid":"{uid(fill)}",'.encode()
    return [
        good[: len(good) // 2],
        b'{"product_id":"%s","feed":"trade","uid":' % symbol.encode(),
        good.replace(price, b'"price":{"amount":1}'),
        good.replace(price, b'"price":null'),
        good.replace(price, b'"price":"NaN"'),
        good.replace(price, b'"price":-1.0'),
        good.replace(name, b""),
        good.replace(name, b'"uid":"7",'),
        b'{"feed":"weather","product_id":"%s","temperature":21}' % symbol.encode(),
        b"[]",
    ]


def encoded(value: Any) -> bytes:
    """Return a value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def _pair(instrument: Instrument) -> str:
    """Return what a contract is about, as symbols spell it: ``xbtusd``."""
    return instrument.symbol.partition("_")[2].partition("_")[0].lower()


def _tag(instrument: Instrument) -> str:
    return "perpetual" if instrument.expiry_ns is None else "quarter"
