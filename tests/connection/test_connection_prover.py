"""Symbols of which it is not known whether trades were missed are asked about."""

from __future__ import annotations

import attrs
import trio
from connection_history import Historian, make_repair, missing_by_notes
from connection_peer import no_listing
from trio.testing import MockClock

from multilogger.connection.prover import MOST_SECS, PROVE_SECS, run_prover
from multilogger.errors import RateLimited, RestError
from multilogger.exchanges.base import Services
from multilogger.stats import ExchangeStats


@attrs.define
class Ledger:
    """Some symbols in doubt, until they are heard of."""

    doubted: set[str]
    heard: list[tuple[float, str, int]] = attrs.field(factory=list)
    stubborn: bool = False
    """Whether symbols stay in doubt."""

    def unproven(self) -> list[str]:
        """Return them."""
        return sorted(self.doubted)

    def heard_of(self, symbol: str, newest_id: int) -> None:
        """Be sure of one."""
        self.heard.append((trio.current_time(), symbol, newest_id))
        if not self.stubborn:
            self.doubted.discard(symbol)


def historian(newest: int = 700) -> Historian:
    """Return an exchange whose newest trade is known."""
    repair = make_repair()
    repair.exchange.newest_id = newest
    return repair.exchange


async def prove_for(secs: float, exchange: Historian, ledger: Ledger) -> ExchangeStats:
    """Prove for so long."""
    stats = ExchangeStats("words")
    with trio.move_on_after(secs):
        await run_prover(exchange, ledger, stats)
    return stats


async def test_prover_asks_about_symbols_in_doubt(autojump_clock: MockClock) -> None:
    """Each symbol in doubt is asked about once, and the newest id is told."""
    exchange, ledger = historian(), Ledger({"A", "B"})
    stats = await prove_for(PROVE_SECS * 3.5, exchange, ledger)
    assert ledger.heard == [(PROVE_SECS, "A", 700), (PROVE_SECS, "B", 700)]
    assert (len(exchange.asked), stats.looks) == (2, 2)


async def test_prover_asks_about_a_symbol_less_and_less(autojump_clock: MockClock) -> None:
    """A symbol that stays in doubt, or never traded, is asked about again at doubling intervals."""
    for newest in (700, 0):
        exchange, ledger = historian(newest), Ledger({"A"}, stubborn=True)
        start = trio.current_time()
        await prove_for(3 * MOST_SECS, exchange, ledger)
        times = [asked[0] - start for asked in exchange.asked]
        assert times[:5] == [30, 60, 120, 240, 480]
        assert len(times) == 9
        assert len(ledger.heard) == (9 if newest else 0)


async def test_prover_begins_anew_with_a_new_doubt(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Once a symbol was sure, it is asked about at once when it comes into doubt again."""
    exchange, ledger = historian(), Ledger({"A"}, stubborn=True)
    nursery.start_soon(run_prover, exchange, ledger, ExchangeStats("words"))
    await trio.sleep(1000)
    ledger.doubted.clear()
    await trio.sleep(100)
    asked = len(exchange.asked)
    ledger.doubted.add("A")
    await trio.sleep(PROVE_SECS + 1)
    assert len(exchange.asked) == asked + 1


async def test_prover_looks_again_before_it_asks(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A symbol that has traded while others were asked about is not asked about."""
    exchange, ledger = historian(), Ledger({"A", "B"})
    exchange.request_secs = 5
    nursery.start_soon(run_prover, exchange, ledger, ExchangeStats("words"))
    await trio.sleep(PROVE_SECS + 1)
    ledger.doubted.discard("B")
    await trio.sleep(PROVE_SECS)
    assert [asked[1] for asked in exchange.asked] == ["A"]


async def test_prover_goes_on_after_failures(autojump_clock: MockClock) -> None:
    """A symbol that the exchange refuses keeps no other from its turn."""
    exchange, ledger = historian(), Ledger({"A", "B", "C"})
    exchange.answer = lambda symbol: RestError("400") if symbol == "A" else None
    await prove_for(PROVE_SECS * 10, exchange, ledger)
    assert {symbol for _, symbol, _ in ledger.heard} == {"B", "C"}
    assert len([asked for asked in exchange.asked if asked[1] == "A"]) <= 4


async def test_prover_leaves_the_exchange_alone(autojump_clock: MockClock) -> None:
    """After a 429 it waits for as long as the exchange wants, and then asks for the same symbol."""
    exchange, ledger = historian(), Ledger({"A"})
    failures = [RateLimited("429", 500.0)]
    exchange.answer = lambda _: failures.pop() if failures else None
    await prove_for(1000, exchange, ledger)
    assert [asked[0] for asked in exchange.asked] == [PROVE_SECS, 500 + 2 * PROVE_SECS]


async def test_prover_without_a_history(autojump_clock: MockClock) -> None:
    """An exchange that gives no trades by request is not asked."""
    exchange = Historian(historian().config, Services(no_listing, None))  # type: ignore[arg-type] # never asked
    exchange.history = None
    await prove_for(200, exchange, Ledger({"A"}))
    assert exchange.asked == []


async def test_prover_with_the_ledger(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A silent symbol whose connection was lost is proven whole, or its missed trades become a hole."""
    repair = make_repair()
    repair.exchange.newest_id = 5
    repair.coverage.carried(["A", "B"])
    repair.receive("A", 5)
    repair.receive("B", 2)
    repair.coverage.lost(["A", "B"], repair.feed.calendar(), "connection lost")
    repair.coverage.carried(["A", "B"])
    nursery.start_soon(run_prover, repair.exchange, repair.coverage, repair.stats)
    nursery.start_soon(repair.run)
    await trio.sleep(PROVE_SECS * 2 + 20)
    assert repair.spans()[2:] == [("B", 3, 5)]
    notes = [*repair.said, *(note for batch in repair.received_now() for note in batch.notes)]
    assert missing_by_notes(notes) == {}
    assert repair.stats.backfilled == 3
