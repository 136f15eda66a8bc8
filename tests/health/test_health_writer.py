"""What /health says of writer, storage and disk, and of pauses."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import attrs
import pytest
from health_samples import SECOND, START, make_config, make_stats

from multilogger.config import LoggerConfig
from multilogger.health.judgement import Status
from multilogger.health.status import HealthReport, build_status
from multilogger.stats import ExchangeState, Stats

NOW = START + 3600 * SECOND
FULL = "disk /data: 0.4 GiB free, reserve 1.0 GiB: free some space"


def judge(stats: Stats, now_ns: int = NOW) -> HealthReport:
    """Judge with everything else at its default."""
    return build_status(stats, make_config("alpha", "beta"), now_ns, {})


def well() -> Stats:
    """Return counters of a logger that runs well."""
    return make_stats(NOW, alpha=1, beta=1)


def paused(since_ns: int = NOW - 600 * SECOND) -> Stats:
    """Return counters of a logger that pauses: its exchanges have no connections."""
    stats = make_stats(since_ns, alpha=1, beta=1)
    stats.writer.paused = FULL
    for exchange in stats.exchanges.values():
        exchange.drop_link(f"{exchange.name}-0")
        exchange.state, exchange.detail = ExchangeState.PAUSED, f"paused: {FULL}"
    return stats


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        (
            {"journal_problem": "/data/.multilogger/journal: no space left", "held_bytes": 2_500_000},
            Status.UNHEALTHY,
            "journal: /data/.multilogger/journal: no space left: 2.5 MB of rows wait in memory",
        ),
        (
            {"apply_problem": "/data/coinbase: read-only file system"},
            Status.DEGRADED,
            "column files: /data/coinbase: read-only file system",
        ),
        (
            {"oldest_unapplied_ns": NOW - 66 * SECOND},
            Status.DEGRADED,
            "column files: 66 s behind the journal",
        ),
        (
            {"lost_rows": 12},
            Status.DEGRADED,
            "accepted rows that are lost, since the start: 12: the errors in the log name them",
        ),
        (
            {"seal_failures": 3},
            Status.DEGRADED,
            "days that could not be sealed, since the start: 3: the errors in the log name them",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_problem(changes: dict[str, Any], status: Status, reason: str) -> None:
    """Each problem has its weight and its words, in the reasons and in the writer's section."""
    stats = well()
    for name, value in changes.items():
        setattr(stats.writer, name, value)
    report = judge(stats)
    assert (report.status, report.writer.status, report.reasons) == (status, status, (reason,))
    assert report.to_json()["writer"]["detail"] == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"oldest_unapplied_ns": NOW - 65 * SECOND},
        {"repaired_partitions": 5},
        {"late_rows": 5, "absurd_rows": 6},
        {"checkpoint_ns": NOW - 9999 * SECOND},
        {"disk_free_bytes": 1, "disk_days_left": 0.01},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_no_problem_of_the_data(changes: dict[str, Any]) -> None:
    """What the storage copes with by itself, and what only may become a problem, is told, but not judged."""
    stats = well()
    for name, value in changes.items():
        setattr(stats.writer, name, value)
    report = judge(stats)
    assert (report.status, report.reasons) == (Status.HEALTHY, ())
    shown = report.to_json()["writer"]
    assert all(shown[name] == value for name, value in changes.items() if name in shown)


def test_the_flush_interval_counts() -> None:
    """Column files that are to grow every five minutes are not behind after four."""
    stats = well()
    stats.writer.oldest_unapplied_ns = NOW - 240 * SECOND
    config = make_config("alpha", "beta")
    slow = attrs.evolve(
        config, logger=LoggerConfig(data_path=config.logger.data_path, flush_interval_secs=300)
    )
    assert build_status(stats, slow, NOW, {}).status is Status.HEALTHY


def test_a_pause_is_degraded_however_long() -> None:
    """No restart mends a full disk: hours without data are no reason for one; the reason is told once."""
    report = judge(paused())
    assert (report.status, report.reasons) == (Status.DEGRADED, (f"recording pauses: {FULL}",))
    alpha = report.exchanges["alpha"]
    assert (alpha.status, alpha.state) == (Status.DEGRADED, ExchangeState.PAUSED)
    assert alpha.detail == f"paused: {FULL}"


def test_connections_that_end_for_a_pause() -> None:
    """While the exchanges hand over their last rows, they are told as they are, and none is unhealthy."""
    stats = paused()
    for exchange in stats.exchanges.values():
        exchange.state, exchange.detail = ExchangeState.RUNNING, ""
    report = judge(stats)
    assert report.reasons == (
        "alpha: no connections",
        "beta: no connections",
        f"recording pauses: {FULL}",
    )
    assert report.status is Status.DEGRADED


@pytest.mark.parametrize(("secs", "status"), [(1, Status.DEGRADED), (31, Status.UNHEALTHY)])
def test_going_on_has_half_a_minute(secs: int, status: Status) -> None:
    """After a pause the exchanges have as long to connect as after a start."""
    stats = paused()
    stats.writer.paused = ""
    stats.resumed_ns = NOW - secs * SECOND
    for exchange in stats.exchanges.values():
        exchange.state, exchange.detail = ExchangeState.STARTING, ""
    report = judge(stats)
    assert report.status is status
    assert report.uptime_secs == 3600.0


def test_a_dead_journal_outweighs_a_pause() -> None:
    """Rows that wait in memory make it unhealthy, pausing or not."""
    stats = paused()
    stats.writer.journal_problem = "no space left"
    report = judge(stats)
    assert report.status is Status.UNHEALTHY
    assert report.reasons[0] == f"recording pauses: {FULL}"
    assert len(report.reasons) == 2


def test_the_writers_fields() -> None:
    """The section has the documented fields, and is JSON that any parser takes."""
    stats = well()
    writer = stats.writer
    writer.checkpoint_ns, writer.oldest_unapplied_ns = NOW - 12 * SECOND, NOW - SECOND // 4
    writer.disk_free_bytes, writer.disk_days_left = 412_000_000_000, 113.456
    shown = json.loads(json.dumps(judge(stats).to_json()["writer"], allow_nan=False))
    assert next(iter(shown)) == "status"
    assert (shown["status"], shown["detail"], shown["paused"]) == ("healthy", "", "")
    assert (shown["checkpoint_age_secs"], shown["apply_lag_secs"]) == (12.0, 0.25)
    assert (shown["disk_free_bytes"], shown["disk_days_left"]) == (412_000_000_000, 113.46)


def test_what_is_not_known_is_null() -> None:
    """No checkpoint yet and a disk that does not fill are null, not a number."""
    stats = well()
    assert stats.writer.disk_days_left == inf
    shown = judge(stats).to_json()["writer"]
    assert (shown["checkpoint_age_secs"], shown["disk_days_left"]) == (None, None)
