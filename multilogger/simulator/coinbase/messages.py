"""The messages of Coinbase Exchange, as its market data feed and REST API spell them.

Source: Coinbase Exchange documentation, "WebSocket Feed: Channels" and "REST API: Get product trades".
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Final

from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill

NANOS: Final = 1_000_000_000


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def iso(time_ns: int) -> str:
    """Return a time as the exchange writes it: ISO 8601, UTC, microseconds."""
    seconds, nanos = divmod(time_ns, NANOS)
    return f"{_second(seconds)}.{nanos // 1000:06d}Z"


def maker_side(fill: Fill) -> str:
    """Return the resting order's side, which is what ``match.side`` tells."""
    return "sell" if fill.bought else "buy"


def taker_side(fill: Fill) -> str:
    """Return the aggressor's side, which is what ``ticker.side`` tells."""
    return "buy" if fill.bought else "sell"


def match(kind: str, symbol: str, fill: Fill) -> bytes:
    """Return a trade; ``kind`` is ``match`` or ``last_match``."""
    return (
        f'{{"type":"{kind}","trade_id":{fill.trade_id},"maker_order_id":"{uuid_text(fill.maker)}",'
        f'"taker_order_id":"{uuid_text(fill.taker)}","side":"{maker_side(fill)}","size":"{fill.size}",'
        f'"price":"{fill.price}","product_id":"{symbol}","sequence":{fill.sequence},"time":"{iso(fill.time_ns)}"}}'
    ).encode()


def ticker(cascade: Cascade) -> bytes:
    """Return the ticker after a cascade: of its last trade only, so trade ids are skipped."""
    instrument, fill, quote, day = cascade.instrument, cascade.last, cascade.quote, cascade.day
    text = instrument.price_text
    volume = spell(day.volume, instrument.size_decimals)
    return (
        f'{{"type":"ticker","sequence":{fill.sequence},"product_id":"{instrument.symbol}","price":"{fill.price}",'
        f'"open_24h":"{text(day.open)}","volume_24h":"{volume}","low_24h":"{text(day.low)}",'
        f'"high_24h":"{text(day.high)}","volume_30d":"{volume}","best_bid":"{quote.bid}",'
        f'"best_bid_size":"{quote.bid_size}","best_ask":"{quote.ask}","best_ask_size":"{quote.ask_size}",'
        f'"side":"{taker_side(fill)}","time":"{iso(fill.time_ns)}","trade_id":{fill.trade_id},'
        f'"last_size":"{fill.size}"}}'
    ).encode()


def heartbeat(symbol: str, sequence: int, last_trade_id: int, now_ns: int) -> bytes:
    """Return a product's heartbeat."""
    return (
        f'{{"type":"heartbeat","sequence":{sequence},"last_trade_id":{last_trade_id},'
        f'"product_id":"{symbol}","time":"{iso(now_ns)}"}}'
    ).encode()


def uuid_text(order: bytes) -> str:
    """Return an order id as text."""
    digits = order.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def product(instrument: Instrument) -> dict[str, Any]:
    """Return an entry of ``GET /products``."""
    return {
        "id": instrument.symbol,
        "base_currency": instrument.base,
        "quote_currency": instrument.quote,
        "quote_increment": spell(instrument.tick, instrument.decimals),
        "base_increment": spell(1, instrument.size_decimals),
        "display_name": f"{instrument.base}-{instrument.quote}",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online" if instrument.online else "offline",
        "status_message": "",
        "trading_disabled": not instrument.online,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def rest_trade(fill: Fill) -> dict[str, Any]:
    """Return an entry of ``GET /products/{id}/trades``."""
    return {
        "time": iso(fill.time_ns),
        "trade_id": fill.trade_id,
        "price": fill.price,
        "size": fill.size,
        "side": maker_side(fill),
    }


def garbage(cascade: Cascade) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices, a missing id, and a message of an unknown type."""
    fill = cascade.last
    good, tick = match("match", cascade.instrument.symbol, fill), ticker(cascade)
    price = f'"price":"{fill.price}"'.encode()
    return [
        good[: len(good) // 2],
        b'{"type":"match","trade_id":',
        good.replace(price, b'"price":{"amount":1}'),
        good.replace(price, b'"price":null'),
        tick.replace(price, b'"price":"NaN"'),
        tick.replace(price, b'"price":"-1.00"'),
        good.replace(f'"trade_id":{fill.trade_id},'.encode(), b""),
        b'{"type":"weather","temperature":21}',
        b"[]",
    ]
