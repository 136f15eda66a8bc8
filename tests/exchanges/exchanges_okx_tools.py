"""Frames of OKX, and what feeds them to its adapter."""

from __future__ import annotations

import json
from typing import Any

from exchanges_tools import DATA, FedExchange, made, read_cases

from multilogger.exchanges.base import Event, Send
from multilogger.exchanges.okx.exchange import Okx

FRAMES = {case.about: case.frame for case in read_cases(DATA / "okx_frames.jsonl", "okx")}
BUY = FRAMES["a taker bought"]
SALE = FRAMES["a taker sold"]
TICKER = FRAMES["a ticker after a buy"]


def fed(*symbols: str, **options: str) -> FedExchange:
    """Return an adapter with subscriptions."""
    return FedExchange(made(Okx, options), symbols or ("BTC-USDT", "ETH-USDT"))


def requests(*frames: str) -> list[dict[str, Any]]:
    """Return requests, decoded."""
    return [json.loads(frame) for frame in frames]


def asked(event: Event) -> list[dict[str, Any]]:
    """Return the requests that an event wants sent."""
    assert isinstance(event, Send)
    return requests(*event.frames)


def args(channel: str, *symbols: str) -> list[dict[str, str]]:
    """Return the arguments of a request for one channel."""
    return [{"channel": channel, "instId": symbol} for symbol in symbols]


def ack(channel: str, symbol: str, number: str | None = "1") -> dict[str, Any]:
    """Return an acknowledgement."""
    arg = {"channel": channel, "instId": symbol}
    return {**({"id": number} if number else {}), "event": "subscribe", "arg": arg, "connId": "ab12cd34"}


def error(words: str, number: str | None = "1", code: str = "60018") -> dict[str, Any]:
    """Return an error."""
    return {**({"id": number} if number else {}), "event": "error", "code": code, "msg": words}


def changed(frame: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return a push with other values."""
    return {**frame, "data": [{**frame["data"][0], **fields}]}


def sides(adapter: FedExchange) -> list[int]:
    """Return the sides of the MD rows since the last call."""
    return [row["side"] for row in adapter.take()["MD"]]
