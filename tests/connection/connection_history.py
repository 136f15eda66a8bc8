"""An exchange with a history of trades, and a feed with the real checks and ledger, all in memory."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import attrs
import trio
from connection_peer import Words, no_listing

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.connection.backfill import run_backfill
from multilogger.connection.feed import Feed
from multilogger.exchanges.base import Exchange, ExchangeConnection, Services, TradeHistory
from multilogger.notes import CoverageNote, CoverageState, Note
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.records import Flag, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.tables import NANOS_PER_SECOND, TRADES

START_NS = 1_795_341_600 * NANOS_PER_SECOND
RECV_NS = START_NS + 7


def calendar() -> int:
    """Return the time on the virtual clock."""
    return START_NS + int(trio.current_time() * NANOS_PER_SECOND)


def time_of(trade_id: int) -> int:
    """Return when a trade happened: a millisecond after the one before."""
    return START_NS + trade_id * 1_000_000


def no_connection(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


class Historian(Words):
    """An exchange whose history has every trade, but for what a test says."""

    history: TradeHistory | None = TradeHistory(page=100)

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self.asked: list[tuple[float, str, int, int]] = []
        """When, whose, and which span."""
        self.newest_id = 1_000_000
        self.void: set[int] = set()
        """Ids that the history does not have."""
        self.answer: Callable[[str], Exception | None] = lambda _: None
        """Returns the failure of the next request for a symbol, if it fails."""
        self.request_secs = 0.0

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:  # noqa: ARG002
        """Return the highest ids of the span."""
        return await self._known(symbol, first, last)

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Return the highest ids of all."""
        return await self._known(symbol, self.newest_id - 99, self.newest_id)

    async def _known(self, symbol: str, first: int, last: int) -> list[Trade]:
        self.asked.append((trio.current_time(), symbol, first, last))
        failure = self.answer(symbol)
        void = set(self.void)
        await trio.sleep(self.request_secs)
        if failure is not None:
            raise failure
        wanted = (it for it in range(min(last, self.newest_id), max(first, 1) - 1, -1) if it not in void)
        return [self.trade(symbol, it) for it in islice(wanted, 100)]

    def trade(self, symbol: str, trade_id: int) -> Trade:
        """Return a trade as its history has it."""
        return Trade(
            exchange=self.id,
            symbol=symbol,
            trade_id=trade_id,
            time_ns=time_of(trade_id),
            recv_ns=0,
            price=trade_id / 8,
            size=1.0,
            side=Side.BUY,
            flags=Flag.BACKFILLED,
        )


@attrs.define
class Repair:
    """A feed with holes, and what comes out of it."""

    exchange: Historian
    feed: Feed
    quality: QualityFilter
    coverage: CoverageBook
    batches: trio.MemoryReceiveChannel[Batch]
    said: list[Note]
    """Notes that left at once."""

    @property
    def stats(self) -> ExchangeStats:
        """The exchange's counters."""
        return self.feed.stats

    async def run(self) -> None:
        """Repair until cancelled."""
        chance = random.Random(1)
        await run_backfill(
            self.exchange, self.feed, self.quality.trades, clock=lambda: RECV_NS, chance=chance
        )

    async def run_for(self, secs: float) -> None:
        """Repair for so long, by the virtual clock."""
        with trio.move_on_after(secs):
            await self.run()

    def receive(self, symbol: str, *ids: int) -> None:
        """Receive trades of a connection."""
        rows = RowBuffer()
        for trade_id in ids:
            rows.add_trade(
                symbol=self.feed.symbols.number(symbol),
                time_ns=time_of(trade_id),
                recv_ns=calendar(),
                trade_id=trade_id,
                price=trade_id / 8,
                size=1.0,
                side=1,
            )
        batch = self.feed.stage(rows.take())
        if batch is not None:
            self.feed.send.send_nowait(batch)

    def holes(self) -> list[tuple[str, int, int]]:
        """Return the open holes, the newest first."""
        names = self.feed.symbols.names
        return [(names[hole.symbol], hole.first, hole.last) for hole in self.quality.trades.holes()]

    def spans(self) -> list[tuple[str, int, int]]:
        """Return what was asked for."""
        return [asked[1:] for asked in self.exchange.asked]

    def times(self) -> list[float]:
        """Return when it was asked for."""
        return [round(asked[0], 3) for asked in self.exchange.asked]

    def received_now(self) -> list[Batch]:
        """Return what the writer has been sent."""
        taken = []
        while True:
            try:
                taken.append(self.batches.receive_nowait())
            except trio.WouldBlock:
                return taken


def recorded(batches: Iterable[Batch], symbol: str = "A") -> dict[int, int]:
    """Return the flags of a symbol's trades by id, each of which must be there once."""
    flags: dict[int, int] = {}
    for batch in batches:
        for row in batch.rows.get(TRADES.number, ()):
            if batch.symbols.names[row["symbol"]] == symbol:
                assert int(row["trade_id"]) not in flags
                assert row["price"] == row["trade_id"] / 8
                assert row["time_ns"] == time_of(int(row["trade_id"]))
                flags[int(row["trade_id"])] = int(row["flags"])
    return flags


def missing_by_notes(notes: Iterable[Note]) -> dict[str, list[tuple[int, int, str]]]:
    """Return the gaps in trades that notes leave open, by symbol: ids and cause."""
    last: dict[tuple[str, int, int], CoverageNote] = {}
    for note in notes:
        if isinstance(note, CoverageNote) and note.table == "TRADES" and note.state is CoverageState.GAP:
            last[note.symbol, note.start_ns, note.first_id] = note
    found: dict[str, list[tuple[int, int, str]]] = {}
    for note in last.values():
        if note.end_ns is None or note.end_ns > note.start_ns:
            found.setdefault(note.symbol, []).append((note.first_id, note.last_id, note.cause))
    return found


def make_repair(*, channel_size: float = math.inf, **config: Any) -> Repair:
    """Return a feed whose writer takes so many batches; ``config`` goes into the exchange's configuration."""
    settings = attrs.evolve(ExchangeConfig(ws_endpoint="ws://x", rest_endpoint="http://x"), **config)
    exchange = Historian(settings, Services(no_listing, no_connection))
    stats, symbols = ExchangeStats("words"), SymbolTable(exchange.id)
    said: list[Note] = []
    coverage = CoverageBook(
        exchange.id, symbols, said.extend, calendar, contiguous=True, stopped_ns=0, seconds=trio.current_time
    )
    quality = QualityFilter(symbols, stats, last_trade_ids={}, last_md={}, coverage=coverage, clock=calendar)
    send, receive = trio.open_memory_channel[Batch](channel_size)
    feed = Feed(
        symbols=symbols, stats=stats, quality=quality, coverage=coverage, calendar=calendar, send=send
    )
    return Repair(exchange, feed, quality, coverage, receive, said)
