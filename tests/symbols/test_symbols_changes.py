"""What a listing changes: what can be told of it, and what can't."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from symbols_listings import BTC, ETH, FUTURE, NEW, OLD, PERPETUAL, any_listing, by_symbol

from multilogger.symbols.changes import ChangeKind, InstrumentChange, apply_changes, changes_between
from multilogger.symbols.instruments import AssetClass, SymbolInfo

LATER = attrs.evolve(FUTURE, symbol="BTC-USDT-270325", expiry_ns=2000)


def told(
    known: list[SymbolInfo], fresh: list[SymbolInfo], *, at_ns: int = 20, doubtful: bool = False
) -> list[tuple[str, str]]:
    """Return kind and symbol of what changes between two listings; what follows from them is the second."""
    state = by_symbol(known)
    changes = changes_between(state, fresh, at_ns=at_ns, after_ns=10, doubtful=doubtful)
    assert {(it.at_ns, it.after_ns) for it in changes} <= {(at_ns, 10)}
    apply_changes(state, changes)
    assert state == by_symbol(fresh)
    return [(it.kind.value, it.symbol) for it in changes]


def test_the_first_listing_finds() -> None:
    """Nobody knows since when all that is there is listed."""
    assert told([], [BTC, ETH]) == [("found", "BTC-USDT"), ("found", "ETH-USDT")]


def test_listed_and_delisted() -> None:
    """What joins others of its kind is listed, what leaves others is delisted."""
    assert told([BTC], [BTC, ETH]) == [("listed", "ETH-USDT")]
    assert told([BTC, ETH], [ETH]) == [("delisted", "BTC-USDT")]
    assert told([BTC, ETH], [ETH, BTC]) == []


def test_a_kind_that_comes_and_goes_as_a_whole() -> None:
    """Another configuration may be the reason: that is no listing and no delisting."""
    assert told([BTC], [BTC, PERPETUAL]) == [("found", "BTC-USDT-SWAP")]
    assert told([BTC, PERPETUAL], [BTC]) == [("unseen", "BTC-USDT-SWAP")]
    assert told([BTC], []) == [("unseen", "BTC-USDT")]


def test_what_has_expired_is_delisted() -> None:
    """Even the last of its kind: its end was known."""
    assert told([BTC, FUTURE], [BTC], at_ns=1000) == [("delisted", "BTC-USDT-261225")]
    assert told([BTC, FUTURE], [BTC], at_ns=999) == [("unseen", "BTC-USDT-261225")]
    assert told([BTC, FUTURE], [BTC, LATER], at_ns=1000) == [
        ("listed", "BTC-USDT-270325"),
        ("delisted", "BTC-USDT-261225"),
    ]


def test_after_damage_nothing_is_listed() -> None:
    """Where lines of the history could not be read, what seems to be new may be old."""
    assert told([BTC], [BTC, ETH], doubtful=True) == [("found", "ETH-USDT")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "suspend"),
        ("active", False),
        ("tick_size", 0.5),
        ("min_size", 2.0),
        ("contract_size", 0.01),
        ("expiry_ns", 7),
        ("normalized", "XBT-USDT"),
        ("asset_class", AssetClass.PERPETUAL),
    ],
)
def test_a_field_is_another(field: str, value: Any) -> None:
    """Any field counts; the change says what it was and is, as JSON has it."""
    now = attrs.evolve(BTC, **{field: value})
    assert told([BTC], [now]) == [("changed", "BTC-USDT")]
    (change,) = changes_between({BTC.symbol: BTC}, [now], at_ns=2, after_ns=1)
    plain = "perpetual" if isinstance(value, AssetClass) else value
    assert change.fields.keys() == {field}
    assert change.fields[field][1] == plain
    assert (change.before, change.after) == (BTC, now)


def test_what_is_no_number_is_no_change() -> None:
    """NaN differs from itself, and would be written each hour."""
    odd = attrs.evolve(BTC, tick_size=math.nan)
    assert (
        changes_between({odd.symbol: attrs.evolve(BTC, tick_size=math.nan)}, [odd], at_ns=2, after_ns=1) == []
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (attrs.evolve(OLD, venue_id="7"), attrs.evolve(NEW, venue_id="7")),
        (OLD, attrs.evolve(OLD, symbol="OLD_USDT")),
        (attrs.evolve(FUTURE, listed_ns=1), attrs.evolve(FUTURE, listed_ns=1, symbol="BTC-USDT-FUT")),
    ],
)
def test_renamed(before: SymbolInfo, after: SymbolInfo) -> None:
    """The exchange's id, or everything but the name, says that it is the same."""
    assert told([BTC, before], [BTC, after]) == [("renamed", after.symbol)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OLD, NEW),  # another base: MATIC and POL may be one thing, or not
        (attrs.evolve(OLD, listed_ns=None), attrs.evolve(OLD, symbol="OLD_USDT", listed_ns=None)),
        (OLD, attrs.evolve(OLD, symbol="OLD_USDT", listed_ns=6)),
        (attrs.evolve(OLD, venue_id="7"), attrs.evolve(OLD, symbol="OLD_USDT", venue_id="8")),
        (attrs.evolve(OLD, venue_id="7"), attrs.evolve(OLD, symbol="OLD_USDT")),
    ],
)
def test_not_renamed(before: SymbolInfo, after: SymbolInfo) -> None:
    """Where nothing says so, one is delisted and another listed."""
    assert told([BTC, before], [BTC, after]) == [("listed", after.symbol), ("delisted", before.symbol)]


def test_not_renamed_where_it_might_be_either() -> None:
    """Two candidates are none."""
    one, two = (attrs.evolve(OLD, symbol=symbol) for symbol in ("ONE", "TWO"))
    assert told([BTC, OLD], [BTC, one, two]) == [
        ("listed", "ONE"),
        ("listed", "TWO"),
        ("delisted", "OLD-USDT"),
    ]
    assert told([BTC, one, two], [BTC, OLD]) == [
        ("listed", "OLD-USDT"),
        ("delisted", "ONE"),
        ("delisted", "TWO"),
    ]


def test_a_change_of_nothing_is_none() -> None:
    """A change has an instrument."""
    with pytest.raises(ValueError, match="no instrument"):
        _ = InstrumentChange(kind=ChangeKind.LISTED, at_ns=1, after_ns=0).symbol


@given(any_listing, any_listing)
def test_changes_lead_from_any_listing_to_any_other(
    first: list[SymbolInfo], second: list[SymbolInfo]
) -> None:
    """Whatever is called what, the state that follows is the listing; and it follows once."""
    told(first, second)
    assert told(second, second) == []
