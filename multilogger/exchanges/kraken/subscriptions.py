"""What one connection asks Kraken spot for, and what the answers mean.

https://docs.kraken.com/api/docs/websocket-v2/trade::

    {"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","ETH/USD"],"snapshot":true},"req_id":7}
    {"method":"subscribe","result":{"channel":"trade","snapshot":true,"symbol":"BTC/USD"},"success":true,
     "time_in":"..","time_out":"..","req_id":7}
    {"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD",
     "req_id":7,"time_in":"..","time_out":".."}

A request names many symbols; each of them is answered by itself, under the request's id. What is refused for
another reason than its symbol, such as ``Exceeded msg rate``, need not name one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, Rejected, Send
from multilogger.exchanges.fields import ignore
from multilogger.exchanges.kraken.messages import TICKER, TRADE
from multilogger.stats import ExchangeStats

CHANNELS: Final = (TRADE, TICKER)
"""Trades first: a ticker takes size and side from them."""
_SYMBOLS_A_REQUEST: Final = 100
"""How many messages a second may be sent is not told: few large ones are asked for."""
_TOO_MANY: Final = "msg rate"
"""Part of the words with which a request is refused that came too soon."""


class Subscriptions:
    """The requests of one connection; a symbol is confirmed when all of its channels are.

    Args:
        stats: where answers to nothing are counted.
        trigger: ``trades`` or ``bbo``: what makes a ticker.
    """

    def __init__(self, stats: ExchangeStats, trigger: str) -> None:
        self._stats = stats
        self._trigger = trigger
        self._ids = count(1)
        self._newest = 0
        """The id of the last request."""
        self._awaited: dict[str, dict[str, int]] = {}
        """By symbol: the channels that have not been answered, with the ids under which they will be."""

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests for some symbols."""
        parts = [symbols[at : at + _SYMBOLS_A_REQUEST] for at in range(0, len(symbols), _SYMBOLS_A_REQUEST)]
        return [self._request(channel, part) for part in parts for channel in CHANNELS]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests that end the subscriptions of some symbols."""
        for symbol in symbols:
            self._awaited.pop(symbol, None)
        return [self._end(channel, symbols) for channel in CHANNELS] if symbols else []

    def ping(self) -> str:
        """Return a ping."""
        return _encode({"method": "ping", "req_id": self._next_id()})

    def answer(self, message: Mapping[str, Any]) -> list[Event]:
        """Return what the answer to a request means.

        Raises:
            FrameError: it tells of a subscription, but not whether that was granted.
        """
        method, number = message["method"], message.get("req_id")
        if method != "subscribe":
            if method not in ("unsubscribe", "pong"):
                ignore(self._stats, str(method))
            return []
        if not (type(number) is int and 0 < number <= self._newest):
            ignore(self._stats, "answer without a request of ours")
            return []
        granted = message.get("success")
        if not isinstance(granted, bool):
            raise FrameError("missing field")
        return self._granted(message, number) if granted else self._refused(message, number)

    def _granted(self, message: Mapping[str, Any], number: int) -> list[Event]:
        result = message.get("result")
        symbol = result.get("symbol") if isinstance(result, dict) else None
        channel = self._channel(symbol, number)
        if channel is None or not isinstance(symbol, str):
            return []
        awaited = self._awaited[symbol]
        del awaited[channel]
        if awaited:
            return []
        del self._awaited[symbol]
        return [Confirmed((symbol,))]

    def _refused(self, message: Mapping[str, Any], number: int) -> list[Event]:
        words, symbol = str(message.get("error", "")), message.get("symbol")
        asked = [it for it in self._awaited if self._channel(it, number) is not None]
        if isinstance(symbol, str):
            # The other channel of a symbol that is set aside is refused, too.
            asked = [it for it in asked if it == symbol]
        if not asked:
            return []
        if _TOO_MANY in words:
            return [Send((self._again(asked, number),))]
        if len(asked) == 1:
            return self._set_aside(asked[0], number, words)
        half = len(asked) // 2
        return [Send((self._again(asked[:half], number), self._again(asked[half:], number)))]

    def _set_aside(self, symbol: str, number: int, words: str) -> list[Event]:
        """Reject a symbol; what was granted of it before is ended."""
        refused = self._channel(symbol, number)
        awaited = self._awaited.pop(symbol)
        granted = [channel for channel in CHANNELS if channel != refused and channel not in awaited]
        ends = tuple(self._end(channel, [symbol]) for channel in granted)
        rejected = Rejected((symbol,), words)
        return [rejected, Send(ends)] if ends else [rejected]

    def _channel(self, symbol: object, number: int) -> str | None:
        """Return which channel of a symbol is awaited under an id."""
        awaited = self._awaited.get(symbol, {}) if isinstance(symbol, str) else {}
        return next((channel for channel, it in awaited.items() if it == number), None)

    def _again(self, symbols: Sequence[str], number: int) -> str:
        """Return a request for some of what was asked for under an id."""
        channel = self._channel(symbols[0], number)
        return self._request(channel or TRADE, symbols)

    def _request(self, channel: str, symbols: Sequence[str]) -> str:
        number = self._next_id()
        for symbol in symbols:
            self._awaited.setdefault(symbol, {})[channel] = number
        params = {**self._params(channel, symbols), "snapshot": True}
        return _encode({"method": "subscribe", "params": params, "req_id": number})

    def _end(self, channel: str, symbols: Sequence[str]) -> str:
        params = self._params(channel, symbols)
        return _encode({"method": "unsubscribe", "params": params, "req_id": self._next_id()})

    def _params(self, channel: str, symbols: Sequence[str]) -> dict[str, Any]:
        params: dict[str, Any] = {"channel": channel, "symbol": list(symbols)}
        return {**params, "event_trigger": self._trigger} if channel == TICKER else params

    def _next_id(self) -> int:
        self._newest = next(self._ids)
        return self._newest


def _encode(request: Mapping[str, Any]) -> str:
    return msgspec.json.encode(request).decode()
