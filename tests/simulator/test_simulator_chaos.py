"""Chaos, and the ledger that has what anybody can have."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio
from simulator_peer import Peer, binance, coinbase, connect
from trio.testing import MockClock

from multilogger.simulator.chaos import ALL, KINDS, chaos_schedule, strikes
from multilogger.simulator.faults import Cut, Stall, run_schedule
from multilogger.simulator.feed_faults import HalfOpen, StallSymbol
from multilogger.simulator.venue import Venue

MAKERS = [coinbase, binance]


def test_a_seed_makes_one_chaos() -> None:
    """The same seed gives the same faults at the same times, another seed or venue others."""
    schedule = chaos_schedule(1, 3600, 20, venue=coinbase())
    assert schedule == chaos_schedule(1, 3600, 20, venue=coinbase())
    assert schedule != chaos_schedule(2, 3600, 20, venue=coinbase())
    assert schedule != chaos_schedule(1, 3600, 20, venue=binance())


@pytest.mark.parametrize(("secs", "every", "tail"), [(120.0, 5.0, 30.0), (86400.0, 600.0, 120.0)])
def test_chaos_leaves_time_to_repair(secs: float, every: float, tail: float) -> None:
    """Faults come about as often as asked for, not at the start, and end in good time before the end."""
    found = strikes(3, secs, every)
    assert len(found) == int((secs - tail - 2 * every) / every)
    assert [strike.at for strike in found] == sorted(strike.at for strike in found)
    assert all(2 * every <= strike.at <= secs - tail for strike in found)
    lasting = [(strike.at, getattr(strike.fault, "secs", None)) for strike in found]
    durations = [(at, lasts) for at, lasts in lasting if lasts is not None]
    assert durations
    assert all(0.5 <= lasts <= 4 * every and at + lasts <= secs - tail / 2 for at, lasts in durations)


def test_every_kind_comes() -> None:
    """No kind comes again before all have come; only those asked for come."""
    found = strikes(3, 10_000, 10)
    assert {strike.kind for strike in found[: len(ALL)]} == set(ALL)
    assert len({type(strike.fault) for strike in found}) == len(KINDS) - 1  # A ban is a refusal, too.
    assert "ban" not in {strike.kind for strike in strikes(3, 120, 1)}
    counts = Counter(strike.kind for strike in found)
    assert max(counts.values()) - min(counts.values()) <= 2  # There may be no time for the last ban.
    some = strikes(3, 10_000, 10, ("cut", "stall"), head=0.0)
    assert {type(strike.fault) for strike in some} == {Cut, Stall}
    assert some[0].at < 10


async def subscribed(nursery: trio.Nursery, venue: Venue[Any]) -> Peer:
    """Return a client that has subscribed all trades."""
    if venue.name == "coinbase":
        peer = await connect(nursery, venue)
        await peer.send({"type": "subscribe", "product_ids": venue.symbols(), "channels": ["matches"]})
    else:
        peer = await connect(nursery, venue, "/stream")
        streams = [f"{symbol.lower()}@trade" for symbol in venue.symbols()]
        await peer.send({"method": "SUBSCRIBE", "params": streams, "id": 1})
    await peer.gathered()
    return peer


def entered(venue: Venue[Any]) -> dict[str, list[int]]:
    """Return the trade ids of the ledger, by symbol, in its order."""
    ids: dict[str, list[int]] = {}
    for row in venue.ledger.rows("TRADES"):
        ids.setdefault(row["symbol"].decode(), []).append(int(row["trade_id"]))
    return ids


def newest(venue: Venue[Any]) -> dict[str, int]:
    """Return the newest trade id of each symbol that trades."""
    markets = venue.market.markets
    return {symbol: markets[symbol].recent[-1].trade_id for symbol in venue.symbols()}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("fault", [Stall(10), HalfOpen(), StallSymbol(60, seed=1), Cut()])
async def test_all_that_was_made_is_entered(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any, fault: Any
) -> None:
    """From the first subscription on, the ledger has each trade once, in order, whether sent or not."""
    venue = make()
    venue.enter_all = True
    venue.step(100)
    assert entered(venue) == {}
    before = newest(venue)
    await subscribed(nursery, venue)
    venue.step(100)
    venue.inject(fault)
    venue.step(100)
    await trio.sleep(61)
    await subscribed(nursery, venue)
    venue.step(100)
    replayed = venue.name == "coinbase"
    for symbol, ids in entered(venue).items():
        assert ids == list(range(before[symbol] + (not replayed), newest(venue)[symbol] + 1))


@pytest.mark.parametrize("make", MAKERS)
async def test_without_it_only_what_was_sent_is(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any
) -> None:
    """By default a stall leaves a hole in the ledger, as it does in what was sent."""
    venue = make()
    await subscribed(nursery, venue)
    venue.step(100)
    venue.inject(Stall(10))
    venue.step(100)
    await trio.sleep(11)
    venue.step(100)
    for symbol, ids in entered(venue).items():
        assert len(ids) < newest(venue)[symbol] - ids[0] + 1 - 20


async def test_aggregates_are_entered_when_made(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Aggregate trades are entered once, whether they are sent afterwards or not."""
    venue = binance()
    venue.enter_all = True
    peer = await connect(nursery, venue, "/stream?streams=btcusdt@aggTrade")
    venue.step(100)
    await peer.gathered()
    venue.inject(Stall(10))
    venue.step(100)
    await trio.sleep(11)
    venue.step(100)
    [ids] = entered(venue).values()
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert ids[0] == venue.market.markets["BTCUSDT"].cascades[1].aggregate_id
    last = venue.market.markets["BTCUSDT"].cascades[-1]
    assert ids[-1] == last.aggregate_id + len(last.runs()) - 1


async def test_chaos_strikes_a_running_market(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An hour of it all ends with a venue that serves as ever, and with a ledger that has everything."""
    venue = coinbase()
    venue.enter_all = True
    venue.rate, venue.beat_secs = 2.0, 1.0
    nursery.start_soon(venue.run_market)
    await subscribed(nursery, venue)
    await run_schedule(venue, chaos_schedule(5, 3600, 30, [kind for kind in ALL if kind != "oversize"]))
    await trio.sleep(120)
    assert len(venue.alarms) == 0
    peer = await subscribed(nursery, venue)
    await trio.sleep(60)
    assert len(await peer.gathered()) > 50
    for ids in entered(venue).values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert venue.violations == []
