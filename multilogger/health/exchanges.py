"""How an exchange is: healthy when each of its connections streams and has brought data lately.

A connection that stands but is silent is not healthy.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from multilogger.health.judgement import Status, age_secs, iso_time
from multilogger.stats import ExchangeState, ExchangeStats, LinkState, LinkStats

_PROBLEMS_TOLD: Final = 3


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
    reconnects: int
    restarts: int
    duplicates: int
    gaps: int
    refused: dict[str, int]
    set_aside: dict[str, str]

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
            **{name: getattr(self, name) for name in ("reconnects", "restarts", "duplicates", "gaps")},
            "refused": self.refused,
            "set_aside": self.set_aside,
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
        reconnects=stats.reconnects,
        restarts=stats.restarts,
        duplicates=stats.duplicates,
        gaps=stats.gaps,
        refused=dict(stats.refused),
        set_aside=dict(stats.set_aside),
    )


def _exchange_status(detail: str, *, starting: bool, delivering: bool) -> Status:
    if not detail:
        return Status.HEALTHY
    return Status.DEGRADED if delivering or starting else Status.UNHEALTHY


def _exchange_problem(stats: ExchangeStats, stale_secs: float, now_ns: int) -> str:
    """Return what keeps an exchange from being healthy; empty if nothing does."""
    if stats.detail or stats.state is ExchangeState.DOWN:
        return stats.detail or "down"
    if not stats.links:
        return "starting" if stats.state is ExchangeState.STARTING else "no connections"
    judged = [(link.name, link_problem(link, stale_secs, now_ns)) for link in stats.links.values()]
    problems = [f"{name} {problem}" for name, problem in judged if problem]
    more = len(problems) - _PROBLEMS_TOLD
    return "; ".join(problems[:_PROBLEMS_TOLD]) + (f"; and {more} more" if more > 0 else "")


def link_problem(link: LinkStats, stale_secs: float, now_ns: int) -> str:
    """Return why a connection does not deliver; empty if it does."""
    if link.state is not LinkState.STREAMING:
        why = f" ({link.last_error})" if link.last_error else ""
        return f"is {link.state.value}{why}"
    if not link.last_data_ns:
        return "has brought no data yet"
    age = age_secs(link.last_data_ns, now_ns)
    return f"has brought no data for {age:.0f} s" if age > stale_secs else ""
