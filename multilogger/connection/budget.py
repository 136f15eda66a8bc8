"""What all connections and requests of this process to one host of an exchange share: its allowances.

An exchange counts by address. It does not matter to it which connection or which task asks, so all of them
wait in the same queues: one for new connections, one for messages, one for REST requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, NoReturn

import trio

from multilogger.connection.limits import Turns
from multilogger.exchanges.base import Allowance, Limits
from multilogger.stats import BudgetStats, ExchangeStats

BAN_SECS: Final = 120.0
"""Binance's shortest ban, in answer to requests that went on in spite of 429."""
FIRST_PAUSE_SECS: Final = 1.0
MOST_PAUSE_SECS: Final = 60.0
"""The pause that nobody asked for doubles up to this, from one refusal to the next."""
MOST_ASKED_SECS: Final = 3 * 86400.0
"""Binance's longest ban; nobody is left alone for longer, whatever the answer said."""
GAUGES_SECS: Final = 1.0

_IM_A_TEAPOT: Final = 418
"""Binance's word for a ban."""
_WITH_RETRY_AFTER: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
"""They mean other things, too: only together with Retry-After do they ask for a pause."""
_DOUBLINGS: Final = 6


class Queue(Turns):
    """Turns that an exchange may refuse, and is left alone then.

    Args:
        allowances: of the exchange.
        gauges: one for each.
    """

    def __init__(self, allowances: tuple[Allowance, ...], gauges: list[BudgetStats]) -> None:
        super().__init__(allowances, gauges)
        self._refusals = 0

    def accepted(self) -> None:
        """Take note that the exchange answers as usual."""
        self._refusals = 0

    def heed(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Hold back, if an HTTP answer asks for it.

        Args:
            status: of the answer.
            headers: by lower-case name.

        Returns:
            For how many seconds; None if the answer asks for no pause.
        """
        asked = retry_after_secs(headers)
        banned = status == _IM_A_TEAPOT
        if not (banned or status == HTTPStatus.TOO_MANY_REQUESTS or (asked and status in _WITH_RETRY_AFTER)):
            return None
        secs = self._next_pause() if asked is None else asked
        if banned:
            secs = max(secs, BAN_SECS)
        self.hold_back(secs)
        return secs

    def _next_pause(self) -> float:
        left = self.held_secs()
        if left > 0:
            # This was asked before the exchange refused for the first time, and is part of the same refusal.
            return left
        secs = min(MOST_PAUSE_SECS, FIRST_PAUSE_SECS * 2.0 ** min(self._refusals, _DOUBLINGS))
        self._refusals += 1
        return secs


def retry_after_secs(headers: Mapping[str, str]) -> float | None:
    """Return what ``Retry-After`` asks for, in seconds; None if it asks for nothing that can be understood.

    A date is compared with the ``Date`` of the answer, so that our own clock need not be right.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        secs = float(asked)
    else:
        try:
            until, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
            secs = (until - now).total_seconds()
        except (ValueError, TypeError):  # no date; one with a time zone and one without
            return None
    return min(secs, MOST_ASKED_SECS) if secs > 0 else None


class Budget:
    """The allowances of one exchange at one host.

    Args:
        limits: of the exchange.
        stats: its ``budgets`` show what is used.
        host: as in the URL.
    """

    def __init__(self, limits: Limits, stats: ExchangeStats, host: str = "") -> None:
        self._limits = limits
        self._stats = stats
        self._host = host
        self._queues: dict[str, Queue] = {}
        self._gauges: dict[str, BudgetStats] = {}

    @property
    def connects(self) -> Queue:
        """New connections."""
        return self._queue("connects", self._limits.connects)

    @property
    def messages(self) -> Queue:
        """Client messages of all connections together."""
        return self._queue("messages", self._limits.messages_per_host)

    @property
    def requests(self) -> Queue:
        """REST requests, by their weight."""
        return self._queue("rest", self._limits.rest)

    async def connect(self, connections: int = 1) -> None:
        """Wait until so many connections more may be opened, all at once."""
        await self.connects.take(connections)

    async def message(self) -> None:
        """Wait until another message may be sent."""
        await self.messages.take()

    async def rest(self, weight: float = 1.0) -> None:
        """Wait until a request of this weight may be made."""
        await self.requests.take(weight)

    def hold_back(self, secs: float) -> None:
        """Make no requests for ``secs``."""
        self.requests.hold_back(secs)

    def show_in(self, stats: ExchangeStats) -> None:
        """Show what is used in these ``stats``, too: those of an exchange that was taken out are gone."""
        if stats is not self._stats:
            self._stats = stats
            stats.budgets.update(self._gauges)

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        for queue in self._queues.values():
            queue.refresh()

    def _queue(self, kind: str, allowances: tuple[Allowance, ...]) -> Queue:
        """Return a queue; made when first asked for, as hosts are for one thing or the other."""
        if kind not in self._queues:
            self._queues[kind] = Queue(allowances, [self._gauge(kind, one) for one in allowances])
        return self._queues[kind]

    def _gauge(self, kind: str, allowance: Allowance) -> BudgetStats:
        name = f"{kind}/{allowance.secs:g}s"
        if name in self._stats.budgets:
            name = f"{name} {self._host}"
        gauge = BudgetStats(allowance.amount, allowance.secs)
        self._gauges[name] = self._stats.budgets[name] = gauge
        return gauge


class Budgets:
    """All budgets of the process. They outlive connections, and exchanges that are started anew."""

    def __init__(self) -> None:
        self._budgets: dict[tuple[str, str], Budget] = {}

    def of(self, exchange_id: str, limits: Limits, host: str, stats: ExchangeStats) -> Budget:
        """Return the budget of an exchange at a host; a new one at its first mention.

        Args:
            exchange_id: whose allowances they are; several exchanges may be simulated on one host.
            limits: what the exchange allows.
            host: as in the URL, without the port: addresses are counted, not ports.
            stats: of the exchange.
        """
        key = exchange_id, host.lower()
        if key not in self._budgets:
            self._budgets[key] = Budget(limits, stats, host)
        self._budgets[key].show_in(stats)
        return self._budgets[key]

    def refresh(self) -> None:
        """Bring all gauges up to date."""
        for budget in self._budgets.values():
            budget.refresh()

    async def run(self) -> NoReturn:
        """Keep the gauges up to date, as what was used becomes free again without anybody's doing."""
        while True:
            self.refresh()
            await trio.sleep(GAUGES_SECS)
