"""The metrics: their values, and that each is described."""

from __future__ import annotations

import re
from math import inf
from pathlib import Path

import pytest
from health_samples import SECOND, START, make_config, make_stats, make_whole
from prometheus_client.parser import text_string_to_metric_families

from multilogger.health.metrics import make_registry, render
from multilogger.stats import Stats

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
NOW = START + 3600 * SECOND


def busy_stats() -> Stats:
    """Return counters in which everything has happened."""
    stats = make_stats(NOW - 2 * SECOND, alpha=2, beta=1)
    alpha = stats.exchanges["alpha"]
    alpha.links["alpha-0"].messages = 7
    alpha.closed_messages = 3
    alpha.rows.update(MD=4, TRADES=5)
    alpha.refused['bad "price"\n'] = 6
    alpha.ignored["heartbeat"] = 8
    alpha.gaps, alpha.duplicates = 2, 9
    alpha.set_aside["LUNA"] = "no such product"
    make_whole(alpha)
    stats.reloads, stats.reload_problem = 19, "no such exchange"
    writer = stats.writer
    writer.rows = 11
    writer.oldest_pending_ns = NOW - SECOND // 2
    writer.oldest_unapplied_ns = NOW - 3 * SECOND
    writer.checkpoint_ns = NOW - 20 * SECOND
    for secs in (0.0005, 0.001, 0.002, 0.3, 9.0):
        writer.commit_times.note(secs)
    writer.sync_times.note(0.0002)
    writer.journal_failures, writer.held_bytes, writer.journal_problem = 1, 4096, "no space"
    writer.unapplied_bytes, writer.apply_problem, writer.paused, writer.pauses = 77, "read-only", "full", 2
    writer.absurd_rows, writer.lost_rows, writer.repaired_partitions = 12, 13, 14
    writer.sealed_days, writer.seal_failures, writer.removed_days, writer.removed_bytes = 15, 16, 17, 18
    writer.disk_free_bytes, writer.disk_days_left = 5_000_000_000, 2.5
    return stats


