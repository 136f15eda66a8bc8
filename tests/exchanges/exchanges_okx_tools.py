"""Frames of OKX, what feeds them to its adapter, and a REST side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio
from exchanges_tools import DATA, FedExchange, made, read_cases

from multilogger.exchanges.base import Event, Exchange, ExchangeConnection, Send, Services
from multilogger.exchanges.okx.exchange import Okx, OkxConfig

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


@attrs.define
class Rest:
    """Answers GET requests by the last part of the path and the type or underlying asked for."""

    answers: dict[tuple[str, str], Any]
    """Data, or whole bodies as bytes."""
    asked: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return an answer."""
        assert weight == 1
        await trio.lowlevel.checkpoint()
        query = dict(params or {})
        self.asked.append((url, query))
        key = query.get("uly") or query.get("instType") or query["instId"]
        answer = self.answers[url.rpartition("/")[2], key]
        whole = {"code": "0", "msg": "", "data": answer}
        return answer if isinstance(answer, bytes) else json.dumps(whole).encode()


def no_connection(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


def served(answers: dict[tuple[str, str], Any], *types: str) -> tuple[Okx, Rest]:
    """Return an exchange whose REST interface answers so."""
    rest = Rest(answers)
    config = OkxConfig(inst_types=types or ("SPOT",), rest_endpoint="https://openapi.okx.com/")
    return Okx(config, Services(rest, no_connection)), rest
