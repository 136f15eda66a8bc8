"""What one connection asks for, and what of it the exchange has confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NoReturn

import trio

from multilogger.connection.carriers import Carrier, Carriers
from multilogger.connection.causes import REJECTED, RESUBSCRIBED
from multilogger.connection.wanted import SetAside, Wanted
from multilogger.errors import Renewal, SubscriptionTimeout
from multilogger.exchanges.base import ExchangeConnection

_NAMED: Final = 5
"""Symbols that an error names."""


class Subscriptions:
    """The subscriptions of one connection.

    Args:
        carrier: the connection.
        carriers: told what it asks for, carries, and lets go.
        link: sends.
        wanted: the symbols to carry, followed as they change.
        set_aside: where rejected symbols go.
        confirm_secs: how long the exchange may take to answer.
        changed: called when the number of symbols may have changed.
    """

    def __init__(
        self,
        carrier: Carrier,
        carriers: Carriers,
        link: ExchangeConnection,
        *,
        wanted: Wanted,
        set_aside: SetAside,
        confirm_secs: float,
        changed: Callable[[], None],
    ) -> None:
        self._carrier = carrier
        self._carriers = carriers
        self._link = link
        self._wanted = wanted
        self._set_aside = set_aside
        self._confirm_secs = confirm_secs
        self._changed = changed
        self.asked = set_aside.without(wanted.symbols)
        """What has been asked for, or is about to be; the rejected ones have gone from it."""
        self._unconfirmed = set(self.asked)
        self._answered = trio.Event()
        self._again: dict[str, None] = {}
        self._asked_again = trio.Event()

    async def ask_first(self) -> None:
        """Subscribe all symbols, and wait until the exchange has answered for each.

        Raises:
            SubscriptionTimeout: it has not answered in time.
        """
        await self._ask(self.asked)

    async def follow_wanted(self) -> NoReturn:
        """Subscribe what joins and unsubscribe what leaves.

        Raises:
            SubscriptionTimeout: what joined was not confirmed in time.
        """
        while True:
            changed = self._wanted.changed
            wanted = self._set_aside.without(self._wanted.symbols)
            joined = minus(wanted, self.asked)
            left = minus(self.asked, wanted)
            self.asked = wanted
            self._changed()
            if left:
                await self._unsubscribe(left)
            if joined:
                self._unconfirmed.update(joined)
                await self._ask(joined)
            await changed.wait()

    def ask_again(self, symbols: Iterable[str]) -> None:
        """Have symbols unsubscribed and subscribed anew."""
        self._again.update(dict.fromkeys(symbols))
        self._asked_again.set()

    async def follow_ask_again(self) -> NoReturn:
        """Subscribe symbols anew as often as that is asked for.

        Raises:
            SubscriptionTimeout: they were not confirmed in time.
        """
        while True:
            await self._asked_again.wait()
            self._asked_again = trio.Event()
            symbols = [symbol for symbol in self._again if symbol in self.asked]
            self._again.clear()
            if symbols:
                self._unconfirmed.update(symbols)
                # Until the exchange confirms them again, their tables that were well are interrupted, too.
                self._carriers.left(self._carrier, symbols, cause=RESUBSCRIBED)
                await self._link.send(self._carrier.adapter.unsubscribe(symbols))
                await self._ask(symbols)

    async def _ask(self, symbols: Sequence[str]) -> None:
        """Subscribe ``symbols`` and wait until the exchange has answered for each.

        The deadline counts from the last frame: at few messages a second the frames alone may take minutes.
        """
        self._carriers.asked(self._carrier, symbols)
        await self._link.send(self._carrier.adapter.subscribe(symbols))
        with trio.move_on_after(self._confirm_secs):
            while not self._unconfirmed.isdisjoint(symbols):
                await self._answered.wait()
            return
        open_ = sorted(self._unconfirmed.intersection(symbols))
        some = ", ".join(open_[:_NAMED]) + (", …" if len(open_) > _NAMED else "")
        raise SubscriptionTimeout(f"{len(open_)} of {len(symbols)} subscriptions not confirmed: {some}")

    async def _unsubscribe(self, symbols: Sequence[str]) -> None:
        self._unconfirmed.difference_update(symbols)
        # From here on the adapter takes their data for those of a stranger.
        frames = self._carrier.adapter.unsubscribe(symbols)
        self._let_go(symbols)
        await self._link.send(frames)

    def let_go(self) -> None:
        """Tell that the connection carries nothing any more, as it was told to end."""
        self._let_go(self.asked)

    def _let_go(self, symbols: Sequence[str]) -> None:
        """Tell that symbols are not carried any more: because nobody wants them here, or by a rejection."""
        kept = set(self._wanted.symbols)
        rejected = minus(symbols, self._set_aside.without(symbols))
        self._carriers.left(self._carrier, [it for it in rejected if it in kept], cause=REJECTED)
        self._carriers.left(self._carrier, symbols)

    def note_confirmed(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange has confirmed ``symbols``."""
        symbols = tuple(symbols)
        self._unconfirmed.difference_update(symbols)
        self._set_aside.forgive(symbols)
        self._carriers.confirmed(self._carrier, symbols)
        self._note_answer()

    def note_rejected(self, symbols: Sequence[str], reason: str) -> None:
        """Set ``symbols`` aside; the others are not concerned.

        Raises:
            Renewal: none are left.
        """
        self._unconfirmed.difference_update(symbols)
        self._set_aside.add(symbols, reason)
        self._carriers.left(self._carrier, symbols, cause=REJECTED)
        self.asked = minus(self.asked, symbols)
        self._changed()
        self._note_answer()
        if not self.asked:
            raise Renewal(f"no symbols are left, the last was rejected: {reason}")

    def _note_answer(self) -> None:
        self._answered.set()
        self._answered = trio.Event()


def minus(symbols: Sequence[str], others: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``symbols`` that are not among ``others``, in their order."""
    without = set(others)
    return tuple(symbol for symbol in symbols if symbol not in without)
