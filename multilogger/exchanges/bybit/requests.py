"""Subscriptions of one connection: what is asked for, and what an answer means.

https://bybit-exchange.github.io/docs/v5/ws/connect::

    {"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT","tickers.BTCUSDT"]}
    {"success":true,"ret_msg":"subscribe","conn_id":"c-1","req_id":"1","op":"subscribe"}      spot
    {"success":true,"ret_msg":"","conn_id":"c-1","req_id":"1","op":"subscribe"}               linear, inverse
    {"success":false,"ret_msg":"Invalid symbol :[publicTrade.NOPEUSDT]",..}                   spot
    {"success":false,"ret_msg":"error:handler not found,topic:publicTrade.NOPEUSDT",..}       linear, inverse
    {"success":false,"ret_msg":"error:already subscribed,topic:publicTrade.BTCUSDT",..}

Answers name no topics but bad ones. One bad topic voids the whole request, and so does one that is subscribed
already: the others are asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final

import attrs
import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, Rejected, Send

PING: Final = '{"op":"ping","req_id":"ping"}'
_BETWEEN: Final = re.compile(r"[\s,:\[\]]+")
_ALREADY: Final = "already subscribed"
NOT_OURS: Final = "error without a subscription of ours"
"""What an error is counted as that answers no request of ours."""


@attrs.frozen
class _Request:
    """What is under way: these symbols are confirmed once all of these topics are."""

    symbols: tuple[str, ...]
    topics: tuple[str, ...]


class Subscriptions:
    """The requests of one connection.

    Args:
        kinds: the topics of each symbol, without it.
        symbols_a_request: at most.
    """

    def __init__(self, kinds: Sequence[str], symbols_a_request: int) -> None:
        self._kinds = tuple(kinds)
        self._symbols_a_request = symbols_a_request
        self._wanted: dict[str, None] = {}
        self._ids = count(1)
        self._requests: dict[str, _Request] = {}

    def begin(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests that subscribe symbols."""
        self._wanted.update(dict.fromkeys(symbols))
        return [self._ask(portion, self._topics(portion)) for portion in self._portions(symbols)]

    def end(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests that end subscriptions; their answers are of no interest."""
        for symbol in symbols:
            self._wanted.pop(symbol, None)
        return [
            _encode("unsubscribe", self._topics(portion), str(next(self._ids)))
            for portion in self._portions(symbols)
        ]

    def answer(self, message: dict[str, Any]) -> tuple[list[Event], bool]:
        """Return what an answer means, and whether it is one to a request of ours.

        Raises:
            FrameError: it does not say whether it is good or bad.
        """
        success = message.get("success")
        if not isinstance(success, bool):
            raise FrameError("missing field" if success is None else "wrong type")
        number = message.get("req_id")
        request = self._requests.pop(number, None) if isinstance(number, str) else None
        if request is None:
            return [], False
        if success:
            return self._confirmed(request.symbols), True
        return self._failed(request, str(message.get("ret_msg", ""))), True

    def _failed(self, request: _Request, words: str) -> list[Event]:
        named = set(_BETWEEN.split(words))
        if _ALREADY in words and named.intersection(request.topics):
            left = tuple(topic for topic in request.topics if topic not in named)
            return [Send((self._ask(request.symbols, left),))] if left else self._confirmed(request.symbols)
        rejected = tuple(it for it in request.symbols if not named.isdisjoint((it, *self._topics([it]))))
        if not rejected and len(request.symbols) == 1:
            rejected = request.symbols
        if rejected:
            others = [symbol for symbol in request.symbols if symbol not in rejected]
            return [Rejected(rejected, words or "no reason given"), *self._again(request, [others])]
        # Nobody knows which of them it is: ask again by halves.
        half = len(request.symbols) // 2
        return self._again(request, [request.symbols[:half], request.symbols[half:]])

    def _again(self, request: _Request, groups: Iterable[Sequence[str]]) -> list[Event]:
        """Ask again for parts of a request, but for what has been unsubscribed meanwhile."""
        frames = []
        for group in groups:
            symbols = [symbol for symbol in group if symbol in self._wanted]
            topics = set(self._topics(symbols)).intersection(request.topics)
            if topics:
                frames.append(self._ask(symbols, [topic for topic in request.topics if topic in topics]))
        return [Send(tuple(frames))] if frames else []

    def _confirmed(self, symbols: Sequence[str]) -> list[Event]:
        wanted = tuple(symbol for symbol in symbols if symbol in self._wanted)
        return [Confirmed(wanted)] if wanted else []

    def _ask(self, symbols: Sequence[str], topics: Sequence[str]) -> str:
        number = str(next(self._ids))
        self._requests[number] = _Request(tuple(symbols), tuple(topics))
        return _encode("subscribe", topics, number)

    def _topics(self, symbols: Iterable[str]) -> list[str]:
        return [f"{kind}.{symbol}" for symbol in symbols for kind in self._kinds]

    def _portions(self, symbols: Sequence[str]) -> Iterable[Sequence[str]]:
        size = self._symbols_a_request
        return (symbols[at : at + size] for at in range(0, len(symbols), size))


def _encode(verb: str, topics: Sequence[str], number: str) -> str:
    return msgspec.json.encode({"req_id": number, "op": verb, "args": list(topics)}).decode()
