"""A seeded market: what trades, at which price and when, before any exchange has spelled it.

One taker order becomes one :class:`Cascade`: one fill or several at rising or falling prices, then a new best
bid and ask. The same seed and the same calls of :meth:`Market.step` give the same market.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

import attrs

from multilogger.simulator.instruments import Instrument, spell

MEMORY_TRADES: Final = 5000
"""Trades kept per instrument for REST paging, unless a market is told otherwise."""
_FILLS: Final = (1, 1, 1, 1, 1, 1, 2, 2, 3, 5)
"""Fills of a taker order; one entry is drawn."""
_NEXT_LEVEL: Final = 0.4
"""Probability that a fill takes all that rested at its price."""
_UUID_VERSION: Final = 0x0000_0000_0000_4000_8000_0000_0000_0000
_UUID_MASK: Final = 0xFFFF_FFFF_FFFF_0FFF_3FFF_FFFF_FFFF_FFFF


@attrs.define(eq=False)
class Fill:
    """One trade."""

    trade_id: int
    sequence: int
    """The exchange's message sequence of the instrument, which jumps."""
    time_ns: int
    price: str
    size: str
    bought: bool
    """Whether the aggressor bought."""
    maker: bytes
    """Order id of the resting order: a UUID, 16 bytes."""
    taker: bytes
    entered: bool = False
    """Whether the ledger has it; set by whoever sends it first."""
    aggregate_entered: bool = False
    """Whether the ledger has the aggregate trade that begins with it."""


@attrs.frozen(eq=False)
class Quote:
    """Best bid and ask, in decimal text."""

    bid: str
    bid_size: str
    ask: str
    ask_size: str
    update_id: int
    """Rises with every change of the book."""


@attrs.define(eq=False)
class Cascade:
    """All that one taker order did."""

    instrument: Instrument
    fills: list[Fill]
    quote: Quote
    """After the order."""
    aggregate_id: int
    """Id of the first run of fills at one price; the following runs count up from it."""
    day: Day
    """Statistics of the instrument, as they stood after the order."""
    entered: bool = False
    """Whether the ledger has its ticker."""

    @property
    def last(self) -> Fill:
        """The last fill."""
        return self.fills[-1]

    def runs(self) -> list[list[Fill]]:
        """Return the fills in runs of one price, in order."""
        runs: list[list[Fill]] = []
        for fill in self.fills:
            if runs and runs[-1][-1].price == fill.price:
                runs[-1].append(fill)
            else:
                runs.append([fill])
        return runs


@attrs.frozen(eq=False)
class Day:
    """Running statistics of an instrument, in units of its last decimals."""

    open: int
    high: int
    low: int
    volume: int
    first_id: int
    trades: int


class InstrumentMarket:
    """The market of one instrument."""

    def __init__(
        self,
        instrument: Instrument,
        rng: random.Random,
        first_trade_id: int,
        pace_ns: int,
        memory_trades: int = MEMORY_TRADES,
    ) -> None:
        self.instrument = instrument
        self.recent: deque[Fill] = deque(maxlen=memory_trades)
        self.cascades: deque[Cascade] = deque(maxlen=memory_trades)
        """The newest last; what REST and replays at subscribe are made from."""
        self._rng = rng
        self._pace_ns = pace_ns
        self._mid = instrument.start
        self._next_id = first_trade_id
        self._next_aggregate = first_trade_id // 2
        self._sequence = first_trade_id * 13
        self._update_id = first_trade_id * 7
        self._time_ns = 0
        self._size_unit = instrument.typical_size * 10**instrument.size_decimals
        start = instrument.start
        self._day = Day(start, start, start, 0, first_trade_id, 0)

    @property
    def sequence(self) -> int:
        """The newest message sequence."""
        return self._sequence

    def rewind(self) -> None:
        """Let the next order have any time, as when a clock that was wrong is put right."""
        self._time_ns = 0

    def span(self, first: int | None = None, end: int | None = None) -> list[Fill]:
        """Return the remembered trades with ids from ``first`` to ``end`` exclusive, in order."""
        if not self.recent:
            return []
        oldest = self.recent[0].trade_id
        start = 0 if first is None else max(0, first - oldest)
        stop = len(self.recent) if end is None else max(0, min(len(self.recent), end - oldest))
        return list(islice(self.recent, start, max(start, stop)))

    def trade(self, now_ns: int) -> Cascade:
        """Let one taker order trade; its time never goes back, and grows where the market has a pace."""
        self._time_ns = max(now_ns, self._time_ns + self._pace_ns)
        bought = self._rng.getrandbits(1) == 1
        spread = self.instrument.tick * self._rng.choice((1, 1, 1, 2, 3))
        fills = self._fills(bought, spread)
        cascade = Cascade(self.instrument, fills, self._quote(spread), self._next_aggregate, self._day)
        self._next_aggregate += len(cascade.runs())
        self.recent.extend(fills)
        self.cascades.append(cascade)
        return cascade

    def _fills(self, bought: bool, spread: int) -> list[Fill]:
        taker = self._uuid()
        level = self._mid + (spread if bought else 0)
        fills: list[Fill] = []
        for _ in range(self._rng.choice(_FILLS)):
            fills.append(self._fill(level, taker, bought))
            if self._rng.random() < _NEXT_LEVEL:
                level = self._floor(level + (self.instrument.tick if bought else -self.instrument.tick))
        self._mid = self._floor(
            level - (spread if bought else 0) + self._rng.randint(-1, 1) * self.instrument.tick
        )
        return fills

    def _fill(self, level: int, taker: bytes, bought: bool) -> Fill:
        size = max(1, int(self._size_unit * self._rng.lognormvariate(0, 1)))
        self._sequence += self._rng.randint(1, 40)
        fill = Fill(
            self._next_id,
            self._sequence,
            self._time_ns,
            self.instrument.price_text(level),
            spell(size, self.instrument.size_decimals),
            bought,
            self._uuid(),
            taker,
        )
        self._next_id += 1
        self._count(level, size)
        return fill

    def _count(self, level: int, size: int) -> None:
        day = self._day
        self._day = Day(
            day.open,
            max(day.high, level),
            min(day.low, level),
            day.volume + size,
            day.first_id,
            day.trades + 1,
        )

    def _quote(self, spread: int) -> Quote:
        self._update_id += self._rng.randint(1, 9)
        text = self.instrument.price_text
        return Quote(text(self._mid), self._size(), text(self._mid + spread), self._size(), self._update_id)

    def _size(self) -> str:
        return spell(max(1, int(self._size_unit * 10 * self._rng.random())), self.instrument.size_decimals)

    def _floor(self, level: int) -> int:
        return max(level, 10 * self.instrument.tick)

    def _uuid(self) -> bytes:
        return (self._rng.getrandbits(128) & _UUID_MASK | _UUID_VERSION).to_bytes(16, "big")


