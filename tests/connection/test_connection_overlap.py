"""Gaps in trades whose ids have no order are filled from pages of the newest trades: which, and when."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from connection_pages import PAGE, RECV_NS, Pages, make_pages
from trio.testing import MockClock

from multilogger.batch import Batch
from multilogger.connection.audits import Audits
from multilogger.connection.overlap import AGAIN_SECS, AT_ONCE, EARLY_SECS, MOST_FAILURE_SECS
from multilogger.errors import RateLimited, RestError
from multilogger.quality.recorded import STALE_SECS
from multilogger.records import Flag
from multilogger.tables import TRADES


@pytest.fixture(autouse=True)
def no_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be asked that is not about a gap."""
    monkeypatch.setattr(Audits, "next", lambda *_: None)


async def interrupted(
    nursery: trio.Nursery, pages: Pages, *symbols: str, every: float = 1.0, secs: float = 5.0
) -> float:
    """Let symbols trade for a minute, lose their connection for some seconds, and return when it is back."""
    nursery.start_soon(pages.run)
    pages.carry(*symbols)
    for symbol in symbols:
        nursery.start_soon(pages.trade_every, symbol, every)
    await trio.sleep(60.01)
    pages.lose()
    await trio.sleep(secs)
    pages.carry(*symbols)
    return trio.current_time()


