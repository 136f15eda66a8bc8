"""What one listing of an exchange has changed since the one before it.

What can be told for certain is told, and nothing else. An instrument goes on under another symbol (it is
*renamed*) where the exchange's own id says so, or where kind, base, quote, terms and the time of its listing
are all the same; else one was *delisted* and another *listed*. Where nothing was known of a kind of
instruments, such as options, they are *found*: they may have been traded for years. Where nothing is left of
a kind, they are *unseen*: they may be traded on, and no longer be asked for; only what has expired is known
to be delisted.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from multilogger.symbols.instruments import AssetClass, SymbolInfo

Plain = dict[str, Any]
"""Fields of an instrument as JSON has them."""


class ChangeKind(enum.Enum):
    """What happened to an instrument."""

    FOUND = "found"
    """It is listed, and nobody looked before."""
    LISTED = "listed"
    RENAMED = "renamed"
    """It goes on under another symbol."""
    CHANGED = "changed"
    """Its status, tick size, contract size, expiry or anything else is another."""
    DELISTED = "delisted"
    UNSEEN = "unseen"
    """It was listed; whether it still is can't be told."""


@attrs.frozen(kw_only=True)
class InstrumentChange:
    """What a listing told of one instrument."""

    kind: ChangeKind
    at_ns: int
    """When the listing came, nanoseconds since the epoch."""
    after_ns: int
    """When the listing before it came: it happened between the two; 0 where there was none."""
    before: SymbolInfo | None = None
    after: SymbolInfo | None = None

    @property
    def info(self) -> SymbolInfo:
        """The instrument after it, or before it if there is none any more."""
        info = self.after or self.before
        if info is None:
            raise ValueError("a change of no instrument")
        return info

    @property
    def symbol(self) -> str:
        """The venue symbol, of a renamed one the new."""
        return self.info.symbol

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Which fields are another, the symbol included: by name what they were and are, as JSON has them."""
        if self.before is None or self.after is None:
            return {}
        old, new = plain(self.before), plain(self.after)
        return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


_TERMS: Final = (
    "asset_class",
    "base",
    "quote",
    "settle",
    "expiry_ns",
    "strike",
    "option",
    "contract_size",
    "listed_ns",
)
"""What two symbols have in common if they are one instrument, where no id tells."""


_NAMES: Final = tuple(field.name for field in attrs.fields(SymbolInfo) if field.name != "exchange")


def plain(info: SymbolInfo) -> Plain:
    """Return the fields of an instrument, but for its exchange, as JSON has them."""
    return {name: _plain_value(getattr(info, name)) for name in _NAMES}


def _plain_value(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    # JSON has no other numbers; and NaN would be another one each time.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def changes_between(
    known: Mapping[str, SymbolInfo],
    listed: Iterable[SymbolInfo],
    *,
    at_ns: int,
    after_ns: int,
    doubtful: bool = False,
) -> list[InstrumentChange]:
    """Return what a listing changes, in its order; what is gone comes last.

    Args:
        known: what was listed, by venue symbol.
        listed: what is.
        at_ns: when that came.
        after_ns: when the listing before it came, 0 if there was none.
        doubtful: what was listed may not all be known.
    """
    fresh = {info.symbol: info for info in listed}
    gone = {symbol: info for symbol, info in known.items() if symbol not in fresh}
    come = {symbol: info for symbol, info in fresh.items() if symbol not in known}
    renamed = _renamed(gone, come)
    seen = {info.asset_class for info in known.values()}
    left = {info.asset_class for info in fresh.values()}

    def change(
        kind: ChangeKind, before: SymbolInfo | None, after: SymbolInfo | None = None
    ) -> InstrumentChange:
        return InstrumentChange(kind=kind, at_ns=at_ns, after_ns=after_ns, before=before, after=after)

    changes = []
    for symbol, info in fresh.items():
        before = known.get(symbol)
        if symbol in renamed:
            changes.append(change(ChangeKind.RENAMED, renamed[symbol], info))
        elif before is None:
            is_new = info.asset_class in seen and not doubtful
            changes.append(change(ChangeKind.LISTED if is_new else ChangeKind.FOUND, None, info))
        elif before != info and plain(before) != plain(info):
            changes.append(change(ChangeKind.CHANGED, before, info))
    former = {info.symbol for info in renamed.values()}
    for symbol, info in gone.items():
        if symbol not in former:
            certain = info.asset_class in left or _has_expired(info, at_ns)
            changes.append(change(ChangeKind.DELISTED if certain else ChangeKind.UNSEEN, info))
    return changes


def _has_expired(info: SymbolInfo, at_ns: int) -> bool:
    return (
        info.asset_class in (AssetClass.FUTURES, AssetClass.OPTION)
        and info.expiry_ns is not None
        and info.expiry_ns <= at_ns
    )


def _renamed(gone: Mapping[str, SymbolInfo], come: Mapping[str, SymbolInfo]) -> dict[str, SymbolInfo]:
    """Return what the new symbols were before, as far as it is certain: one candidate on either side."""
    renamed: dict[str, SymbolInfo] = {}
    for keys in (_by_id, _by_terms):
        former = {info.symbol for info in renamed.values()}
        old = [info for symbol, info in gone.items() if symbol not in former]
        new = [info for symbol, info in come.items() if symbol not in renamed]
        counts = (Counter(map(keys, old)), Counter(map(keys, new)))
        by_key = {keys(info): info for info in old}
        for info in new:
            key = keys(info)
            if key is not None and all(count[key] == 1 for count in counts):
                renamed[info.symbol] = by_key[key]
    return renamed


def _by_id(info: SymbolInfo) -> tuple[object, ...] | None:
    return (info.asset_class, info.venue_id) if info.venue_id else None


def _by_terms(info: SymbolInfo) -> tuple[object, ...] | None:
    # Where the exchange has ids, two of them are two instruments, however alike.
    if info.listed_ns is None or info.venue_id:
        return None
    return tuple(getattr(info, name) for name in _TERMS)


def apply_changes(state: dict[str, SymbolInfo], changes: Iterable[InstrumentChange]) -> None:
    """Bring what is listed, by venue symbol, up to date."""
    for it in changes:
        if it.before is not None and (it.after is None or it.after.symbol != it.before.symbol):
            state.pop(it.before.symbol, None)
        if it.after is not None:
            state[it.after.symbol] = it.after


def kinds_of(changes: Iterable[InstrumentChange]) -> Iterator[tuple[str, int]]:
    """Give how many changes there are of each kind, for a log."""
    yield from Counter(it.kind.value for it in changes).items()
