"""Symbols that bring nothing although their connection stands: which of them are quiet, and which deaf.

::

    silent ──asked──► quiet: the exchange has nothing newer; it is looked at again later
      │
      └─► deaf ──► resubscribed ──still──► connection replaced ──still──► degraded, tried again now and then
                          └────────────────────┴──────────────────────────────┴──► data come: all forgotten

That a symbol is deaf is shown by the exchange: it names a newer trade id than came, its trades come and its
tickers don't, or its REST API has a newer trade. Pings prove nothing: they come from another machine.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from math import inf
from typing import Final, NoReturn

import attrs
import numpy as np
import structlog
import trio

from multilogger.connection.backoff import Backoff
from multilogger.connection.cases import Case, Cases
from multilogger.connection.causes import SILENT
from multilogger.connection.feed import Feed
from multilogger.connection.named import NamedIds
from multilogger.errors import Deaf, RestError
from multilogger.exchanges.base import Exchange
from multilogger.records import Trade
from multilogger.tables import MD, NANOS_PER_SECOND, TABLES, Table

log = structlog.get_logger(__name__)

WATCH_SECS: Final = 5.0
LOOK_SECS: Final = 1.0
"""The exchange is asked for newest trades at most this often."""
ANSWER_SECS: Final = 30.0
"""It may take so long to answer."""
TRY_AGAIN_SECS: Final = 600.0
"""Between two attempts, once nothing has helped."""

_ARRIVING_NS: Final = 2 * NANOS_PER_SECOND
"""A trade this new by REST may be under way to us by WebSocket."""
_REPLACED_BY: Final = 2
"""The step by which the connection is replaced. All others resubscribe."""


@attrs.frozen
class _Seen:
    """The newest trade when a silence was last found to be true."""

    time_ns: int
    at: float
    """Trio time."""


class Watch:
    """The silence watch of one exchange's connections.

    Args:
        exchange: asked for newest trades, where it can tell.
        feed: what the connections share.
        chance: jitter of the pauses after a failed request.
    """

    def __init__(self, exchange: Exchange, feed: Feed, chance: random.Random) -> None:
        self._exchange = exchange
        self._feed = feed
        self._carriers = feed.carriers
        self._named = NamedIds(feed)
        self._backoff = Backoff(chance)
        self._cases = Cases(feed)
        self._seen: dict[tuple[int, int], _Seen] = {}

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_looking)
            while True:
                await trio.sleep(WATCH_SECS)
                self._carriers.settle()
                await self._named.tell()
                self._find()
                for case in self._cases:
                    self._follow(case)
                await self._send_notes()

    async def _send_notes(self) -> None:
        """Send what has become true without rows, such as that a gap had no trades."""
        batch = self._feed.stage({})
        if batch is not None:
            await self._feed.send.send(batch)

    def _find(self) -> None:
        """Open cases for what has fallen silent."""
        quality, symbols = self._feed.quality, self._feed.symbols
        numbers = np.array([symbols.number(symbol) for symbol in self._carriers.carried], np.intp)
        ahead = self._named.ahead()
        for table in TABLES:
            for number in quality.silent(numbers, table).tolist():
                self._cases.of(number, table).accompanies = False
            for number in quality.lagging(numbers, table, ahead=ahead).tolist():
                self._show(number, table)
                # With the trade that was named a ticker should have come.
                if self._cases.last(number, MD) < trio.current_time() - WATCH_SECS:
                    self._show(number, MD, accompanies=True)

    def _show(self, number: int, table: Table, *, accompanies: bool = False) -> None:
        """Take note that a table should bring something, and doesn't."""
        known = self._cases.find(number, table)
        case = known or self._cases.of(number, table)
        case.evident = True
        case.accompanies = accompanies and (known is None or known.accompanies)

    def _follow(self, case: Case) -> None:
        """Take the next step of a case, if it is time for one."""
        if self._cases.find(case.number, case.table) is not case:
            # It was closed together with another one.
            return
        carriers = self._carriers.of(case.symbol)
        if not self._carriers.is_asked(case.symbol):
            # It has left, or its connection has ended: that has its own consequences.
            self._cases.forget(case)
        elif self._cases.last(case.number, case.table) > case.opened:
            self._close(case)
        elif carriers and not any(it.busy for it in carriers):
            self._note_gap(case)
            if trio.current_time() >= case.rests_until:
                self._decide(case)

    def _decide(self, case: Case) -> None:
        if case.evident:
            self._step(case)
        elif self._exchange.history is not None:
            case.wants_look = trio.current_time() >= case.looks_again_at
        elif not case.steps:
            # Nobody can be asked. So much silence is evidence enough for what costs little, and no more.
            self._step(case)

    def _step(self, case: Case) -> None:
        """Do what has not been tried yet; it is done for all tables of the symbol that are silent."""
        of_symbol = self._cases.of_symbol(case.number)
        steps = 1 + max(it.steps for it in of_symbol)
        rest = TRY_AGAIN_SECS if steps > _REPLACED_BY else self._exchange.config.quiet_secs
        for it in of_symbol:
            it.steps = steps
            it.rests_until = trio.current_time() + rest
            it.evident = it.wants_look = False
            it.stepped_ns = self._feed.calendar()
            self._note_gap(it)
            if steps > _REPLACED_BY:
                since = datetime.fromtimestamp(it.since_ns // NANOS_PER_SECOND, UTC)
                self._feed.stats.deaf.setdefault(it.name, f"since {since:%Y-%m-%d %H:%M:%S} UTC")
        self._act(case, steps)

    def _act(self, case: Case, steps: int) -> None:
        stats, carrier = self._feed.stats, self._carriers.of(case.symbol)[-1]
        log.warning("symbol is silent", exchange=stats.name, symbol=case.name, attempt=steps)
        # Whether more is needed has to be shown anew.
        self._named.restart(case.number)
        self._feed.quality.began(np.array([case.number], np.intp))
        if steps == _REPLACED_BY:
            carrier.replace(Deaf(f"{case.name} brings nothing, although it trades"))
        else:
            stats.resubscribes += 1
            carrier.ask_again([case.symbol])

    def _note_gap(self, case: Case) -> None:
        """Tell the ledger of a deaf table, anew for each subscription that proved to be so.

        Not where trade ids tell, later and exactly, which trades are missing.
        """
        if case.steps and (case.table is MD or not self._exchange.trade_ids.tell_losses):
            newest = self._carriers.of(case.symbol)[-1]
            since = self._carriers.since(case.symbol, newest)
            if case.noted_for != since:
                case.noted_for = since
                self._feed.coverage.lost([case.symbol], case.since_ns, SILENT, table=case.table)

    def _close(self, case: Case) -> None:
        """Data have come: of this table, and soon of those that only shared its evidence."""
        noted = False
        for it in self._cases.of_symbol(case.number):
            if it is case or it.accompanies:
                self._cases.forget(it)
                noted = noted or it.noted_for < inf
        if noted:
            self._feed.coverage.carried([case.symbol])
            for other in self._cases.of_symbol(case.number):
                # It is still deaf, and was meant by that, too.
                other.noted_for = inf
                self._note_gap(other)
        if case.steps:
            log.info("symbol is heard again", exchange=self._feed.stats.name, symbol=case.name)

    async def _keep_looking(self) -> NoReturn:
        """Ask the exchange for the newest trades of silent symbols, one at a time."""
        while True:
            await trio.sleep(LOOK_SECS)
            case = next((case for case in self._cases if case.wants_look), None)
            if case is not None:
                await self._look(case.symbol)

    async def _look(self, symbol: str) -> None:
        self._feed.stats.looks += 1
        trades: list[Trade] | None = None
        words = f"no answer within {ANSWER_SECS:g} s"
        with trio.move_on_after(ANSWER_SECS):
            try:
                trades = await self._exchange.fetch_newest(symbol)
            except RestError as failure:
                words = str(failure)
        if trades is None:
            delay = self._backoff.next()
            log.warning("silent symbol", exchange=self._exchange.id, symbol=symbol, why=words)
            await trio.sleep(delay)
            return
        self._backoff.reset()
        newest = _newest(trades)
        if newest is not None and self._exchange.trade_ids.tell_losses:
            self._feed.coverage.heard_of(symbol, newest.trade_id)
        for case in [it for it in self._cases if it.symbol == symbol and it.wants_look]:
            # Tickers should come with trades, whether those came or not.
            shown = newest if case.table is MD else _newest(self._unknown(case.number, trades))
            self._judge(case, newest, shown)

    def _unknown(self, number: int, trades: list[Trade]) -> list[Trade]:
        """Return which trades are not known to have come; where ids have no order, nothing else tells it."""
        known = self._feed.quality.knows_trades(number, [trade.trade_id for trade in trades])
        return [trade for trade, is_known in zip(trades, known, strict=True) if not is_known]

    def _judge(self, case: Case, newest: Trade | None, shown: Trade | None) -> None:
        """Decide between quiet and deaf: is there a trade that should have come, and did not?

        Args:
            case: a silent table.
            newest: the exchange's newest trade.
            shown: the newest that may show it to be deaf.
        """
        case.wants_look = False
        if shown is not None and self._should_have_come(case, shown):
            # If it is only late, it will have come by the next round.
            self._show(case.number, case.table)
            if self._cases.last_ns(case.number, MD) < shown.time_ns - _ARRIVING_NS:
                self._show(case.number, MD, accompanies=True)
            return
        if newest is not None:
            self._seen[case.key] = _Seen(newest.time_ns, trio.current_time())
        self._feed.quality.excused(np.array([case.number], np.intp), case.table)
        case.looks_again_at = trio.current_time() + TRY_AGAIN_SECS
        if not case.steps:
            self._cases.forget(case)

    def _should_have_come(self, case: Case, newest: Trade) -> bool:
        """Return whether a trade is newer than our last row, and than our carrying the symbol.

        Or newer than the one that was the newest when we last looked, if nothing came since then: that holds
        where the exchange's clock is wrong, too.
        """
        since_ns = max(case.since_ns, case.stepped_ns, self._carriers.since_ns(case.symbol))
        if newest.time_ns > since_ns + _ARRIVING_NS:
            return True
        seen = self._seen.get(case.key)
        return (
            seen is not None
            and newest.time_ns > seen.time_ns
            and all(
                it.arrivals.last(case.number, case.table) < seen.at > self._carriers.since(case.symbol, it)
                for it in self._carriers.of(case.symbol)
            )
        )


def _newest(trades: list[Trade]) -> Trade | None:
    return max(trades, key=lambda trade: trade.time_ns, default=None)
