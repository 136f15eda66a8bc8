"""What an exchange has listed over time: the file that keeps it, and its state at any time.

``{data}/.multilogger/instruments/{exchange}.jsonl`` has JSON lines, and only grows. A listing that changes
anything appends a line for each instrument that is another, and one that ends them::

    {"at_ns":1795341600000000000,"after_ns":0,"kind":"found","symbol":"BTC-USD","instrument":{"normalized":...}}
    {"at_ns":1795341600000000000,"after_ns":0,"kind":"listing","instruments":1,"changes":1,"version":1}
    {"at_ns":1795345200000000000,"after_ns":1795341600000000000,"kind":"changed","symbol":"BTC-USD",
     "was":{"tick_size":0.01},"is":{"tick_size":0.1}}

Lines count once their listing's end is there: what a crash has left of a listing is no listing. A whole
record (``instrument``) leaves out what is empty or usual. This module is pure; who writes the file is
:mod:`multilogger.supervision.instruments`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final

import attrs
import msgspec

from multilogger.notes import Int64
from multilogger.records import ExchangeId
from multilogger.symbols.changes import ChangeKind, InstrumentChange, Plain, apply_changes, plain
from multilogger.symbols.instruments import SymbolInfo

VERSION: Final = 1
_END: Final = "listing"
_USUAL: Final[Plain] = {
    field.name: getattr(field.default, "value", field.default)
    for field in attrs.fields(SymbolInfo)
    if field.default is not attrs.NOTHING
}
"""What a whole record leaves out."""


class _Line(msgspec.Struct, omit_defaults=True):
    """A line, of whatever kind."""

    at_ns: Int64
    after_ns: Int64
    kind: str
    symbol: str = ""
    instrument: Plain = msgspec.field(default_factory=dict)
    """Of one found or listed: all of it."""
    former: str = ""
    """Of one renamed: its symbol until then."""
    was: Plain = msgspec.field(default_factory=dict)
    """Of one changed or renamed: what is another now."""
    is_: Plain = msgspec.field(default_factory=dict, name="is")
    instruments: int = 0
    """Of the end of a listing: how many are listed."""
    changes: int = 0
    """And how many lines belong to it, this one not counted."""
    version: int = 0


_DECODER: Final = msgspec.json.Decoder(_Line)


@attrs.frozen
class UnreadableLine:
    """A line of the file that does not count."""

    number: int
    """From 1."""
    why: str


@attrs.frozen(eq=False)
class InstrumentHistory:
    """What an exchange has listed over time."""

    exchange: ExchangeId
    changes: tuple[InstrumentChange, ...]
    """In order of time."""
    unreadable: tuple[UnreadableLine, ...] = ()
    """Lines that were passed over: what they told of their instruments is not known."""
    length: int = 0
    """Bytes of the file up to the end of its last whole listing; what follows was cut off by a crash."""
    lines: int = 0
    """Lines within."""

    @property
    def first_ns(self) -> int | None:
        """When the first listing came, nanoseconds since the epoch; None if none did."""
        return self.changes[0].at_ns if self.changes else None

    @property
    def last_ns(self) -> int:
        """When the last listing came that changed anything; 0 if none did."""
        return self.changes[-1].at_ns if self.changes else 0

    def known_at(self, at_ns: int | None = None) -> bool:
        """Return whether there had been a listing by then; None: by now."""
        return self.first_ns is not None and (at_ns is None or self.first_ns <= at_ns)

    def at(self, at_ns: int | None = None) -> dict[str, SymbolInfo]:
        """Return what was listed at a time, by venue symbol; None: at the last listing.

        Before the first listing nothing is known, and nothing returned.
        """
        state: dict[str, SymbolInfo] = {}
        apply_changes(state, (it for it in self.changes if at_ns is None or it.at_ns <= at_ns))
        return state

    def of(self, symbol: str) -> list[InstrumentChange]:
        """Return the changes of one venue symbol, whatever it was called before or is called now."""
        names = {symbol}
        for it in (*self.changes, *reversed(self.changes)):
            if it.kind is ChangeKind.RENAMED and names & _symbols(it):
                names |= _symbols(it)
        return [it for it in self.changes if names & _symbols(it)]


def _symbols(change: InstrumentChange) -> set[str]:
    return {info.symbol for info in (change.before, change.after) if info is not None}


def encode_listing(changes: Iterable[InstrumentChange], instruments: int) -> bytes:
    """Return the lines of one listing, of which at least one change is given.

    Args:
        changes: all of the same time.
        instruments: how many are listed now.
    """
    lines = [_line_of(change) for change in changes]
    end = _Line(lines[0].at_ns, lines[0].after_ns, _END)
    end.instruments, end.changes, end.version = instruments, len(lines), VERSION
    return b"".join(msgspec.json.encode(line) + b"\n" for line in (*lines, end))


def _line_of(change: InstrumentChange) -> _Line:
    line = _Line(change.at_ns, change.after_ns, change.kind.value, change.symbol)
    if change.before is None and change.after is not None:
        line.instrument = {
            name: value
            for name, value in plain(change.after).items()
            if name != "symbol" and value != _USUAL.get(name, msgspec.UNSET)
        }
    elif change.before is not None and change.after is not None:
        fields = {name: values for name, values in change.fields.items() if name != "symbol"}
        line.was = {name: old for name, (old, _) in fields.items()}
        line.is_ = {name: new for name, (_, new) in fields.items()}
        if change.before.symbol != change.after.symbol:
            line.former = change.before.symbol
    return line


def decode_history(exchange: str, data: bytes) -> InstrumentHistory:
    """Read the content of a file; it is never wrong as a whole.

    Raises:
        ValueError: ``exchange`` can't be the name of one.
    """
    reader = _Reader(ExchangeId(exchange))
    for line in io.BytesIO(data):
        reader.read(line)
    return reader.history()


class _Reader:
    """Reads line by line; what counts is known at the end of each listing."""

    def __init__(self, exchange: ExchangeId) -> None:
        self._exchange = exchange
        self._state: dict[str, SymbolInfo] = {}
        self._changes: list[InstrumentChange] = []
        self._pending: list[tuple[int, _Line]] = []
        self._bad: list[UnreadableLine] = []
        self._offset = self._number = 0
        self._counted = (0, 0)
        self._counted_bad = 0

    def read(self, data: bytes) -> None:
        """Take the next line, with its end."""
        self._offset += len(data)
        self._number += 1
        if not data.endswith(b"\n"):
            return
        try:
            line = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._bad.append(UnreadableLine(self._number, str(error)))
            return
        if line.kind != _END:
            self._pending.append((self._number, line))
            return
        for number, pending in self._pending:
            self._take(number, pending)
        self._pending.clear()
        self._counted, self._counted_bad = (self._offset, self._number), len(self._bad)

    def _take(self, number: int, line: _Line) -> None:
        try:
            change = self._change(line)
        except (ValueError, TypeError) as error:  # msgspec's own errors are ValueErrors
            self._bad.append(UnreadableLine(number, str(error)))
        else:
            apply_changes(self._state, [change])
            self._changes.append(change)

    def _change(self, line: _Line) -> InstrumentChange:
        kind = ChangeKind(line.kind)
        before = after = None
        if kind in (ChangeKind.FOUND, ChangeKind.LISTED):
            after = _info_of(self._exchange, {**line.instrument, "symbol": line.symbol})
        else:
            before = self._state.get(line.former or line.symbol)
            if before is None:
                raise ValueError(f"nothing is known of {line.former or line.symbol} until then")
        if before is not None and kind in (ChangeKind.RENAMED, ChangeKind.CHANGED):
            after = _info_of(self._exchange, {**plain(before), **line.is_, "symbol": line.symbol})
        return InstrumentChange(
            kind=kind, at_ns=line.at_ns, after_ns=line.after_ns, before=before, after=after
        )

    def history(self) -> InstrumentHistory:
        """Return what was read."""
        length, lines = self._counted
        return InstrumentHistory(
            self._exchange,
            tuple(self._changes),
            tuple(sorted(self._bad[: self._counted_bad], key=attrgetter("number"))),
            length,
            lines,
        )


def _info_of(exchange: ExchangeId, fields: Mapping[str, Any]) -> SymbolInfo:
    return msgspec.convert({**fields, "exchange": exchange}, SymbolInfo, dec_hook=_checked)


def _checked(kind: type[Any], value: Any) -> Any:
    return kind(value)


def unreadable_words(history: InstrumentHistory, most: int = 3) -> Iterator[str]:
    """Give what is wrong with the first of the lines that don't count, for people."""
    for line in history.unreadable[:most]:
        yield f"line {line.number}: {line.why}"
    if len(history.unreadable) > most:
        yield f"and {len(history.unreadable) - most} more"
