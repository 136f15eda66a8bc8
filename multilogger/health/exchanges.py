"""How an exchange is: healthy when each of its connections streams, has brought data lately, and lacks none.

A connection that stands but is silent is not healthy; neither is one that is silent for a symbol that trades,
nor a symbol whose rows are set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs

from multilogger.health.judgement import Status, age_secs, iso_time
from multilogger.stats import (
    BreakerStats,
    BudgetStats,
    ExchangeState,
    ExchangeStats,
    LinkState,
    LinkStats,
)

_PROBLEMS_TOLD: Final = 3
_COUNTERS: Final = (
    "messages",
    "reconnects",
    "renewals",
    "restarts",
    "resubscribes",
    "looks",
    "moves",
    "duplicates",
    "gaps",
)
"""Fields that are shown as they are counted."""
_HELD_BACK_TOLD_SECS: Final = 60.0
"""A pause that the exchange asks for is told if it is longer: shorter ones are the usual way to slow down."""
OPEN: Final = "open"
CLOSED: Final = "closed"
"""States of a breaker: it sets rows aside, all is well again."""


@attrs.frozen(kw_only=True)
class ExchangeHealth:
    """One exchange; the fields are those of ``/health``, described in ``docs/operations.md``."""

    status: Status
    state: ExchangeState
    detail: str
    """What is wrong, in words; empty if nothing is."""
    connected: bool
    """Whether a connection is streaming."""
    connections_up: int
    connections_total: int
    symbols: int
    messages_per_second: float
    last_message_ns: int
    """Receive time of the newest data frame, nanoseconds since the epoch; 0 if there was none."""
    last_message_age_secs: float | None
    counts: dict[str, int]
    """The plain counters, by name."""
    backfill: dict[str, int | str]
    refused: dict[str, int]
    set_aside: dict[str, str]
    deaf: dict[str, str]
    suspect: dict[str, int]
    broken_rows: int
    breakers: dict[str, dict[str, Any]]
    budgets: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        age = self.last_message_age_secs
        return {
            "status": self.status.value,
            "state": self.state.value,
            "detail": self.detail,
            "connected": self.connected,
            "connections": {"up": self.connections_up, "total": self.connections_total},
            "symbols": self.symbols,
            "messages_per_second": round(self.messages_per_second, 1),
            "last_message": iso_time(self.last_message_ns) if self.last_message_ns else None,
            "last_message_age_secs": None if age is None else round(age, 3),
            **self.counts,
            "backfill": self.backfill,
            "refused": self.refused,
            "set_aside": self.set_aside,
            "deaf": self.deaf,
            "suspect": self.suspect,
            "broken_rows": self.broken_rows,
            "breakers": self.breakers,
            "budgets": self.budgets,
        }


def judge_exchange(
    stats: ExchangeStats, stale_secs: float, now_ns: int, rate: float, *, starting: bool
) -> ExchangeHealth:
    """Judge an exchange.

    Args:
        stats: its counters.
        stale_secs: data older than this is stale.
        now_ns: nanoseconds since the epoch.
        rate: messages a second.
        starting: it can't be expected to deliver now.
    """
    links = list(stats.links.values())
    streaming = [link for link in links if link.state is LinkState.STREAMING]
    delivering = any(link_problem(link, stale_secs, now_ns) == "" for link in streaming)
    detail = _exchange_problem(stats, stale_secs, now_ns)
    return ExchangeHealth(
        status=_exchange_status(detail, starting=starting, delivering=delivering),
        state=stats.state,
        detail=detail,
        connected=bool(streaming),
        connections_up=len(streaming),
        connections_total=len(links),
        symbols=stats.symbols,
        messages_per_second=rate,
        last_message_ns=stats.last_data_ns,
        last_message_age_secs=age_secs(stats.last_data_ns, now_ns) if stats.last_data_ns else None,
        counts={name: getattr(stats, name) for name in _COUNTERS},
        backfill=_show_backfill(stats),
        refused=dict(stats.refused),
        set_aside=dict(stats.set_aside),
        deaf=dict(stats.deaf),
        suspect=dict(stats.suspect),
        broken_rows=stats.broken_rows,
        breakers={name: _show_breaker(breaker) for name, breaker in stats.breakers.items()},
        budgets={name: _show_budget(budget) for name, budget in stats.budgets.items()},
    )


def _show_backfill(stats: ExchangeStats) -> dict[str, int | str]:
    return {
        "missing": stats.missing,
        "backfilled": stats.backfilled,
        "given_up": stats.given_up,
        "problem": stats.backfill_problem,
    }


def _show_breaker(breaker: BreakerStats) -> dict[str, Any]:
    waits = breaker.state != CLOSED and breaker.retry_ns
    return {
        "state": breaker.state,
        "reason": breaker.reason,
        "opened": breaker.opened,
        "changed": iso_time(breaker.changed_ns),
        "retry": iso_time(breaker.retry_ns) if waits else None,
    }


def _show_budget(budget: BudgetStats) -> dict[str, float]:
    return {
        "used": round(budget.used, 3),
        "amount": budget.amount,
        "secs": budget.secs,
        "waiting": budget.waiting,
        "held_back_secs": round(budget.held_back_secs, 1),
    }


def _exchange_status(detail: str, *, starting: bool, delivering: bool) -> Status:
    if not detail:
        return Status.HEALTHY
    return Status.DEGRADED if delivering or starting else Status.UNHEALTHY


def _exchange_problem(stats: ExchangeStats, stale_secs: float, now_ns: int) -> str:
    """Return what keeps an exchange from being healthy; empty if nothing does."""
    if stats.state in (ExchangeState.DOWN, ExchangeState.PAUSED):
        return stats.detail or stats.state.value
    return "; ".join([*_connection_problems(stats, stale_secs, now_ns), *_symbol_problems(stats)])


def _connection_problems(stats: ExchangeStats, stale_secs: float, now_ns: int) -> Iterator[str]:
    if stats.detail:
        yield stats.detail
    elif not stats.links:
        yield "starting" if stats.state is ExchangeState.STARTING else "no connections"
    else:
        judged = [(link.name, link_problem(link, stale_secs, now_ns)) for link in stats.links.values()]
        yield from _first([f"{name} {problem}" for name, problem in judged if problem])


def _symbol_problems(stats: ExchangeStats) -> Iterator[str]:
    yield from _first([f"{name} brings nothing ({since})" for name, since in stats.deaf.items()])
    yield from _first(
        f"{name} is {'set aside' if breaker.state == OPEN else 'tried again'} ({breaker.reason})"
        for name, breaker in stats.breakers.items()
        if breaker.state != CLOSED
    )
    if stats.backfill_problem:
        yield f"missed trades can't be asked for ({stats.backfill_problem})"
    if stats.instruments_problem:
        yield f"what changed in its listing can't be written ({stats.instruments_problem})"
    for name, budget in stats.budgets.items():
        if budget.held_back_secs > _HELD_BACK_TOLD_SECS:
            yield f"{name}: to be left alone for {budget.held_back_secs:.0f} s, the exchange says"


def _first(problems: Iterable[str]) -> Iterator[str]:
    """Yield the first problems of a kind, and how many more there are."""
    problems = list(problems)
    yield from problems[:_PROBLEMS_TOLD]
    more = len(problems) - _PROBLEMS_TOLD
    if more > 0:
        yield f"and {more} more"


def link_problem(link: LinkStats, stale_secs: float, now_ns: int) -> str:
    """Return why a connection does not deliver; empty if it does."""
    if link.state is not LinkState.STREAMING:
        why = f" ({link.last_error})" if link.last_error else ""
        return f"is {link.state.value}{why}"
    if not link.last_data_ns:
        return "has brought no data yet"
    age = age_secs(link.last_data_ns, now_ns)
    return f"has brought no data for {age:.0f} s" if age > stale_secs else ""
