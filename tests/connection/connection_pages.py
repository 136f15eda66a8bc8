"""An exchange whose ids have no order, its newest trades, and a feed with the real checks and ledger."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import numpy as np
import trio
from connection_peer import Words, no_listing
from connection_words import WordAdapter

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.connection.arrivals import Arrivals
from multilogger.connection.feed import Feed
from multilogger.connection.overlap import run_overlap
from multilogger.errors import FeedError
from multilogger.exchanges.base import Exchange, ExchangeConnection, Services, TradeHistory, TradeIds
from multilogger.notes import CoverageNote, CoverageState, Note
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.quality.liveness import Liveness
from multilogger.records import Flag, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.tables import NANOS_PER_SECOND, TRADES

START_NS: Final = 1_795_341_600 * NANOS_PER_SECOND
RECV_NS: Final = START_NS + 7
PAGE: Final = 100
STATES: Final = {CoverageState.LIVE: "L", CoverageState.GAP: "G", CoverageState.BACKFILLED: "B"}


def calendar() -> int:
    """Return the time on the virtual clock."""
    return START_NS + round(trio.current_time() * NANOS_PER_SECOND)


def uid(number: int) -> int:
    """Return an id that tells nothing of when a trade was."""
    return 2**64 - 1 - number * 0x9E3779B97F4A7C15 % 2**63


def no_connection(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


class Pager(Words):
    """An exchange that gives the newest trades of its market, out of a cache perhaps."""

    trade_ids = TradeIds.UNORDERED
    history: TradeHistory | None = TradeHistory(by_id=False, page=PAGE)

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self.market: dict[str, list[tuple[int, int]]] = {}
        """Id and event time of each trade, by symbol."""
        self.lag_secs = 0.0
        """The age of every answer."""
        self.request_secs = 0.1
        self.answer: Callable[[str], Exception | None] = lambda _: None
        """Returns the failure of the next request for a symbol, if it fails."""
        self.asked: list[tuple[float, str]] = []
        self.under_way = 0
        self.most_under_way = 0

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Return them, the oldest first."""
        self.asked.append((trio.current_time(), symbol))
        until_ns = calendar() - round(self.lag_secs * NANOS_PER_SECOND)
        newest = [it for it in self.market.get(symbol, []) if it[1] <= until_ns][-PAGE:]
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            await trio.sleep(self.request_secs)
        finally:
            self.under_way -= 1
        failure = self.answer(symbol)
        if failure is not None:
            raise failure
        return [self.trade(symbol, *it) for it in newest]

    def trade(self, symbol: str, trade_id: int, time_ns: int) -> Trade:
        """Return a trade as its history has it."""
        return Trade(
            exchange=self.id,
            symbol=symbol,
            trade_id=trade_id,
            time_ns=time_ns,
            recv_ns=0,
            price=1.0,
            size=1.0,
            side=Side.BUY,
            flags=Flag.BACKFILLED,
        )


@attrs.define(eq=False)
class Carrier:
    """A connection without a wire."""

    adapter: WordAdapter
    heard: float = 0.0
    heard_ns: int = 0
    busy: bool = False
    md_has_time: bool = True
    arrivals: Arrivals = attrs.field(factory=Arrivals)
    muted: set[int] = attrs.field(factory=set)

    def ask_again(self, symbols: object) -> None:
        """Nobody does."""

    def replace(self, why: FeedError) -> None:
        """Nobody does."""


