from __future__ import annotations

from itertools import count

import pytest
import trio
from connection_peer import Rig, make_rig, until
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.connection.scaling import MERGE_LOOKS, SPLIT_LOOKS, Load, Move, Scaler, part_of

LONG = 80_000.0


def decided(scaler: Scaler[str], looks: int, *loads: Load[str], may_open: bool = True) -> list[Move[str]]:
    """Return what is decided in so many looks at the same loads."""
    moves = [scaler.decide(loads, may_open=may_open) for _ in range(looks)]
    return [move for move in moves if move is not None]


@pytest.mark.parametrize(
    ("rates", "part"),
    [
        ({"A": 60.0, "B": 30.0, "C": 20.0}, ("A",)),
        ({"A": 40.0, "B": 35.0, "C": 25.0, "D": 10.0}, ("A", "D")),
        ({"A": 49.0, "B": 20.0, "C": 20.0, "D": 20.0}, ("A",)),
        ({"A": 30.0, "B": 30.0}, ("A",)),
    ],
)
def test_what_an_overloaded_connection_gives_away(rates: dict[str, float], part: tuple[str, ...]) -> None:
    """The hot symbol if there is one, else about half by messages."""
    assert part_of(Load("one", rates)) == part


def test_splits_are_considered() -> None:
    """A connection is split after several looks in a row, not at a peak, and not if it has one symbol."""
    scaler = Scaler[str](100.0, 10)
    hot = Load("one", {"A": 80.0, "B": 40.0})
    assert decided(scaler, SPLIT_LOOKS - 1, hot) == []
    assert decided(scaler, 1, Load("one", {"A": 10.0, "B": 40.0})) == []
    assert decided(scaler, SPLIT_LOOKS - 1, hot) == []
    (move,) = decided(scaler, 1, hot)
    assert (move.symbols, move.giving, move.receiving) == (("A",), "one", None)
    assert decided(scaler, SPLIT_LOOKS - 1, hot) == []
    assert decided(scaler, 10, Load("one", {"A": 500.0})) == []


def test_without_another_connection() -> None:
    """Where none may be opened, the least busy one with room takes the part; else that is said once."""
    full = Load("one", {"A": 80.0, "B": 40.0})
    busy, calm = Load("two", {"C": 60.0}), Load("three", {"D": 10.0})
    scaler = Scaler[str](150.0, 10)
    assert decided(scaler, 9, full, busy, calm, may_open=False) == []
    scaler = Scaler[str](110.0, 10)
    with capture_logs() as logs:
        assert decided(scaler, 9, full, busy, may_open=False) == []
    assert [(line["log_level"], line["messages_per_second"]) for line in logs] == [("warning", 120)]
    light = Load("one", {"A": 60.0, "B": 55.0})
    (move,) = decided(scaler, SPLIT_LOOKS, light, busy, calm, may_open=False)
    assert (move.symbols, move.receiving) == (("A",), "three")


def test_merges_are_considered() -> None:
    """Two idle connections become one after many looks, if their symbols fit: the smaller part moves."""
    scaler = Scaler[str](100.0, 4)
    idle = [
        Load("one", {"A": 10.0, "B": 2.0, "C": 1.0}),
        Load("two", {"D": 5.0}),
        Load("three", {"E": 40.0}),
    ]
    assert decided(scaler, MERGE_LOOKS - 1, *idle) == []
    (move,) = decided(scaler, 1, *idle)
    assert (move.symbols, move.giving, move.receiving) == (("D",), "two", "one")
    assert decided(scaler, MERGE_LOOKS - 1, *idle) == []
    assert decided(Scaler(100.0, 3), 3 * MERGE_LOOKS, *idle) == []
    assert decided(Scaler(70.0, 4), 3 * MERGE_LOOKS, *idle) == []


def test_an_overloaded_one_comes_first() -> None:
    """Of several changes, the split of the busiest is the one that is made."""
    loads = [
        Load("one", {"A": 1.0}),
        Load("two", {"B": 1.0}),
        Load("three", {"C": 70.0, "D": 40.0}),
        Load("four", {"E": 90.0, "F": 40.0}),
    ]
    moves = decided(Scaler(100.0, 10), SPLIT_LOOKS, *loads)
    assert [(move.symbols, move.giving) for move in moves] == [(("E",), "four")]


