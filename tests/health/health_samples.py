"""Counters and configurations that the health tests share."""

from __future__ import annotations

from pathlib import Path

from multilogger.config import Config, ExchangeConfig, HealthConfig, LoggerConfig
from multilogger.stats import ExchangeState, LinkState, LinkStats, Stats

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
