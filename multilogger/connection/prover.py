"""Asks the exchange whether trades were missed, where nothing else tells.

After a connection was lost, the next trade's id tells whether any is missing, or a heartbeat that names the
newest. A symbol that neither trades nor is named anywhere stays in doubt, unless the exchange is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NoReturn, Protocol

import attrs
import structlog
import trio

from multilogger.errors import RateLimited, RestError
from multilogger.exchanges.base import Exchange
from multilogger.stats import ExchangeStats

log = structlog.get_logger(__name__)

PROVE_SECS: Final = 30.0
"""Between two looks at what is in doubt."""
MOST_SECS: Final = 3600.0
"""A symbol that stays in doubt whatever the exchange says is asked about half as often each time."""


class Doubts(Protocol):
    """What is in doubt; see :class:`~multilogger.quality.coverage.CoverageBook`."""

    def unproven(self) -> Collection[str]:
        """Return the symbols whose trades may have been missed, and of which the exchange should be asked."""
        ...

    def heard_of(self, symbol: str, newest_id: int) -> None:
        """Take note of the newest trade id that the exchange has named for a symbol."""
        ...


@attrs.define
class _Patience:
    """When a symbol is asked about again."""

    due: float
    secs: float

    def wait(self) -> None:
        """Ask no more for a while, and for twice as long the next time."""
        self.due = trio.current_time() + self.secs
        self.secs = min(MOST_SECS, 2 * self.secs)


async def run_prover(exchange: Exchange, doubts: Doubts, stats: ExchangeStats) -> NoReturn:
    """Ask about symbols in doubt every half minute; ends by cancellation alone.

    Args:
        exchange: asked for the newest trades of a symbol, if it has a history.
        doubts: says which symbols, and is told the newest ids.
        stats: of the exchange.
    """
    prover = Prover(exchange, doubts, stats)
    while True:
        await trio.sleep(PROVE_SECS)
        if exchange.history is not None:
            await prover.look()


class Prover:
    """What :func:`run_prover` does; its arguments are the same."""

    def __init__(self, exchange: Exchange, doubts: Doubts, stats: ExchangeStats) -> None:
        self._exchange = exchange
        self._doubts = doubts
        self._stats = stats
        self._asked: dict[str, _Patience] = {}

    async def look(self) -> None:
        """Ask about each symbol that is in doubt, and was not asked about of late; stop if that fails."""
        unproven = set(self._doubts.unproven())
        self._asked = {symbol: it for symbol, it in self._asked.items() if symbol in unproven}
        for symbol in sorted(unproven):
            patience = self._asked.setdefault(symbol, _Patience(trio.current_time(), PROVE_SECS))
            # Many symbols take a while: a trade may have told meanwhile.
            if patience.due > trio.current_time() or symbol not in self._doubts.unproven():
                continue
            try:
                await self._ask(symbol)
            except RateLimited as failure:
                self._tell(symbol, failure)
                await trio.sleep(failure.retry_after_secs)
                return
            except RestError as failure:
                # It waits like the others: a symbol that always fails must not keep them from their turn.
                self._tell(symbol, failure)
                patience.wait()
                return
            patience.wait()

    async def _ask(self, symbol: str) -> None:
        newest = await self._exchange.fetch_newest(symbol)
        self._stats.looks += 1
        if newest:
            self._doubts.heard_of(symbol, max(trade.trade_id for trade in newest))

    def _tell(self, symbol: str, failure: RestError) -> None:
        log.warning(
            "newest trades can't be asked for",
            exchange=self._exchange.id,
            symbol=symbol,
            failure=str(failure),
        )
