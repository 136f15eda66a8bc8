"""What is true of the data now, judged from counters alone.

An exchange is healthy when each of its connections streams and has brought data lately; a connection that
stands but is silent is not healthy. The writer is healthy when what it was given becomes durable in time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from multilogger import __version__
from multilogger.config import Config
from multilogger.stats import ExchangeState, ExchangeStats, LinkState, LinkStats, Stats, WriterStats

NO_DATA_SECS: Final = 30.0
"""Without data from any exchange for longer than this, the process is unhealthy; also its time to start."""
LAG_DEGRADED_SECS: Final = 1.0
"""Rows are to be durable this long after they came, beside the configured journal interval."""
LAG_UNHEALTHY_SECS: Final = 5.0
_PROBLEMS_TOLD: Final = 3


class Status(enum.Enum):
    """How something is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Something is missing, the rest goes on."""
    UNHEALTHY = "unhealthy"
    """It does not do what it is for."""


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


@attrs.frozen(kw_only=True)
class WriterHealth:
    """The writer."""

    status: Status
    rows: int
    """Durable in the journal."""
    rows_in_columns: int
    lag_secs: float
    """Age of the oldest row that is not durable yet; 0 when there is none."""
    last_flush_secs: float
    """Duration of the last flush of the column files."""
    journal_bytes: int
    late_rows: int


@attrs.frozen(kw_only=True)
class HealthReport:
    """All of ``/health``."""

    status: Status
    reasons: tuple[str, ...]
    """Why it is not healthy, a line each."""
    started_ns: int
    uptime_secs: float
    exchanges: dict[str, ExchangeHealth]
    writer: WriterHealth

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "status": self.status.value,
            "reasons": list(self.reasons),
            "version": __version__,
            "started": _iso(self.started_ns),
            "uptime_secs": round(self.uptime_secs, 1),
            "exchanges": {name: _exchange_json(exchange) for name, exchange in self.exchanges.items()},
            "writer": {**attrs.asdict(self.writer), "status": self.writer.status.value},
        }


def build_status(stats: Stats, config: Config, now_ns: int, rates: Mapping[str, float]) -> HealthReport:
    """Judge the process.

    Args:
        stats: all counters.
        config: which exchanges are to run, and when data is stale.
        now_ns: nanoseconds since the epoch.
        rates: messages a second by exchange, as :meth:`RateMeter.rates` gives them.
    """
    names = dict.fromkeys([name for name, exchange in config.exchanges.items() if exchange.enabled])
    counters = {name: stats.exchanges.get(name) or ExchangeStats(name) for name in [*names, *stats.exchanges]}
    uptime = max(0, now_ns - stats.started_ns) / 1e9
    exchanges = {
        name: _judge_exchange(exchange, config.health.stale_secs, now_ns, uptime, rates.get(name, 0.0))
        for name, exchange in counters.items()
    }
    writer = _judge_writer(stats.writer, config.storage.journal_sync_secs, now_ns)
    newest = max((exchange.last_data_ns for exchange in counters.values()), default=0)
    silence = age_secs(max(newest, stats.started_ns), now_ns)
    status, reasons = _overall(exchanges, writer, silence)
    return HealthReport(
        status=status,
        reasons=tuple(reasons),
        started_ns=stats.started_ns,
        uptime_secs=uptime,
        exchanges=exchanges,
        writer=writer,
    )


def _overall(
    exchanges: Mapping[str, ExchangeHealth], writer: WriterHealth, silence_secs: float
) -> tuple[Status, list[str]]:
    reasons = [f"{name}: {exchange.detail}" for name, exchange in exchanges.items() if exchange.detail]
    if writer.status is not Status.HEALTHY:
        reasons.append(f"writer: rows wait for {writer.lag_secs:.1f} s to become durable")
    if not exchanges:
        reasons.append("no exchange is enabled")
    if silence_secs > NO_DATA_SECS:
        reasons.append(f"no data from any exchange for {silence_secs:.0f} s")
    if silence_secs > NO_DATA_SECS or writer.status is Status.UNHEALTHY:
        return Status.UNHEALTHY, reasons
    return (Status.DEGRADED if reasons else Status.HEALTHY), reasons


def _judge_exchange(
    stats: ExchangeStats, stale_secs: float, now_ns: int, uptime_secs: float, rate: float
) -> ExchangeHealth:
    links = list(stats.links.values())
    streaming = [link for link in links if link.state is LinkState.STREAMING]
    delivering = any(link_problem(link, stale_secs, now_ns) == "" for link in streaming)
    detail = _exchange_problem(stats, stale_secs, now_ns)
    return ExchangeHealth(
        status=_exchange_status(detail, starting=uptime_secs <= NO_DATA_SECS, delivering=delivering),
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


def _judge_writer(stats: WriterStats, journal_sync_secs: float, now_ns: int) -> WriterHealth:
    lag = writer_lag_secs(stats, now_ns)
    status = Status.HEALTHY
    if lag > LAG_UNHEALTHY_SECS:
        status = Status.UNHEALTHY
    elif lag > LAG_DEGRADED_SECS + journal_sync_secs:
        status = Status.DEGRADED
    return WriterHealth(
        status=status,
        rows=stats.rows,
        rows_in_columns=stats.rows_in_columns,
        lag_secs=round(lag, 3),
        last_flush_secs=round(stats.flush_seconds_last, 6),
        journal_bytes=stats.journal_bytes,
        late_rows=stats.late_rows,
    )


def writer_lag_secs(stats: WriterStats, now_ns: int) -> float:
    """Return the age of the oldest row that is not durable yet, in seconds; 0 when there is none."""
    oldest = stats.oldest_pending_ns  # read once: the writer changes it from its thread
    return max(0, now_ns - oldest) / 1e9 if oldest else 0.0


def age_secs(then_ns: int, now_ns: int) -> float:
    """Return how far apart two times are, in seconds.

    A time in the future, as after the clock was set back, is no fresher than one as far in the past: else a
    silent connection would look fresh until the clock has caught up.
    """
    return abs(now_ns - then_ns) / 1e9


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _exchange_json(exchange: ExchangeHealth) -> dict[str, Any]:
    age = exchange.last_message_age_secs
    return {
        "status": exchange.status.value,
        "state": exchange.state.value,
        "detail": exchange.detail,
        "connected": exchange.connected,
        "connections": {"up": exchange.connections_up, "total": exchange.connections_total},
        "symbols": exchange.symbols,
        "messages_per_second": round(exchange.messages_per_second, 1),
        "last_message": _iso(exchange.last_message_ns) if exchange.last_message_ns else None,
        "last_message_age_secs": None if age is None else round(age, 3),
        **{name: getattr(exchange, name) for name in ("reconnects", "restarts", "duplicates", "gaps")},
        "refused": exchange.refused,
        "set_aside": exchange.set_aside,
    }
