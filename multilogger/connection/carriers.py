"""Which connections carry each symbol of an exchange, and what follows when one begins or ends to.

A symbol has one carrier, as a rule; two while a connection is renewed or a symbol moves; none after a
failure, until the next connection is confirmed. The ledger hears of the beginning and the end of "none", the
quality checks of "two".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final, Protocol

import attrs
import numpy as np
import trio

from multilogger.batch import SymbolTable
from multilogger.connection.arrivals import Arrivals
from multilogger.connection.causes import SILENT
from multilogger.connection.protocols import Coverage, Quality
from multilogger.errors import FeedError
from multilogger.exchanges.base import Adapter
from multilogger.tables import MD, NANOS_PER_SECOND

ALIVE_SECS: Final = 1.0
"""What a connection is sent so long after a confirmation is no answer to the subscription any more."""
OVERLAP_AFTER_SECS: Final = 5.0
"""So long after one of two connections has let go, the other may still bring what that one had brought."""


class Carrier(Protocol):
    """A connection, as others see it."""

    heard: float
    """Trio time of the last chunk of data."""
    heard_ns: int
    """The same by the feed's calendar, nanoseconds since the epoch."""
    busy: bool
    """Whether it waits for the writer, and does not listen meanwhile."""
    md_has_time: bool
    """Whether its MD rows can be told to be the same as another connection's."""

    @property
    def arrivals(self) -> Arrivals:
        """What of each symbol came when."""
        ...

    @property
    def muted(self) -> set[int]:
        """Numbers of the symbols whose MD rows it keeps back."""
        ...

    @property
    def adapter(self) -> Adapter:
        """Its parser."""
        ...

    def ask_again(self, symbols: Sequence[str]) -> None:
        """Have symbols unsubscribed and subscribed anew, soon."""
        ...

    def replace(self, why: FeedError) -> None:
        """Have another connection take over from this one, which goes on until then."""
        ...


@attrs.define(eq=False)
class _Carried:
    """One symbol on one connection."""

    carrier: Carrier
    at: float = inf
    """Trio time at which the exchange confirmed it; infinity before."""
    ns: int = 0
    """The same by the calendar."""

    @property
    def confirmed(self) -> bool:
        return self.at < inf


