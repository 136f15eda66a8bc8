"""Counters and configurations that the health tests share."""

from __future__ import annotations

from pathlib import Path

from multilogger.config import Config, ExchangeConfig, HealthConfig, LoggerConfig
from multilogger.stats import (
    BreakerStats,
    BudgetStats,
    ExchangeState,
    ExchangeStats,
    LinkState,
    LinkStats,
    Stats,
)

SECOND = 1_000_000_000
START = 1_737_801_000 * SECOND
"""2025-01-25T10:30:00Z."""


def make_config(*names: str, health: HealthConfig | None = None) -> Config:
    """Return a configuration of some exchanges."""
    settings = ExchangeConfig(ws_endpoint="wss://h.example", rest_endpoint="https://h.example")
    return Config(
        logger=LoggerConfig(data_path=Path("/data")),
        health=health or HealthConfig(host="127.0.0.1", port=0),
        exchanges=dict.fromkeys(names, settings),
    )


def make_stats(now_ns: int, **links: int) -> Stats:
    """Return counters of a logger that runs well since START: ``alpha=2`` gives alpha two connections."""
    stats = Stats(started_ns=START)
    for name, count in links.items():
        exchange = stats.exchange(name)
        exchange.state = ExchangeState.RUNNING
        for number in range(count):
            link = LinkStats(f"{name}-{number}", state=LinkState.STREAMING, symbols=250, last_data_ns=now_ns)
            exchange.links[link.name] = link
    return stats


def make_whole(stats: ExchangeStats) -> None:
    """Let everything happen to an exchange that endangers the completeness of its data."""
    stats.links["alpha-0"].renewals = 20
    stats.resubscribes, stats.looks, stats.moves = 21, 22, 23
    stats.deaf["AAA/MD"] = "since 2025-01-25 10:29:00 UTC"
    stats.suspect["price jump"], stats.broken_rows = 24, 25
    stats.breakers["BBB/TRADES"] = BreakerStats("open", "half of them", 3, START, START + 60 * SECOND)
    stats.breakers["CCC/TRADES"] = BreakerStats("closed", "most of them", 2, START, START + 60 * SECOND)
    stats.missing, stats.backfilled, stats.given_up = 26, 27, 28
    stats.backfill_problem = "HTTP status 503"
    stats.budgets["rest/60s"] = BudgetStats(4800, 60.0, 29, 30, 31, 32.5)
