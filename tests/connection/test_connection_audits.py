"""Symbols that seem to be well take turns in being asked about: which, and how often."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from connection_pages import Pages, make_pages
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.connection.audits import LEAST_SECS, MOST_SECS, PAUSE_SECS
from multilogger.errors import RestError


def trading(nursery: trio.Nursery, pages: Pages, **every: float) -> None:
    """Let symbols trade, each so often, and be carried."""
    nursery.start_soon(pages.run)
    pages.carry(*every)
    for symbol, secs in every.items():
        nursery.start_soon(pages.trade_every, symbol, secs)


async def test_a_trade_that_is_not_sent_is_found(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It comes from a page, some minutes later."""
    pages = make_pages()
    trading(nursery, pages, A=1.0, B=1.0)
    await trio.sleep(100.5)
    carrier, pages.carrier = pages.carrier, None
    await trio.sleep(10)
    pages.carrier = carrier
    assert (pages.missing("A"), pages.stats.backfilled) == (10, 0)
    with capture_logs() as logs:
        await trio.sleep(MOST_SECS)
    assert (pages.missing("A"), pages.missing("B"), pages.stats.backfilled) == (0, 0, 20)
    told = [line for line in logs if line["log_level"] == "warning"]
    assert {line["event"] for line in told} == {"trades were left out of the stream"}
    assert sorted((line["symbol"], line["count"]) for line in told) == [("A", 10), ("B", 10)]
    assert pages.states("A", 99, 105, 109, 112) == "LBBL"


async def test_how_often(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Busy markets before half a page is full, quiet ones every few minutes."""
    pages = make_pages()
    trading(nursery, pages, BUSY=0.2, QUIET=10.0, SOME=0.5)
    await trio.sleep(3 * MOST_SECS)
    counts = {symbol: len(pages.asked(symbol)) for symbol in ("BUSY", "SOME", "QUIET")}
    assert counts["BUSY"] == pytest.approx(3 * MOST_SECS / LEAST_SECS, abs=4)
    assert counts["SOME"] == pytest.approx(3 * MOST_SECS * 2 / 50, abs=20)
    assert counts["QUIET"] in (2, 3)


async def test_many_symbols_take_turns(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """One after the other, with a pause; whoever has waited longest is next."""
    pages = make_pages()
    names = [f"S{number}" for number in range(200)]
    trading(nursery, pages, **dict.fromkeys(names, 100.0))
    await trio.sleep(MOST_SECS + 300)
    times = [at for at, _ in pages.exchange.asked]
    asked = [symbol for _, symbol in pages.exchange.asked]
    assert len(asked) == len({*asked}) == pytest.approx(300 / PAUSE_SECS, abs=10)
    assert all(later - earlier >= PAUSE_SECS for earlier, later in pairwise(times))


async def test_not_without_need(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Nothing is asked where missed trades are not wanted, nor where there is nobody to ask."""
    unwanted = make_pages(backfill=False)
    unable = make_pages()
    unable.exchange.history = None
    for pages in (unwanted, unable):
        trading(nursery, pages, A=1.0)
    await trio.sleep(2 * MOST_SECS)
    assert unwanted.exchange.asked == unable.exchange.asked == []


async def test_what_is_not_carried_has_no_turn(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It has its turn again once it is carried."""
    pages = make_pages()
    trading(nursery, pages, A=1.0)
    await trio.sleep(5)
    pages.lose()
    await trio.sleep(2 * MOST_SECS)
    assert pages.asked("A") == []


async def test_a_failing_request(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It is told, and the others have their turns."""
    pages = make_pages()
    pages.exchange.answer = lambda symbol: RestError("HTTP status 400") if symbol == "A" else None
    trading(nursery, pages, A=1.0, B=1.0)
    await trio.sleep(400)
    assert len(pages.asked("A")) > 2
    assert len(pages.asked("B")) > 2
    pages.exchange.answer = lambda _: RestError("HTTP status 500")
    await trio.sleep(100)
    assert pages.stats.backfill_problem == "HTTP status 500"
    pages.exchange.answer = lambda _: None
    await trio.sleep(100)
    assert pages.stats.backfill_problem == ""
