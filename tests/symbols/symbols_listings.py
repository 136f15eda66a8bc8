"""Instruments that listings change, for the tests of changes and their history."""

from __future__ import annotations

import attrs
from hypothesis import strategies as st
from symbols_samples import listed

from multilogger.symbols.instruments import AssetClass, SymbolInfo

BTC = listed("okx", "BTC-USDT", "BTC", "USDT")
ETH = listed("okx", "ETH-USDT", "ETH", "USDT")
OLD = attrs.evolve(listed("okx", "OLD-USDT", "OLD", "USDT"), listed_ns=5)
NEW = attrs.evolve(listed("okx", "NEW-USDT", "NEW", "USDT"), listed_ns=5)
PERPETUAL = listed("okx", "BTC-USDT-SWAP", "BTC", "USDT", asset_class=AssetClass.PERPETUAL)
FUTURE = attrs.evolve(
    listed("okx", "BTC-USDT-261225", "BTC", "USDT", asset_class=AssetClass.FUTURES), expiry_ns=1000
)

_instruments = st.builds(
    SymbolInfo,
    exchange=st.just(BTC.exchange),
    symbol=st.sampled_from("abcdef"),
    normalized=st.sampled_from("ab"),
    base=st.sampled_from("ab"),
    quote=st.just("USDT"),
    quote_type=st.just(BTC.quote_type),
    asset_class=st.sampled_from(AssetClass),
    active=st.booleans(),
    tick_size=st.none() | st.floats(0, 1),
    expiry_ns=st.none() | st.integers(0, 40),
    listed_ns=st.none() | st.integers(0, 2),
    venue_id=st.sampled_from(["", "1", "2"]),
)
any_listing = st.lists(_instruments, unique_by=lambda info: info.symbol)


def by_symbol(listing: list[SymbolInfo]) -> dict[str, SymbolInfo]:
    """Return a listing as a state."""
    return {info.symbol: info for info in listing}
