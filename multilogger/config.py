"""The configuration: typed, checked as a whole, every fault reported at once with its path."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class LoggerConfig:
    """``[logger]``."""

    data_path: Path
    buffer_size: int = 8192
    """Rows held per connection before an early hand-over to the writer."""
    flush_interval_secs: float = 5.0
    """Column files grow at least this often."""
    shutdown_secs: float = 10.0
    """A stop is over after this long, whatever hangs."""
    log_format: str = "auto"
    """``console``, ``json``, or ``auto``: console on a terminal, json otherwise."""
    log_level: str = "info"
    mappings: Path | None = None
    """A symbol mapping file instead of the shipped one."""


@attrs.frozen(kw_only=True)
class StorageConfig:
    """``[storage]``."""

    journal_sync_secs: float = 0.25
    """A received row is durable after at most about this long."""
    journal_segment_bytes: int = 64 * 1024 * 1024
    checkpoint_secs: float = 30.0
    exact_columns: bool = True
    """Write the 64-bit prices, receive times and flags beside the compatible columns."""
    trade_aliases: bool = False
    """Link id, time, nanos, price, size, side to the trade_* files."""


@attrs.frozen(kw_only=True)
class HealthConfig:
    """``[health]``."""

    enabled: bool = True
    host: str = "0.0.0.0"  # noqa: S104 - a container's health page is asked for from outside it
    port: int = 8080
    stale_secs: float = 10.0
    """An exchange without data for longer is not healthy."""


@attrs.frozen(kw_only=True)
class ExchangeConfig:
    """``[exchanges.NAME]``: what all exchanges have; each adds what it needs by a subclass with defaults."""

    enabled: bool = True
    ws_endpoint: str
    rest_endpoint: str
    max_connections: int = 10
    symbols_per_connection: int = 100
    symbols: tuple[str, ...] = ("*",)
    """Exchange or normalized names; globs; a leading ``!`` excludes."""
    silence_secs: float = 30.0
    """A connection without any data frame for this long is replaced."""
    confirm_secs: float = 10.0
    """Subscriptions that the exchange has not confirmed by then count as lost."""


@attrs.frozen(kw_only=True)
class Config:
    """All of it."""

    logger: LoggerConfig
    storage: StorageConfig = StorageConfig()
    health: HealthConfig = HealthConfig()
    exchanges: dict[str, ExchangeConfig] = attrs.field(factory=dict)
    """By exchange name; the values are of each exchange's own config type."""