class Carriers:
    """The carriers of every symbol of one exchange.

    Args:
        symbols: numbers them.
        quality: told of overlaps.
        coverage: told what is carried and what is lost.
        calendar: nanoseconds since the epoch on the scale of event times.
    """

    def __init__(
        self, symbols: SymbolTable, quality: Quality, coverage: Coverage, calendar: Callable[[], int]
    ) -> None:
        self._symbols = symbols
        self._quality = quality
        self._coverage = coverage
        self._calendar = calendar
        self._carried: dict[str, list[_Carried]] = {}
        """In the order in which they were asked for it."""
        self._overlapping: dict[str, float] = {}
        """Trio time at which the overlap is over; infinity while two carry the symbol."""

    @property
    def carried(self) -> list[str]:
        """The symbols that some connection carries, confirmed."""
        return [name for name, each in self._carried.items() if any(one.confirmed for one in each)]

    def of(self, symbol: str) -> list[Carrier]:
        """Return the connections that carry a symbol, confirmed, the newest last."""
        return [one.carrier for one in self._carried.get(symbol, ()) if one.confirmed]

    def is_asked(self, symbol: str) -> bool:
        """Return whether any connection has asked for a symbol, confirmed or not."""
        return symbol in self._carried

    def since(self, symbol: str, carrier: Carrier) -> float:
        """Return the Trio time since when a connection carries a symbol; infinity if it doesn't."""
        return min((one.at for one in self._carried.get(symbol, ()) if one.carrier is carrier), default=inf)

    def since_ns(self, symbol: str) -> int:
        """Return since when the newest of its connections carries a symbol, by the calendar; else 0."""
        return max((one.ns for one in self._carried.get(symbol, ()) if one.confirmed), default=0)

    def asked(self, carrier: Carrier, symbols: Iterable[str]) -> None:
        """Take note that a connection is about to ask for symbols: before the first of their data come."""
        doubled = []
        for symbol in symbols:
            each = self._carried.setdefault(symbol, [])
            each[:] = [one for one in each if one.carrier is not carrier]
            if each:
                doubled.append(symbol)
                if not carrier.md_has_time:
                    carrier.muted.add(self._symbols.number(symbol))
            each.append(_Carried(carrier))
        fresh = [symbol for symbol in doubled if symbol not in self._overlapping]
        self._overlapping.update(dict.fromkeys(doubled, inf))
        if fresh:
            self._quality.overlap(fresh, on=True)

    def confirmed(self, carrier: Carrier, symbols: Iterable[str]) -> None:
        """Take note that a connection carries symbols it has asked for."""
        first = []
        for symbol in symbols:
            each = self._carried.get(symbol, [])
            if not any(one.confirmed for one in each):
                first.append(symbol)
            for one in each:
                if one.carrier is carrier and not one.confirmed:
                    one.at, one.ns = trio.current_time(), self._calendar()
        first = [symbol for symbol in first if self.of(symbol)]
        if first:
            self._quality.began(np.array([self._symbols.number(symbol) for symbol in first]))
            self._coverage.carried(first)

    def left(self, carrier: Carrier, symbols: Iterable[str] | None = None, *, cause: str = "") -> None:
        """Take note that a connection no longer carries symbols.

        Args:
            carrier: the connection.
            symbols: which; all by default.
            cause: why it failed; empty where it was told to let them go.
        """
        alone, endangered = [], []
        for symbol in list(self._carried) if symbols is None else symbols:
            dropped = self._drops(carrier, symbol)
            one = self._remove(carrier, symbol)
            if one is None or not one.confirmed:
                continue
            if not self.of(symbol):
                alone.append(symbol)
            elif self._missed(carrier, symbol, failed=bool(cause)):
                endangered.append(symbol)
            elif dropped:
                self._note_dropped(carrier, symbol)
        if alone and cause:
            self._coverage.lost(alone, carrier.heard_ns, cause)
        elif alone:
            self._coverage.released(alone)
        if endangered:
            self._coverage.lost(endangered, carrier.heard_ns, cause or SILENT)
            self._coverage.carried(endangered)

    def forget(self, carrier: Carrier) -> None:
        """Take note that a connection has ended with everything: whoever ended it tells the ledger."""
        for symbol in list(self._carried):
            self._remove(carrier, symbol)

    def settle(self) -> None:
        """End the overlaps whose time is over."""
        now = trio.current_time()
        over = [symbol for symbol, at in self._overlapping.items() if at <= now]
        for symbol in over:
            del self._overlapping[symbol]
        if over:
            self._quality.overlap(over, on=False)

    def _remove(self, carrier: Carrier, symbol: str) -> _Carried | None:
        each = self._carried.get(symbol, [])
        found = next((one for one in each if one.carrier is carrier), None)
        if found is None:
            return None
        each.remove(found)
        number = self._symbols.number(symbol)
        if each and all(number in one.carrier.muted for one in each):
            min(each, key=lambda one: one.at).carrier.muted.discard(number)
        if len(each) <= 1 and symbol in self._overlapping:
            self._overlapping[symbol] = trio.current_time() + OVERLAP_AFTER_SECS
        if not each:
            del self._carried[symbol]
        return found

    def _drops(self, going: Carrier, symbol: str) -> bool:
        """Return whether others keep tickers back that the one they wait for does not bring any more."""
        number = self._symbols.number(symbol)
        last = going.arrivals.last(number, MD)
        return number not in going.muted and any(
            number in one.carrier.muted and one.carrier.arrivals.last(number, MD) > last + ALIVE_SECS
            for one in self._carried.get(symbol, ())
        )

    def _note_dropped(self, gone: Carrier, symbol: str) -> None:
        """Tell the ledger of tickers that were kept back since the last one of a connection that was deaf."""
        number = self._symbols.number(symbol)
        last = gone.arrivals.last(number, MD)
        since = min(one.at for one in self._carried[symbol]) if last == -inf else last
        age_ns = round((trio.current_time() - since) * NANOS_PER_SECOND)
        self._coverage.lost([symbol], self._calendar() - age_ns, SILENT, table=MD)
        self._coverage.carried([symbol])

    def _missed(self, gone: Carrier, symbol: str, *, failed: bool) -> bool:
        """Return whether data may be missing between what has gone and who carries on.

        None are if the one was still heard of after the other had been confirmed: data come in order. If it
        wasn't, a connection that failed was dead all that time, for all we know. One that was let go may
        just have had nothing to say, unless the other has brought something, be it of another symbol.
        """
        after = [one for one in self._carried[symbol] if one.confirmed]
        since = min(one.at for one in after)
        if gone.heard >= since:
            return False
        number = self._symbols.number(symbol)
        return failed or any(
            one.carrier.arrivals.last_of_any(number) > since or one.carrier.heard > since + ALIVE_SECS
            for one in after
        )
