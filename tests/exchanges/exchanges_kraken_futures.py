"""Messages of Kraken Futures, and an adapter that is fed with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from exchanges_tools import FedExchange, made

from multilogger.exchanges.base import Event, Rejected, Send
from multilogger.exchanges.kraken_futures.exchange import KrakenFutures

BTC: Final = "PI_XBTUSD"
ETH: Final = "PF_ETHUSD"
START_MS: Final = 1_795_341_600_000
MS: Final = 1_000_000
"""Nanoseconds."""


def fed(*symbols: str, **options: Any) -> FedExchange:
    """Return an adapter; without symbols of Bitcoin's perpetual contract."""
    return FedExchange(made(KrakenFutures, options), symbols or (BTC,))


def uid(number: int) -> str:
    """Return a UUID of which the first 8 bytes are a number."""
    digits = f"{number:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:]}-8c7d-8e9f0a1b2c3d"


def trade(seq: int, *, symbol: str = BTC, **fields: Any) -> dict[str, Any]:
    """Return a trade: its id is its number, and each is a millisecond later and a dollar dearer."""
    return {"product_id": symbol, "feed": "trade", **entry(seq), **fields}


def entry(seq: int) -> dict[str, Any]:
    """Return what a trade and an entry of a snapshot have in common: odd numbers bought."""
    return {
        "uid": uid(seq),
        "side": "buy" if seq % 2 else "sell",
        "type": "fill",
        "time": START_MS + seq,
        "qty": float(seq),
        "price": 64_000.0 + seq,
        "seq": seq,
    }


def snapshot(*seqs: int, symbol: str = BTC) -> dict[str, Any]:
    """Return the trades before a subscription."""
    return {"feed": "trade_snapshot", "product_id": symbol, "trades": [entry(seq) for seq in seqs]}


def ticker(after_ms: int, *, symbol: str = BTC, **fields: Any) -> dict[str, Any]:
    """Return a ticker at a time after the start."""
    told = {"time": START_MS + after_ms, "product_id": symbol, "leverage": "50x", "feed": "ticker"}
    return {**told, "bid": 64_000.0, "ask": 64_001.0, "volume": 777.0, "last": 64_000.5, **fields}


def lite(*, symbol: str = BTC, **fields: Any) -> dict[str, Any]:
    """Return quotes."""
    quotes = {"feed": "ticker_lite", "product_id": symbol, "bid": 64_000.0, "ask": 64_001.0, "volume": 777.0}
    return {**quotes, **fields}


def request(feed: str, *symbols: str, event: str = "subscribe") -> dict[str, Any]:
    """Return a request."""
    return {"event": event, "feed": feed, "product_ids": list(symbols)}


def subscribed(feed: str, *symbols: str) -> dict[str, Any]:
    """Return an acknowledgement."""
    return request(feed, *symbols, event="subscribed")


def alert(words: str) -> dict[str, Any]:
    """Return an alert."""
    return {"event": "alert", "message": words}


def unknown(symbol: str) -> dict[str, Any]:
    """Return the refusal of a product."""
    return alert(f"Couldn't subscribe to invalid product `{symbol}`")


def sent(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the requests among events, decoded."""
    return [json.loads(frame) for event in events if isinstance(event, Send) for frame in event.frames]


def rejected(events: Sequence[Event]) -> list[str]:
    """Return the rejected symbols among events."""
    return [symbol for event in events if isinstance(event, Rejected) for symbol in event.symbols]


def confirm_all(it: FedExchange, *symbols: str, md: str = "ticker") -> None:
    """Answer the requests for trades and tickers of products."""
    it.feed(*(subscribed(feed, symbol) for feed in ("trade", md) for symbol in symbols or (BTC,)))


class Rest:
    """Answers every GET with one body."""

    def __init__(self, body: object) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return the body."""
        assert weight == 1
        self.asked.append((url, dict(params or {})))
        return self.body
