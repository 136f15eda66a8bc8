"""What a simulated exchange lists may change while it runs."""

from __future__ import annotations

import attrs

from multilogger.simulator.instruments import listing
from multilogger.simulator.market import Market

COINS = {it.base: it for it in listing("USD", "-")}


def traded(market: Market, steps: int = 50) -> set[str]:
    """Return what trades from now on."""
    return {cascade.instrument.base for _ in range(steps) for cascade in market.step(10**18, 1)}


def test_a_new_instrument_trades() -> None:
    """It is listed, has a market of its own, and trades, unless it is off-line."""
    market = Market(1, [COINS["BTC"]], first_trade_id=7)
    market.enlist(COINS["ETH"])
    market.enlist(COINS["XYO"])
    assert list(market.instruments) == ["BTC-USD", "ETH-USD", "XYO-USD"]
    assert traded(market) == {"BTC", "ETH"}
    assert market.markets["ETH-USD"].recent[0].trade_id == 7


def test_a_delisted_instrument_rests() -> None:
    """It is not listed and trades no more; what it traded can still be asked for, and it may come back."""
    market = Market(1, [COINS["BTC"], COINS["ETH"]])
    assert traded(market) == {"BTC", "ETH"}
    market.delist("ETH-USD")
    assert list(market.instruments) == ["BTC-USD"]
    assert traded(market) == {"BTC"}
    before = market.markets["ETH-USD"].span()
    assert before
    market.enlist(COINS["ETH"])
    assert traded(market) == {"BTC", "ETH"}
    assert market.markets["ETH-USD"].span()[: len(before)] == before


def test_a_changed_instrument_goes_on() -> None:
    """Its ids go on where they were, by the new terms; off-line it trades no more."""
    market = Market(1, [COINS["BTC"], COINS["ETH"]])
    traded(market)
    last = market.markets["BTC-USD"].recent[-1].trade_id
    market.enlist(attrs.evolve(COINS["BTC"], tick=10))
    (cascade,) = [it for it in market.open(10**18) if it.instrument.base == "BTC"]
    assert cascade.fills[0].trade_id == last + 1
    assert cascade.instrument.tick == market.instruments["BTC-USD"].tick == 10
    market.enlist(attrs.evolve(COINS["BTC"], online=False))
    assert traded(market) == {"ETH"}


def test_the_same_seed_is_the_same_market() -> None:
    """An instrument that joins does not change what the others do."""
    alone, joined = (Market(3, [COINS["BTC"]]) for _ in range(2))
    joined.enlist(attrs.evolve(COINS["ETH"], online=False))
    for market in (alone, joined):
        assert traded(market) == {"BTC"}
    first, second = ([fill.price for fill in market.markets["BTC-USD"].recent] for market in (alone, joined))
    both = min(len(first), len(second))
    assert both > 1
    assert first[:both] == second[:both]
