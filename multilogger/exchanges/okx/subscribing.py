"""What a connection to OKX has asked for, and what the answers mean.

https://www.okx.com/docs-v5/en/#overview-websocket-subscribe::

    {"id":"1","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":"ab12cd34"}
    {"id":"1","event":"error","code":"60018","msg":"Wrong URL or channel:trades,instId:NO-USDT doesn't exist.
     ..","connId":"ab12cd34"}
    {"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. ..",..}

There is one acknowledgement for each channel of each instrument. An error names an instrument in prose, or
none. Whether the rest of its request holds is not documented, so the rest is asked for anew: who subscribes
twice is acknowledged twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final

import attrs

from multilogger.exchanges.base import Confirmed, Event, Rejected, Renew, Send
from multilogger.exchanges.fields import ignore
from multilogger.exchanges.okx.messages import request
from multilogger.stats import ExchangeStats

_SYMBOLS_A_REQUEST: Final = 100
"""Of two channels they take about 12 KB, of the 64 KB that a request may have."""
_NAMED: Final = re.compile(r"\binstId:([^\s,\"]+)")
"""An instrument in prose; a request that is quoted as JSON looks different."""
_TOO_FREQUENT: Final = "60014"
_UPGRADE: Final = "64008"


@attrs.define(eq=False)
class _Request:
    """A subscription that has not been answered in full."""

    channels: tuple[str, ...]
    symbols: tuple[str, ...]
    unanswered: set[tuple[str, str]] = attrs.field(init=False)
    """Of its channels and symbols."""

    @unanswered.default
    def _all(self) -> set[tuple[str, str]]:
        return {(channel, symbol) for channel in self.channels for symbol in self.symbols}


class Subscriber:
    """The requests of one connection.

    Args:
        legs: the channels that go over each socket of the connection.
        stats: where answers that mean nothing are counted.
    """

    def __init__(self, legs: Sequence[tuple[str, ...]], stats: ExchangeStats) -> None:
        self._legs = legs
        self._stats = stats
        self._ids = count(1)
        self._requests: dict[str, _Request] = {}
        self._pending: dict[str, set[str]] = {}
        """The channels of each symbol that are not acknowledged."""

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests for all channels of some symbols."""
        for symbol in symbols:
            self._pending[symbol] = {channel for channels in self._legs for channel in channels}
        return [self._ask(channels, part) for part in _parts(symbols) for channels in self._legs]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests that end the subscriptions of some symbols."""
        for symbol in symbols:
            self._pending.pop(symbol, None)
        return [
            request("unsubscribe", next(self._ids), channels, part)
            for part in _parts(symbols)
            for channels in self._legs
        ]

    def answer(self, message: Mapping[str, Any]) -> list[Event]:
        """Return what a message with an ``event`` means."""
        event = message.get("event")
        if event == "subscribe":
            return self._acknowledged(message)
        if event == "error":
            return self._failed(message)
        if event == "notice" and message.get("code") == _UPGRADE:
            return [Renew(_words(message))]
        if event != "unsubscribe":
            kind = f"notice {message.get('code')}" if event == "notice" else str(event)
            ignore(self._stats, kind)
        return []

    def _ask(self, channels: tuple[str, ...], symbols: tuple[str, ...]) -> str:
        number = next(self._ids)
        self._requests[str(number)] = _Request(channels, symbols)
        return request("subscribe", number, channels, symbols)

    def _acknowledged(self, message: Mapping[str, Any]) -> list[Event]:
        arg = message.get("arg")
        channel, symbol = (arg.get("channel"), arg.get("instId")) if isinstance(arg, dict) else (None, None)
        if not (isinstance(channel, str) and isinstance(symbol, str)):
            return []
        number = str(message.get("id"))
        if number in self._requests:
            self._requests[number].unanswered.discard((channel, symbol))
            if not self._requests[number].unanswered:
                del self._requests[number]
        pending = self._pending.get(symbol, set())
        if channel not in pending:
            return []
        pending.discard(channel)
        if pending:
            return []
        del self._pending[symbol]
        return [Confirmed((symbol,))]

    def _failed(self, message: Mapping[str, Any]) -> list[Event]:
        words = _words(message)
        if message.get("code") == _TOO_FREQUENT:
            # The allowance is a connection's: a new one has all of it.
            return [Renew(words)]
        named = dict.fromkeys(name.rstrip(".") for name in _NAMED.findall(words))
        number = self._failed_request(message, named)
        if number is None:
            ignore(self._stats, "error without a request of ours")
            return []
        failed = self._requests.pop(number)
        symbols = self._unanswered(failed)
        rejected = [symbol for symbol in symbols if symbol in named]
        if not rejected and len(symbols) == 1:
            rejected = symbols
        if rejected:
            return [Rejected(tuple(rejected), words), *self._go_on(failed.channels, symbols, rejected)]
        half = len(symbols) // 2
        halves = [tuple(symbols[:half]), tuple(symbols[half:])]
        return [Send(tuple(self._ask(failed.channels, part) for part in halves if part))] if symbols else []

    def _failed_request(self, message: Mapping[str, Any], named: Iterable[str]) -> str | None:
        """Return the id of the request that an error answers, None if it is not ours.

        An error without an id is that of the only request there is, or of the first with what it names.
        """
        number = message.get("id")
        if number is not None:
            return number if isinstance(number, str) and number in self._requests else None
        if len(self._requests) == 1:
            return next(iter(self._requests))
        asked = {symbol: key for key, one in reversed(self._requests.items()) for symbol in one.symbols}
        return next((asked[symbol] for symbol in named if symbol in asked), None)

    def _unanswered(self, failed: _Request) -> list[str]:
        """Return the symbols of a request that wait for one of its channels."""
        channels = set(failed.channels)
        return [symbol for symbol in failed.symbols if channels & self._pending.get(symbol, set())]

    def _go_on(
        self, channels: tuple[str, ...], symbols: Sequence[str], rejected: Sequence[str]
    ) -> list[Event]:
        """Return what is to be sent without the rejected symbols: the rest, and the end of what they have."""
        every = {channel for leg in self._legs for channel in leg}
        frames = []
        for symbol in rejected:
            acknowledged = every - self._pending.pop(symbol)
            frames += [
                request("unsubscribe", next(self._ids), (channel,), (symbol,))
                for channel in sorted(acknowledged)
            ]
        rest = tuple(symbol for symbol in symbols if symbol not in rejected)
        if rest:
            frames.append(self._ask(channels, rest))
        return [Send(tuple(frames))] if frames else []


def _parts(symbols: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the symbols in portions of a request each."""
    starts = range(0, len(symbols), _SYMBOLS_A_REQUEST)
    return [tuple(symbols[start : start + _SYMBOLS_A_REQUEST]) for start in starts]


def _words(message: Mapping[str, Any]) -> str:
    return f"{message.get('msg', '')} (code {message.get('code', 'none')})".strip()
