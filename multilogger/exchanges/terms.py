"""What an exchange allows, and what it can tell of past trades: numbers and words from its documentation."""

from __future__ import annotations

import enum

import attrs


@attrs.frozen
class Allowance:
    """So much in any span of so many seconds: connects, messages, operations, or REST weight."""

    amount: float
    secs: float


@attrs.frozen(kw_only=True)
class Limits:
    """What the exchange allows and does; every number is from its documentation.

    Allowances of several spans hold together. All but those of a connection are of an address: every
    connection of the process to the same host shares them.
    """

    messages_per_second: float = 10.0
    """Client messages a connection may send."""
    messages_per_connection: tuple[Allowance, ...] = ()
    """The same over longer spans, such as OKX's 480 operations an hour."""
    messages_per_host: tuple[Allowance, ...] = ()
    """Client messages that all connections may send together."""
    connects: tuple[Allowance, ...] = (Allowance(1, 1.0),)
    """New connections that all of this process may open to a host."""
    rest: tuple[Allowance, ...] = (Allowance(5, 1.0),)
    """REST weight that all of this process may use at a host; a request weighs what the exchange says."""
    symbols_per_connection: int = 1_000_000
    """Hard limit; the configuration may ask for fewer."""
    lifetime_secs: float | None = None
    """The exchange cuts a connection at this age; it is renewed before."""
    ping_secs: float | None = None
    """An :meth:`Adapter.ping` is due this often; None where the protocol's own pings do."""
    pings_when_quiet: bool = False
    """Without ``ping_secs``: whether one is sent when nothing has come for half of ``silence_secs``. For
    exchanges that say nothing of their own accord where nothing is traded."""
    max_message_bytes: int = 16 * 1024 * 1024


class TradeIds(enum.Enum):
    """What trade ids tell."""

    CONTIGUOUS = "contiguous"
    """They rise by one for each trade of a symbol: what is missing is known."""
    SUSPECTED = "suspected"
    """They rise by one as far as is known: a jump is a hole until the history has nothing of it."""
    RISING = "rising"
    """They rise, but not by one: a repetition is known, a loss isn't."""
    UNORDERED = "unordered"
    """They only tell trades apart."""

    @property
    def tell_losses(self) -> bool:
        """Whether a jump says that trades are missing."""
        return self in (TradeIds.CONTIGUOUS, TradeIds.SUSPECTED)


@attrs.frozen(kw_only=True)
class TradeHistory:
    """What the exchange's REST API gives of past trades."""

    by_id: bool = True
    """Whether any span of ids can be asked for; else only the newest trades can."""
    max_age_secs: float | None = None
    """How far back it reaches; None: to the first trade."""
    page: int = 1000
    """Most trades in one answer."""
