"""The metrics: their values, and that each is described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from health_samples import SECOND, START, make_config, make_stats
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
    stats.writer.rows = 11
    stats.writer.oldest_pending_ns = NOW - SECOND // 2
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
        ("symbols", {"exchange": "alpha"}, 500),
        ("symbols_set_aside", {"exchange": "alpha"}, 1),
        ("last_message_age_seconds", {"exchange": "alpha"}, 2),
        ("connection_last_message_age_seconds", {"exchange": "beta", "connection": "beta-0"}, 2),
        ("connection_state", {"exchange": "beta", "connection": "beta-0", "state": "streaming"}, 1),
        ("connection_state", {"exchange": "beta", "connection": "beta-0", "state": "waiting"}, 0),
        ("exchange_state", {"exchange": "beta", "state": "running"}, 1),
        ("status", {"status": "healthy"}, 1),
        ("status", {"status": "unhealthy"}, 0),
        ("exchange_status", {"exchange": "alpha", "status": "healthy"}, 1),
        ("rows_durable_total", {}, 11),
        ("writer_lag_seconds", {}, 0.5),
        ("start_time_seconds", {}, START / SECOND),
    ],
)
def test_values(name: str, labels: dict[str, str], value: float) -> None:
    """Each counter comes out under its name and labels."""
    assert scrape(busy_stats())[f"multilogger_{name}", frozenset(labels.items())] == value


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