class Market:
    """The market of one simulated exchange.

    Args:
        seed: the same seed gives the same market.
        instruments: what is listed; only what is on-line trades.
        first_trade_id: of every instrument. A caller who starts again later passes a higher one, as ids of a
            real exchange never start anew.
        resolution_ns: event times are cut to this, as the exchange's are.
        pace_ns: the least time between two taker orders of one instrument; 0 lets several share one time.
        memory_trades: that each instrument remembers for REST: more than a recorder may have to ask for.
    """

    def __init__(
        self,
        seed: int,
        instruments: Sequence[Instrument],
        *,
        first_trade_id: int = 1,
        resolution_ns: int = 1000,
        pace_ns: int = 0,
        memory_trades: int = MEMORY_TRADES,
    ) -> None:
        self.instruments: dict[str, Instrument] = {}
        """What is listed; to be changed by :meth:`enlist` and :meth:`delist`."""
        self.markets: dict[str, InstrumentMarket] = {}
        self._rng = random.Random(seed)
        self._resolution_ns = resolution_ns
        self._history = (first_trade_id, pace_ns, memory_trades)
        for instrument in instruments:
            self.enlist(instrument)

    def enlist(self, instrument: Instrument) -> None:
        """List an instrument from now on; one that is listed is replaced, and its market goes on."""
        symbol = instrument.symbol
        if symbol in self.markets:
            self.markets[symbol].instrument = instrument
        else:
            rng = random.Random(self._rng.getrandbits(64))
            self.markets[symbol] = InstrumentMarket(instrument, rng, *self._history)
        self.instruments[symbol] = instrument
        self._choose()

    def delist(self, symbol: str) -> None:
        """List an instrument no longer; what was traded of it can still be asked for."""
        del self.instruments[symbol]
        self._choose()

    def _choose(self) -> None:
        self._traded = [self.markets[it.symbol] for it in self.instruments.values() if it.online]
        self._weights = [market.instrument.weight for market in self._traded]

    def open(self, now_ns: int) -> list[Cascade]:
        """Let every instrument trade once, so that there is a last trade to ask for."""
        return [market.trade(self._cut(now_ns)) for market in self._traded]

    def rewind(self) -> None:
        """Let what comes next have any time, as when a clock that was wrong is put right."""
        for market in self.markets.values():
            market.rewind()

    def step(self, now_ns: int, trades: int) -> list[Cascade]:
        """Let at least ``trades`` trades happen at ``now_ns``; at most a cascade more.

        Args:
            now_ns: exchange time, nanoseconds since the epoch; it should not go back between calls.
            trades: number of fills.
        """
        time_ns = self._cut(now_ns)
        cascades: list[Cascade] = []
        made = 0
        while made < trades and self._traded:
            [market] = self._rng.choices(self._traded, self._weights)
            cascade = market.trade(time_ns)
            made += len(cascade.fills)
            cascades.append(cascade)
        return cascades

    def _cut(self, now_ns: int) -> int:
        return now_ns - now_ns % self._resolution_ns