def scrape(stats: Stats) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return all samples by name and labels, through the text format."""
    text, _ = render(make_registry(stats, make_config("alpha", "beta"), lambda: NOW), "")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("messages_total", {"exchange": "alpha"}, 10),
        ("connection_messages_total", {"exchange": "alpha", "connection": "alpha-0"}, 7),
        ("rows_total", {"exchange": "alpha", "table": "TRADES"}, 5),
        ("refused_total", {"exchange": "alpha", "reason": 'bad "price"\n'}, 6),
        ("ignored_total", {"exchange": "alpha", "kind": "heartbeat"}, 8),
        ("duplicates_total", {"exchange": "alpha"}, 9),
        ("missing_trades", {"exchange": "alpha"}, 2),
        ("renewals_total", {"exchange": "alpha"}, 20),
        ("connection_renewals_total", {"exchange": "alpha", "connection": "alpha-0"}, 20),
        ("resubscribes_total", {"exchange": "alpha"}, 21),
        ("looks_total", {"exchange": "alpha"}, 22),
        ("moves_total", {"exchange": "alpha"}, 23),
        ("deaf", {"exchange": "alpha"}, 1),
        ("deaf", {"exchange": "beta"}, 0),
        ("suspect_rows_total", {"exchange": "alpha", "reason": "price jump"}, 24),
        ("broken_rows_total", {"exchange": "alpha"}, 25),
        ("breakers", {"exchange": "alpha", "state": "open"}, 1),
        ("breakers", {"exchange": "alpha", "state": "half-open"}, 0),
        ("breakers", {"exchange": "alpha", "state": "closed"}, 1),
        ("breakers", {"exchange": "beta", "state": "open"}, 0),
        ("breaker_openings_total", {"exchange": "alpha"}, 5),
        ("trades_to_backfill", {"exchange": "alpha"}, 26),
        ("backfilled_trades_total", {"exchange": "alpha"}, 27),
        ("given_up_trades_total", {"exchange": "alpha"}, 28),
        ("backfill_problem", {"exchange": "alpha"}, 1),
        ("backfill_problem", {"exchange": "beta"}, 0),
        ("budget_amount", {"exchange": "alpha", "budget": "rest/60s"}, 4800),
        ("budget_used", {"exchange": "alpha", "budget": "rest/60s"}, 29),
        ("budget_waiting", {"exchange": "alpha", "budget": "rest/60s"}, 30),
        ("budget_spent_total", {"exchange": "alpha", "budget": "rest/60s"}, 31),
        ("budget_held_back_seconds", {"exchange": "alpha", "budget": "rest/60s"}, 32.5),
        ("reloads_total", {}, 19),
        ("reload_problem", {}, 1),
        ("symbols", {"exchange": "alpha"}, 500),
        ("symbols_set_aside", {"exchange": "alpha"}, 1),
        ("last_message_age_seconds", {"exchange": "alpha"}, 2),
        ("connection_last_message_age_seconds", {"exchange": "beta", "connection": "beta-0"}, 2),
        ("connection_state", {"exchange": "beta", "connection": "beta-0", "state": "streaming"}, 1),
        ("connection_state", {"exchange": "beta", "connection": "beta-0", "state": "waiting"}, 0),
        ("exchange_state", {"exchange": "beta", "state": "running"}, 1),
        ("status", {"status": "healthy"}, 0),
        ("status", {"status": "unhealthy"}, 1),
        ("exchange_status", {"exchange": "beta", "status": "healthy"}, 1),
        ("exchange_status", {"exchange": "alpha", "status": "degraded"}, 1),
        ("rows_durable_total", {}, 11),
        ("writer_lag_seconds", {}, 0.5),
        ("commit_seconds_bucket", {"le": "0.001"}, 2),
        ("commit_seconds_bucket", {"le": "0.0025"}, 3),
        ("commit_seconds_bucket", {"le": "0.25"}, 3),
        ("commit_seconds_bucket", {"le": "5.0"}, 4),
        ("commit_seconds_bucket", {"le": "+Inf"}, 5),
        ("commit_seconds_count", {}, 5),
        ("commit_seconds_sum", {}, 9.3035),
        ("commit_seconds_max", {}, 9),
        ("journal_sync_seconds_count", {}, 1),
        ("journal_failures_total", {}, 1),
        ("journal_held_bytes", {}, 4096),
        ("journal_problem", {}, 1),
        ("apply_problem", {}, 1),
        ("apply_lag_seconds", {}, 3),
        ("apply_lag_bytes", {}, 77),
        ("checkpoint_age_seconds", {}, 20),
        ("paused", {}, 1),
        ("pauses_total", {}, 2),
        ("absurd_rows_total", {}, 12),
        ("lost_rows_total", {}, 13),
        ("repaired_partitions_total", {}, 14),
        ("sealed_days_total", {}, 15),
        ("seal_failures_total", {}, 16),
        ("removed_days_total", {}, 17),
        ("removed_bytes_total", {}, 18),
        ("disk_free_bytes", {}, 5_000_000_000),
        ("disk_days_left", {}, 2.5),
        ("start_time_seconds", {}, START / SECOND),
    ],
)
def test_values(name: str, labels: dict[str, str], value: float) -> None:
    """Each counter comes out under its name and labels."""
    assert scrape(busy_stats())[f"multilogger_{name}", frozenset(labels.items())] == pytest.approx(value)


def test_all_well_with_the_storage() -> None:
    """Conditions are 0, and a disk that does not fill lasts for ever."""
    samples = scrape(make_stats(NOW, alpha=1))
    names = ("paused", "journal_problem", "apply_problem", "apply_lag_seconds", "reload_problem")
    assert [samples[f"multilogger_{name}", frozenset()] for name in names] == [0, 0, 0, 0, 0]
    assert samples["multilogger_disk_days_left", frozenset()] == inf


def test_no_age_before_the_first_message() -> None:
    """An age that is not known is left out, not zero."""
    stats = make_stats(0, alpha=1)
    assert not [name for name, _ in scrape(stats) if "age_seconds" in name]


def test_openmetrics_where_asked_for() -> None:
    """A scraper that prefers OpenMetrics gets it."""
    registry = make_registry(busy_stats(), make_config("alpha"), lambda: NOW)
    text, content_type = render(registry, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_docs_list_every_metric_and_no_other() -> None:
    """docs/metrics.md and the program agree on names and types."""
    text, _ = render(make_registry(busy_stats(), make_config("alpha", "beta"), lambda: NOW), "")
    exposed = set(re.findall(r"^# TYPE (\S+) (\S+)$", text.decode(), re.MULTILINE))
    described = set(re.findall(r"^\| `(\S+?)` \| (\w+) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    assert described == exposed


def test_every_metric_has_words() -> None:
    """No metric goes without help."""
    registry = make_registry(busy_stats(), make_config("alpha"), lambda: NOW)
    assert all(metric.documentation for metric in registry.collect())


def test_the_suggested_alerts_name_metrics_that_exist() -> None:
    """The alert rules of docs/operations.md are about metrics that are exposed."""
    rules = (DOCS.parent / "operations.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"\b(?:multilogger|process)_[a-z_]+\b", "\n".join(re.findall("expr: (.*)", rules)))
    )
    assert named
    assert named <= {name for name, _ in scrape(busy_stats())}
