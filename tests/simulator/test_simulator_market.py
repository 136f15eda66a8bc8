from __future__ import annotations

from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilogger.simulator.binance.messages import aggregates
from multilogger.simulator.instruments import listing, spell
from multilogger.simulator.market import Cascade, Market
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import demo_venues

NOW = 1_795_341_600_123_456_789


def market(seed: int = 1, *, resolution_ns: int = 1000, pace_ns: int = 0) -> Market:
    """Return a market of the demo's instruments."""
    return Market(seed, listing("USD", "-"), first_trade_id=500, resolution_ns=resolution_ns, pace_ns=pace_ns)


def played(source: Market, steps: int = 50) -> list[Cascade]:
    """Return what a second of the market brought."""
    return [cascade for step in range(steps) for cascade in source.step(NOW + step * 20_000_000, 40)]


def told(cascades: list[Cascade]) -> list[tuple[object, ...]]:
    """Return all that a market says."""
    return [
        (
            f.trade_id,
            f.sequence,
            f.time_ns,
            f.price,
            f.size,
            f.bought,
            f.maker,
            f.taker,
            c.quote.bid,
            c.quote.ask,
        )
        for c in cascades
        for f in c.fills
    ]


def test_a_seed_makes_one_market() -> None:
    """The same seed gives the same market, another seed another."""
    first = told(played(market(1)))
    assert first == told(played(market(1)))
    assert first != told(played(market(2)))


def test_trade_ids_are_contiguous_per_instrument() -> None:
    """Every instrument counts its trades one by one from the first id, while sequences jump."""
    cascades = played(market())
    for symbol in {cascade.instrument.symbol for cascade in cascades}:
        fills = [
            fill for cascade in cascades if cascade.instrument.symbol == symbol for fill in cascade.fills
        ]
        assert [fill.trade_id for fill in fills] == list(range(500, 500 + len(fills)))
        jumps = {after.sequence - before.sequence for before, after in pairwise(fills)}
        assert min(jumps) >= 1
        assert len(jumps) > 2


def test_prices_stay_on_the_grid_and_quotes_uncrossed() -> None:
    """Prices are multiples of the tick with the listed decimals, positive, and bid is below ask."""
    for cascade in played(market()):
        listed = cascade.instrument
        tick = Decimal(listed.tick).scaleb(-listed.decimals)
        assert Decimal(0) < Decimal(cascade.quote.bid) < Decimal(cascade.quote.ask)
        for fill in cascade.fills:
            assert Decimal(fill.price) % tick == 0
            assert len(fill.price.partition(".")[2]) == listed.decimals
            assert Decimal(fill.size) > 0
            assert fill.taker == cascade.last.taker
            assert len(fill.maker) == 16


def test_times_have_the_exchanges_resolution_and_pace() -> None:
    """Times are cut to the resolution; with a pace, no two taker orders of an instrument share one."""
    coarse = played(market(resolution_ns=1_000_000))
    assert all(cascade.last.time_ns % 1_000_000 == 0 for cascade in coarse)
    paced = played(market(pace_ns=1000))
    seen = {(cascade.instrument.symbol, cascade.last.time_ns) for cascade in paced}
    assert len(seen) == len(paced)


def test_offline_instruments_never_trade() -> None:
    """What is listed as off-line makes no events."""
    assert "XYO-USD" in market().instruments
    assert "XYO-USD" not in {cascade.instrument.symbol for cascade in played(market())}


def test_aggregates_cover_the_fills_without_gaps() -> None:
    """Aggregate ids are contiguous, and each begins with the trade after the previous one's last."""
    cascades = [c for c in played(market()) if c.instrument.symbol == "BTC-USD"]
    rows = [aggregate for cascade in cascades for aggregate in aggregates(cascade)]
    assert [row.aggregate_id for row in rows] == list(range(250, 250 + len(rows)))
    assert all(b.first.trade_id == a.last.trade_id + 1 for a, b in pairwise(rows))
    total = sum(Decimal(fill.size) for cascade in cascades for fill in cascade.fills)
    assert sum(Decimal(row.size) for row in rows) == total
    assert any(row.first is not row.last for row in rows)


@pytest.mark.parametrize("name", ["coinbase", "binance"])
def test_demo_ids_rise_over_restarts(name: str) -> None:
    """A later run's first trade id is above what the earlier one can have reached."""
    firsts = []
    for now in (NOW, NOW + 10**9):
        [venue] = demo_venues(1, 500, partial(int, now), None, names=[name])
        assert isinstance(venue, Venue)
        firsts += [c.fills[0].trade_id for c in venue.market.open(now) if c.instrument.base == "BTC"]
    assert firsts[1] - firsts[0] == 10_000


@given(st.integers(0, 10**24), st.integers(0, 12))
def test_spelled_units_are_exact(units: int, decimals: int) -> None:
    """Decimal text made of units is the exact value, with all its decimals."""
    text = spell(units, decimals)
    assert Decimal(text) == Decimal(units).scaleb(-decimals)
    assert len(text.partition(".")[2]) == decimals