async def trade(rig: Rig, *symbols: str) -> None:
    """Publish trades of some symbols, ten a second."""
    for number in count():
        await rig.venue.publish("t", symbols[number % len(symbols)], number)
        await trio.sleep(0.1)


def symbols_of(rig: Rig) -> list[set[str]]:
    """Return what each open connection is subscribed to."""
    return [peer.carries for peer in rig.venue.open_peers]


def set_rates(rig: Rig, **rates: float) -> None:
    """Let symbols bring so many rows a second, as far as the pool is told."""
    rig.quality.of_late = {rig.feed.symbols.number(symbol): rate for symbol, rate in rates.items()}


async def test_a_hot_symbol_gets_its_own_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It streams on the new connection before the old one lets go: no row is missing, and nothing is lost."""
    rig = make_rig(nursery, silence_secs=LONG, messages_per_connection=100.0)
    rig.quality.once = True
    await rig.start(nursery, ["A", "B", "C"])
    nursery.start_soon(trade, rig, "A", "B", "C")
    set_rates(rig, A=90, B=20, C=10)
    await until(lambda: rig.carried == {"A": 2, "B": 1, "C": 1})
    await until(lambda: rig.carried == {"A": 1, "B": 1, "C": 1})
    assert symbols_of(rig) == [{"B", "C"}, {"A"}]
    await trio.sleep(60)
    ids = sorted(rig.received_now())
    assert ids == list(range(ids[-1] + 1))
    assert {word[0] for word in rig.coverage.told} == {"carried"}
    assert len(rig.coverage.told) == 3
    assert (rig.stats.moves, rig.stats.reconnects, rig.stats.symbols) == (1, 0, 3)
    assert rig.venue.peers[0].heard[-1] == "unsub A"
    assert autojump_clock.current_time() < 120


async def test_splits_to_the_allowed_number_and_merges_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """One change a minute, never more connections than configured; when all is quiet, one is left."""
    rig = make_rig(nursery, silence_secs=LONG, messages_per_connection=100.0, max_connections=3)
    await rig.start(nursery, ["A", "B", "C", "D"])
    set_rates(rig, A=80, B=80, C=80, D=80)
    changes: list[float] = []
    seen = 1
    while autojump_clock.current_time() < 600:
        await trio.sleep(1)
        assert len(rig.stats.links) <= 3
        if len(rig.stats.links) != seen:
            seen = len(rig.stats.links)
            changes.append(autojump_clock.current_time())
    assert len(changes) == 2
    assert changes[1] - changes[0] >= 60
    assert sorted(map(len, symbols_of(rig))) == [1, 1, 2]
    set_rates(rig)
    await until(lambda: len(rig.stats.links) == 1, step=1)
    assert symbols_of(rig) == [{"A", "B", "C", "D"}]
    assert {word[0] for word in rig.coverage.told} == {"carried"}


async def test_a_move_that_fails_is_taken_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """If the new connection does not come up, the symbols stay where they are, and stream."""
    rig = make_rig(nursery, silence_secs=LONG, messages_per_connection=100.0)
    pool = await rig.start(nursery, ["A", "B"])
    set_rates(rig, A=90, B=30)
    rig.venue.down = True
    await until(lambda: len(rig.venue.attempts) > 5, step=1)
    assert rig.carried == {"A": 1, "B": 1}
    set_rates(rig, A=1, B=1)
    await until(lambda: len(rig.stats.links) == 1, step=1)
    assert rig.stats.moves == 0
    assert [lane.wanted.symbols for lane in pool._lanes] == [("A", "B")]
    assert rig.venue.peers[0].heard == ["sub A", "sub B"]
    assert autojump_clock.current_time() < 300


async def test_what_leaves_while_it_moves(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A symbol that leaves the listing in mid-move is gone from both connections."""
    rig = make_rig(nursery, silence_secs=LONG, messages_per_connection=100.0)
    pool = await rig.start(nursery, ["A", "B"])
    set_rates(rig, A=90, B=30)
    await until(lambda: rig.carried == {"A": 2, "B": 1})
    pool.update(["B"])
    await until(lambda: rig.carried == {"B": 1})
    await until(lambda: len(rig.stats.links) == 1, step=1)
    assert [word for word in rig.coverage.told if word[0] != "carried"] == [("released", "A")]
    await trio.sleep(300)
    assert rig.carried == {"B": 1}
    assert autojump_clock.current_time() < 1000
