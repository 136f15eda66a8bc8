"""What all of Binance's markets have in common on the wire: subscriptions, their answers, combined streams.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams, and of futures
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams::

    {"method":"SUBSCRIBE","params":["btcusdt@aggTrade","ethusdt@aggTrade"],"id":1}
    {"result":null,"id":1}
    {"error":{"code":2,"msg":"Invalid request: .."},"id":1}
    {"method":"GET_PROPERTY","params":["combined"],"id":2}
    {"result":true,"id":2}
    {"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795341600000}}

A stream that does not exist is acknowledged like any other, and stays silent.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count
from typing import Any, Final, Generic, TypeVar

import attrs
import msgspec

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, Rejected, Renew, Send
from multilogger.exchanges.fields import Spec, decode_object, diagnose, ignore, refuse
from multilogger.stats import ExchangeStats

_STREAMS_A_REQUEST: Final = 100
"""A request of this size stays far below what the server reads at once."""

M = TypeVar("M")
Kinds = tuple[str, ...]
"""Kinds of streams, such as ``aggTrade``."""


@attrs.define(eq=False)
class Stream(Generic[M]):
    """A subscribed stream: how its frames are parsed, and what they are about."""

    parse: Callable[[bytes, Stream[M], int, RowBuffer], None]
    decode: Callable[[bytes], Any]
    kind: str
    number: int
    """Of the symbol."""
    market: M
    """What is known of the symbol."""


@attrs.frozen
class _Request:
    symbols: tuple[str, ...]
    kinds: Kinds


class StreamAdapter(abc.ABC, Generic[M]):
    """One connection's subscriber; a subclass parses the streams.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        legs: the kinds of streams that each symbol has on each leg of the connection. A request is about one
            leg, and a symbol is confirmed once all of its legs are.
        specs: of each kind, the fields that it must have.
    """

    def __init__(
        self, symbols: SymbolTable, stats: ExchangeStats, legs: Sequence[Kinds], specs: dict[str, Spec]
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._legs = tuple(legs)
        self._kinds = tuple(chain.from_iterable(legs))
        self._specs = specs
        self._streams: dict[bytes, Stream[M]] = {}
        self._ids = count(1)
        self._requests: dict[int, _Request] = {}
        self._awaited: dict[str, set[Kinds]] = {}
        """The legs of each symbol that have not been answered yet."""

    @abc.abstractmethod
    def _open(self, symbol: str) -> Iterable[Stream[M]]:
        """Return the streams of a symbol that is about to be subscribed."""

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return SUBSCRIBE requests; each is answered under its id."""
        for symbol in symbols:
            for stream in self._open(symbol):
                self._streams[name_of(symbol, stream.kind).encode()] = stream
            self._awaited[symbol] = set(self._legs)
        size = _STREAMS_A_REQUEST // max(map(len, self._legs))
        portions = [symbols[at : at + size] for at in range(0, len(symbols), size)]
        return [self._request(portion, kinds) for portion in portions for kinds in self._legs]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return an UNSUBSCRIBE request a leg; data still under way count as unsubscribed."""
        if not symbols:
            return []
        for symbol in symbols:
            self._forget(symbol)
        return [self._encode("UNSUBSCRIBE", symbols, kinds, next(self._ids)) for kinds in self._legs]

    def ping(self) -> str:
        """Return a question whose answer says no more than that somebody is there.

        The server's own pings are the protocol's and no data: in a thin market nothing else comes.
        """
        return _encoded("GET_PROPERTY", ["combined"], next(self._ids))

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        streams = self._streams
        for frame in frames:
            # {"stream":"btcusdt@trade",..: what any other spelling has there is the name of no stream.
            stream = streams.get(frame[11 : frame.find(b'"', 11)])
            if stream is not None:
                stream.parse(frame, stream, recv_ns, rows)
                continue
            try:
                self._uncommon(frame, recv_ns, rows, events)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        return events

    def _forget(self, symbol: str) -> None:
        """Take what still comes of a symbol for unsubscribed."""
        self._awaited.pop(symbol, None)
        for kind in self._kinds:
            stream = self._streams.pop(name_of(symbol, kind).encode(), None)
            if stream is not None:
                self._close(stream)

    def _close(self, stream: Stream[M]) -> None:
        """Take note that a stream is subscribed no more."""

    def _request(self, symbols: Sequence[str], kinds: Kinds) -> str:
        number = next(self._ids)
        self._requests[number] = _Request(tuple(symbols), kinds)
        return self._encode("SUBSCRIBE", symbols, kinds, number)

    def _encode(self, method: str, symbols: Sequence[str], kinds: Kinds, number: int) -> str:
        return _encoded(method, [name_of(symbol, kind) for symbol in symbols for kind in kinds], number)

    def _refuse(self, frame: bytes, kind: str) -> None:
        """Say why a typed decoder refused a frame."""
        try:
            reason = diagnose(decode_object(frame).get("data"), self._specs[kind])
        except FrameError as error:
            reason = error.reason
        refuse(self._stats, reason, frame)

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: answers, notices, other spellings, other streams."""
        message = decode_object(frame)
        data = message.get("data", message)
        if isinstance(data, dict) and data.get("e") == "serverShutdown":
            events.append(Renew("serverShutdown"))
        elif isinstance(stream := message.get("stream"), str):
            self._other_stream(stream, frame, recv_ns, rows)
        elif "result" in message or "error" in message or "code" in message:
            events.extend(self._answer(message))
        else:
            ignore(self._stats, str(message.get("e", "unknown frame")))

    def _other_stream(self, stream: str, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        found = self._streams.get(stream.encode())
        if found is not None:
            found.parse(frame, found, recv_ns, rows)
            return
        kind = stream.partition("@")[2]
        ignore(self._stats, "unsubscribed symbol" if kind in self._kinds else kind or stream)

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        """Return what the answer to a request means."""
        number = message.get("id")
        request = self._requests.pop(number, None) if isinstance(number, int) else None
        error = message.get("error", message if "code" in message else None)
        if error is None:
            return [] if request is None else self._confirmed(request)
        if request is None:
            ignore(self._stats, "error without a request of ours")
            return []
        symbols = request.symbols
        if len(symbols) == 1:
            return self._rejected(symbols[0], request.kinds, _words(error))
        # One bad symbol voids a request, and the answer does not name it: ask again by halves.
        half = len(symbols) // 2
        return [Send(tuple(self._request(part, request.kinds) for part in (symbols[:half], symbols[half:])))]

    def _confirmed(self, request: _Request) -> Sequence[Event]:
        done = []
        for symbol in request.symbols:
            awaited = self._awaited.get(symbol)
            if awaited is not None:
                awaited.discard(request.kinds)
                if not awaited:
                    del self._awaited[symbol]
                    done.append(symbol)
        return [Confirmed(tuple(done))] if done else []

    def _rejected(self, symbol: str, kinds: Kinds, reason: str) -> Sequence[Event]:
        """Return what the refusal of one symbol on one leg means: it is not to be had, on no leg."""
        if symbol not in self._awaited:
            # Another leg has refused it already, or it was let go.
            return []
        del self._awaited[symbol]
        others = [leg for leg in self._legs if leg != kinds]
        frames = tuple(self._encode("UNSUBSCRIBE", [symbol], leg, next(self._ids)) for leg in others)
        return [Rejected((symbol,), reason), *([Send(frames)] if frames else [])]


def name_of(symbol: str, kind: str) -> str:
    """Return a stream's name."""
    return f"{symbol.lower()}@{kind}"


def _encoded(method: str, params: list[str], number: int) -> str:
    return msgspec.json.encode({"method": method, "params": params, "id": number}).decode()


def _words(error: object) -> str:
    if isinstance(error, dict):
        return f"{error.get('msg', '')} (code {error.get('code', 'none')})".strip()
    return str(error)
