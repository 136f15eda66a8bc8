"""The exchange against its simulation: every symbol is answered, and the program records what was sent."""

from __future__ import annotations

from pathlib import Path

import trio
from contract_feeding import Fed, made
from contract_marks import by_exchange
from contract_subject import Subject
from contract_world import World, listening, open_world, symbols_of
from trio.testing import MockClock

from multilogger.records import Flag
from multilogger.simulator.dialect import Dialect
from multilogger.simulator.faults import Cut, Garbage
from multilogger.simulator.feed_faults import Shutdown
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

UNLISTED = "NOSUCHTHINGUSD"
SECS = 150.0


@by_exchange
async def test_every_symbol_is_answered(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Each symbol is confirmed or rejected: those that trade, one that is off-line, and one that is none."""
    async with open_world(subject, tmp_path) as world:
        trading = symbols_of(world)
        symbols = [*trading[:3], UNLISTED, *symbols_of(world, online=False), *trading[3:]]
        async with listening(world, symbols) as listener:
            pass
    assert listener.answered == set(symbols)
    assert listener.confirmed >= set(trading)
    assert world.venue.violations == []


@by_exchange
async def test_one_symbol_that_is_none(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """A symbol that is none is answered when it is asked for alone, too."""
    async with open_world(subject, tmp_path) as world, listening(world, [UNLISTED]) as listener:
        assert listener.answered == {UNLISTED}


@by_exchange
async def test_what_is_replayed_has_fixtures(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Rows that are sent at subscribe tell the past, and are flagged so; of each table there is a fixture."""
    async with open_world(subject, tmp_path) as world:
        await trio.sleep(30)
        world.venue.pause()
        async with listening(world, symbols_of(world)) as listener:
            await trio.sleep(1)
    taken = listener.rows.take()
    for table in (MD, TRADES):
        cases = [case for case in subject.cases if case.table == table.name]
        stated = [row["flags"] for case in cases for row in case.expected]
        for flags in taken[table.number]["flags"] if table.number in taken else ():
            assert flags & Flag.REPLAYED, f"{table.name} rows of the past are not flagged"
            assert any(it & Flag.REPLAYED for it in stated), f"no fixture of a replayed {table.name} row"


@by_exchange
async def test_pings_are_answered(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """What the exchange answers to a ping is a sign of life: neither refused nor ignored."""
    async with open_world(subject, tmp_path) as world:
        world.venue.pause()
        async with listening(world, symbols_of(world)[:1]) as listener:
            ping = listener.adapter.ping()
            if ping is not None:
                before = listener.chunks
                await listener.connection.send([ping])
                await trio.sleep(1)
                assert listener.chunks > before
    assert (dict(listener.stats.refused), dict(listener.stats.ignored)) == ({}, {})


@by_exchange
async def test_announcements(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where the exchange announces that it will cut connections, they are to be renewed."""
    async with open_world(subject, tmp_path) as world, listening(world, symbols_of(world)[:1]) as listener:
        assert listener.renewals == []
        world.venue.announce_shutdown()
        await trio.sleep(1)
    announces = type(world.venue).announce_shutdown is not Dialect.announce_shutdown
    assert bool(listener.renewals) == announces


@by_exchange
async def test_garbage_is_no_data(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The malformed messages that the simulation can send are refused or ignored, each of them once."""
    async with open_world(subject, tmp_path) as world:
        garbage = world.venue.garbage()
        symbols = symbols_of(world)
    assert len(garbage) >= 5
    for payload in garbage:
        fed = Fed(made(subject.kind), symbols)
        assert fed.feed(payload) == []
        assert (len(fed.buffer), fed.counted) == (0, 1), payload


@by_exchange
async def test_disk_is_what_was_sent(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The whole program records a market for some minutes: every row, every value, no other row."""
    async with open_world(subject, tmp_path) as world:
        result = await world.record(SECS)
    for name, table in result.tables.items():
        assert table.ok(), table.samples
        assert table.sent > 100, f"{name}: the market hardly trades"
    assert world.venue.violations == []
    counters = _counters(world)
    assert (counters.restarts, counters.reconnects, dict(counters.refused)) == (0, 0, {})


@by_exchange
async def test_disk_after_faults(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Cuts, garbage and a restart of the server bring no row that was not sent, and none twice."""

    async def disturb() -> None:
        await trio.sleep(40)
        world.venue.inject(Cut())
        await trio.sleep(20)
        world.venue.inject(Garbage(5))
        await trio.sleep(20)
        world.venue.inject(Shutdown())
        await trio.sleep(30)
        world.venue.inject(Cut(reset=False))

    async with open_world(subject, tmp_path) as world:
        result = await world.record(SECS, beside=disturb)
    for table in result.tables.values():
        assert table.ok(missing_ok=True), table.samples
        assert table.on_disk > table.sent / 2
    history = subject.kind.history
    if history is not None and history.by_id:
        assert result.tables["TRADES"].missing == 0, result.tables["TRADES"].samples
    assert world.venue.violations == []
    counters = _counters(world)
    assert counters.restarts == 0
    assert counters.reconnects >= 2
    assert counters.refused


def _counters(world: World) -> ExchangeStats:
    assert world.stats is not None
    return world.stats.exchange(world.subject.name)