@attrs.define(eq=False)
class Pages:
    """A feed, and what comes out of it."""

    exchange: Pager
    feed: Feed
    quality: QualityFilter
    coverage: CoverageBook
    batches: trio.MemoryReceiveChannel[Batch]
    notes: list[Note]
    """In the order in which they are durable, those of batches once these were looked at."""
    carrier: Carrier | None = None
    count: int = 0
    recorded: dict[str, dict[int, int]] = attrs.field(factory=dict)
    """Flags of the trades, by symbol and id."""

    @property
    def stats(self) -> ExchangeStats:
        """The exchange's counters."""
        return self.feed.stats

    async def run(self) -> None:
        """Repair until cancelled."""
        overlaps = self.coverage.overlaps
        await run_overlap(self.exchange, self.feed, overlaps, clock=lambda: RECV_NS, chance=random.Random(1))

    def carry(self, *symbols: str) -> None:
        """Let a connection carry symbols, confirmed."""
        self.carrier = Carrier(WordAdapter(self.feed.symbols, self.stats))
        self.carrier.heard_ns = calendar()
        self.feed.carriers.asked(self.carrier, symbols)
        self.feed.carriers.confirmed(self.carrier, symbols)

    def lose(self) -> None:
        """Let it fail, last heard just now."""
        assert self.carrier is not None
        self.carrier.heard_ns = calendar()
        carrier, self.carrier = self.carrier, None
        self.feed.carriers.left(carrier, cause="connection lost")

    def trade(self, symbol: str) -> None:
        """Let a trade happen; it comes, if the symbol is carried."""
        self.count += 1
        trade_id, time_ns = uid(self.count), calendar() // 1_000_000 * 1_000_000
        self.exchange.market.setdefault(symbol, []).append((trade_id, time_ns))
        if self.carrier is not None and self.feed.carriers.of(symbol):
            rows = RowBuffer()
            number = self.feed.symbols.number(symbol)
            rows.add_trade(
                symbol=number,
                time_ns=time_ns,
                recv_ns=calendar(),
                trade_id=trade_id,
                price=1.0,
                size=1.0,
                side=1,
            )
            taken = rows.take()
            self.carrier.arrivals.note(taken, trio.current_time())
            batch = self.feed.stage(taken)
            if batch is not None:
                self.feed.send.send_nowait(batch)

    async def trade_every(self, symbol: str, secs: float) -> None:
        """Let a symbol trade until cancelled."""
        while True:
            self.trade(symbol)
            await trio.sleep(secs)

    def take(self) -> None:
        """Take what the writer has been sent."""
        while True:
            try:
                batch = self.batches.receive_nowait()
            except trio.WouldBlock:
                return
            for row in batch.rows.get(TRADES.number, ()):
                flags = self.recorded.setdefault(batch.symbols.names[row["symbol"]], {})
                assert int(row["trade_id"]) not in flags
                flags[int(row["trade_id"])] = int(row["flags"])
            self.notes += batch.notes

    def missing(self, symbol: str) -> int:
        """Return how many trades of a symbol are not recorded."""
        self.take()
        happened = {trade_id for trade_id, _ in self.exchange.market.get(symbol, [])}
        return len(happened - self.recorded.get(symbol, {}).keys())

    def states(self, symbol: str, *secs: float) -> str:
        """Return what the ledger says of a symbol's trades at some Trio times, a letter each."""
        self.take()
        return "".join(self._state(symbol, START_NS + round(at * NANOS_PER_SECOND) + 2) for at in secs)

    def _state(self, symbol: str, time_ns: int) -> str:
        said = set()
        for note in reversed(self.notes):
            assert isinstance(note, CoverageNote)
            key = note.table, note.symbol, note.state, note.start_ns
            if key[:2] == (TRADES.name, symbol) and key not in said:
                said.add(key)
                if note.start_ns <= time_ns and (note.end_ns is None or time_ns < note.end_ns):
                    return STATES[note.state]
        return "-"

    def asked(self, symbol: str) -> list[float]:
        """Return when a symbol was asked about."""
        return [round(at, 1) for at, asked in self.exchange.asked if asked == symbol]


def make_pages(*, channel_size: float = math.inf, **config: Any) -> Pages:
    """Return a feed whose writer takes so many batches; ``config`` goes into the exchange's configuration."""
    settings = attrs.evolve(ExchangeConfig(ws_endpoint="ws://x", rest_endpoint="http://x"), **config)
    exchange = Pager(settings, Services(no_listing, no_connection))
    stats, symbols = ExchangeStats("words"), SymbolTable(exchange.id)
    notes: list[Note] = []
    coverage = CoverageBook(
        exchange.id,
        symbols,
        notes.extend,
        calendar,
        contiguous=False,
        pages=True,
        stopped_ns=0,
        seconds=trio.current_time,
    )
    quality = QualityFilter(
        symbols,
        stats,
        last_trade_ids={},
        last_md={},
        trade_ids="unordered",
        coverage=coverage,
        clock=calendar,
        monotonic=trio.current_time,
        liveness=Liveness(30.0),
    )
    send, receive = trio.open_memory_channel[Batch](channel_size)
    feed = Feed(
        symbols=symbols, stats=stats, quality=quality, coverage=coverage, calendar=calendar, send=send
    )
    assert np.uint64(uid(1)) > 2**63
    return Pages(exchange, feed, quality, coverage, receive, notes)