async def test_a_gap_is_filled(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Once trades come again a page is asked for; what was missed is recorded once, flagged."""
    pages = make_pages()
    back = await interrupted(nursery, pages, "A")
    assert pages.states("A", 58, 59.5, 63) == "LGG"
    await trio.sleep(60)
    assert pages.asked("A") == [pytest.approx(back + EARLY_SECS, abs=0.6)]
    assert pages.missing("A") == 0
    assert (
        sorted(pages.recorded["A"].values()) == [0] * (len(pages.recorded["A"]) - 5) + [Flag.BACKFILLED] * 5
    )
    assert pages.states("A", 58, 59.5, 63, back + 1) == "LBBL"
    assert (pages.stats.backfilled, pages.stats.backfill_problem) == (5, "")


async def test_rows_are_stamped_when_they_came(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The receive time is that of the answer."""
    pages = make_pages()
    await interrupted(nursery, pages, "A")
    stamps = []
    with trio.move_on_after(30):
        async for batch in pages.batches:
            rows = batch.rows.get(TRADES.number, ())
            stamps += [int(row["recv_ns"]) for row in rows if row["flags"] & Flag.BACKFILLED]
    assert stamps == [RECV_NS] * 5


async def test_a_quiet_market_is_asked_about_later(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without a trade the answer must be new enough by itself; once is enough."""
    pages = make_pages()
    back = await interrupted(nursery, pages, "A", every=1000.0)
    await trio.sleep(100)
    assert pages.asked("A") == [pytest.approx(back + STALE_SECS, abs=0.6)]
    assert pages.states("A", 58, 59.5, 63, back + 1) == "LLLL"


async def test_a_busy_market_is_asked_about_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A page of it goes back only seconds; the next one joins it to what comes live."""
    pages = make_pages()
    back = await interrupted(nursery, pages, "A", every=0.1, secs=4.0)
    await trio.sleep(60)
    first, *others = pages.asked("A")
    assert first == pytest.approx(back, abs=0.6)
    assert others == [pytest.approx(first + 0.1 + AGAIN_SECS[0], abs=0.6)]
    assert pages.missing("A") == 0
    assert pages.states("A", 58, 59.5, 63, back + 1) == "LBBL"


async def test_a_page_that_does_not_go_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is older than it stays missing, and is said to be."""
    pages = make_pages()
    back = await interrupted(nursery, pages, "A", every=0.1, secs=30.0)
    await trio.sleep(60)
    assert pages.missing("A") == pytest.approx(300 - PAGE, abs=10)
    assert pages.states("A", 58, 59.5, 78, 82, back + 1) == "LGGBL"


async def test_answers_from_a_cache(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It is asked again until a page ends behind the gap."""
    pages = make_pages()
    pages.exchange.lag_secs = 7.0
    back = await interrupted(nursery, pages, "A")
    await trio.sleep(60)
    assert 2 < len(pages.asked("A")) < 5
    assert pages.missing("A") == 0
    assert pages.states("A", 58, 59.5, 63, back + 1) == "LBBL"


async def test_answers_that_never_come_up(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """After some time it is given up: what no page has stays missing."""
    pages = make_pages()
    pages.exchange.lag_secs = 3000.0
    await interrupted(nursery, pages, "A")
    await trio.sleep(600)
    assert len(pages.asked("A")) == len(AGAIN_SECS) + 1
    assert pages.missing("A") == 5
    assert pages.states("A", 58, 59.5, 63) == "LGG"
    assert pages.coverage.overlaps.newest == {}


async def test_only_what_is_carried_is_asked_about(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A second loss before the answer: both gaps are filled once a connection is back."""
    pages = make_pages()
    back = await interrupted(nursery, pages, "A")
    await trio.sleep(0.8)
    pages.lose()
    await trio.sleep(30)
    assert pages.asked("A") == []
    pages.carry("A")
    await trio.sleep(30)
    assert len(pages.asked("A")) == 1
    assert pages.states("A", 58, 63, back + 20, back + 40) == "LBBL"
    assert pages.missing("A") == 0


@pytest.mark.parametrize("config", [{"backfill": False}, {"backfill_max_age_secs": 1.0}])
async def test_what_nobody_wants_filled(
    nursery: trio.Nursery, autojump_clock: MockClock, config: dict[str, Any]
) -> None:
    """It stays a gap, and nothing is asked."""
    pages = make_pages(**config)
    await interrupted(nursery, pages, "A")
    await trio.sleep(100)
    assert pages.exchange.asked == []
    assert pages.states("A", 58, 59.5, 63) == "LGG"
    assert pages.coverage.overlaps.newest == {}


async def test_those_that_trade_most_come_first(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Several are asked about together, but not too many."""
    pages = make_pages()
    pages.exchange.request_secs = 1.0
    names = [f"S{number}" for number in range(9)]
    nursery.start_soon(pages.run)
    pages.carry(*names)
    for number, name in enumerate(names):
        nursery.start_soon(pages.trade_every, name, 0.2 + number / 10)
    await trio.sleep(60.01)
    pages.lose()
    await trio.sleep(1)
    pages.carry(*names)
    await trio.sleep(30)
    order = list(dict.fromkeys(symbol for _, symbol in pages.exchange.asked))
    assert [sorted(order[at : at + AT_ONCE]) for at in (0, 4, 8)] == [names[:4], names[4:8], names[8:]]
    assert pages.exchange.most_under_way == AT_ONCE
    assert [pages.missing(name) for name in names] == [0] * 9


async def test_failing_requests(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A symbol that is refused is put off, ever longer, and keeps no other from its turn."""
    pages = make_pages()
    pages.exchange.answer = lambda symbol: RestError("HTTP status 400") if symbol == "A" else None
    await interrupted(nursery, pages, "A", "B")
    await trio.sleep(60)
    assert pages.missing("B") == 0
    assert pages.states("B", 58, 59.5, 63) == "LBB"
    assert pages.states("A", 58, 59.5, 63) == "LGG"
    assert pages.stats.backfill_problem == "HTTP status 400"
    await trio.sleep(3000)
    times = pages.asked("A")
    assert 10 < len(times) < 25
    assert times[-1] - times[-2] == pytest.approx(MOST_FAILURE_SECS, abs=35)
    pages.exchange.answer = lambda _: None
    await trio.sleep(400)
    assert pages.stats.backfill_problem == ""


async def test_the_exchange_wants_to_be_left_alone(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """After a 429 nothing is asked for as long as it wants, and then the same again."""
    pages = make_pages()
    failures = [RateLimited("429", 20.0)]
    pages.exchange.answer = lambda _: failures.pop() if failures else None
    await interrupted(nursery, pages, "A", "B")
    await trio.sleep(60)
    times = sorted(at for at, _ in pages.exchange.asked)
    assert [round(at - times[0]) for at in times] == [0, 0, 20]
    assert pages.missing("A") == pages.missing("B") == 0


async def test_a_page_is_not_lost_to_the_end(autojump_clock: MockClock) -> None:
    """What was checked is sent, though the writer was behind when recording ended."""
    pages = make_pages(channel_size=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pages.run)
        pages.carry("A")
        pages.trade("A")
        pages.take()
        await trio.sleep(30)
        pages.lose()
        pages.trade("A")
        await trio.sleep(1)
        pages.carry("A")
        pages.feed.send.send_nowait(Batch(pages.feed.symbols, {}))
        await trio.sleep(20)
        assert len(pages.exchange.asked) == 1
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
            pages.take()
    assert pages.missing("A") == 0
    assert pages.states("A", 30.5) == "B"
