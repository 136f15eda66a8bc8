"""The sections of the configuration: each an attrs class, each key's range in its validator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import attrs

from multilogger.config.expect import Expect, number, one_of, seconds, url, whole


def _are_patterns(patterns: tuple[str, ...]) -> bool:
    names = [pattern.removeprefix("!") for pattern in patterns]
    return bool(names) and all(name.strip() == name != "" for name in names)


_NAME: Final = Expect("a name or an address", lambda text: bool(text) and not any(map(str.isspace, text)))
_GROUP: Final = Expect("a group's name or number, or nothing", lambda text: not any(map(str.isspace, text)))
_MODE: Final = Expect(
    "permissions in octal that let the owner read and write, such as 0640",
    lambda text: re.fullmatch("0?[67][0-7][0-7]", text) is not None,
)
_PATTERNS: Final = Expect("a list of symbols or patterns, none empty", _are_patterns)


@attrs.frozen(kw_only=True)
class LoggerConfig:
    """``[logger]``."""

    data_path: Path
    buffer_size: int = attrs.field(default=8192, validator=whole(1, 1_000_000))
    """Rows held per connection before an early hand-over to the writer."""
    flush_interval_secs: float = attrs.field(default=5.0, validator=seconds(300))
    """Column files grow at least this often."""
    shutdown_secs: float = attrs.field(default=10.0, validator=seconds(600))
    """A stop is over after this long, whatever hangs."""
    log_format: str = attrs.field(default="auto", validator=one_of("auto", "console", "json"))
    """``console``, ``json``, or ``auto``: console on a terminal, json otherwise."""
    log_level: str = attrs.field(
        default="info", validator=one_of("debug", "info", "warning", "error", "critical")
    )
    mappings: Path | None = None
    """A symbol mapping file instead of the shipped one."""


@attrs.frozen(kw_only=True)
class StorageConfig:
    """``[storage]``."""

    journal_sync_secs: float = attrs.field(default=0.25, validator=seconds(1, low=0.001))
    """A received row is durable after at most about this long."""
    journal_segment_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=whole(8192, 2**32))
    checkpoint_secs: float = attrs.field(default=30.0, validator=seconds(3600))
    journal_alternate: Path | None = None
    """A directory, best on another disk, for the journal while its own place takes no writes."""
    applier: str = attrs.field(default="process", validator=one_of("process", "thread"))
    """Where column files are written: in a process of its own, or in a thread of the logger's."""
    seal_after_secs: float = attrs.field(default=1800.0, validator=seconds(86400))
    """A day is closed and sealed this long after its end."""
    accept_days_back: int = attrs.field(default=7, validator=whole(1, 100_000))
    """Rows of a day further back, or after tomorrow, are set aside."""
    disk_reserve_bytes: int = attrs.field(default=1024**3, validator=whole(0, 2**50))
    """Recording pauses while less than this is free on the data path's disk."""
    early_retention: bool = False
    """Before it pauses, remove the oldest sealed days."""
    exact_columns: bool = True
    """Write the 64-bit prices, receive times and flags beside the compatible columns."""
    trade_aliases: bool = False
    """Link id, time, nanos, price, size, side to the trade_* files."""


@attrs.frozen(kw_only=True)
class HealthConfig:
    """``[health]``."""

    enabled: bool = True
    host: str = attrs.field(
        default="0.0.0.0",  # noqa: S104 - a container's health page is asked for from outside it
        validator=_NAME,
    )
    port: int = attrs.field(default=8080, validator=whole(0, 65535))
    """0 takes any free port, which the log then names."""
    stale_secs: float = attrs.field(default=10.0, validator=seconds(3600))
    """An exchange without data for longer is not healthy."""


@attrs.frozen(kw_only=True)
class SupervisionConfig:
    """``[supervision]``."""

    quick_restarts: int = attrs.field(default=5, validator=whole(0, 1000))
    """An exchange that failed so often within the window is down, and tried again slowly."""
    restart_window_secs: float = attrs.field(default=300.0, validator=seconds(86400))
    down_secs: float = attrs.field(default=60.0, validator=seconds(86400))
    """Between two attempts to start an exchange that is down."""
    probation_secs: float = attrs.field(default=60.0, validator=seconds(3600))
    """An exchange that is not healthy so long after its settings were reloaded gets the earlier ones back."""


@attrs.frozen(kw_only=True)
class ExchangeConfig:
    """``[exchanges.NAME]``: what all exchanges have; each adds what it needs by a subclass with defaults."""

    enabled: bool = True
    ws_endpoint: str = attrs.field(validator=url("ws", "wss"))
    rest_endpoint: str = attrs.field(validator=url("http", "https"))
    max_connections: int = attrs.field(default=10, validator=whole(1, 1000))
    symbols_per_connection: int = attrs.field(default=100, validator=whole(1, 100_000))
    symbols: tuple[str, ...] = attrs.field(default=("*",), validator=_PATTERNS)
    """Exchange or normalized names; globs; a leading ``!`` excludes."""
    silence_secs: float = attrs.field(default=30.0, validator=seconds(86400))
    """A connection without any data frame for this long is replaced."""
    confirm_secs: float = attrs.field(default=10.0, validator=seconds(600))
    """Subscriptions that the exchange has not confirmed by then count as lost."""
    quiet_secs: float = attrs.field(default=30.0, validator=seconds(86400))
    """A symbol's table that is silent for this long, and far longer than is usual for it, is looked at."""
    messages_per_connection: float = attrs.field(default=5000.0, validator=number(1, 1e9))
    """Messages a second over which a connection's symbols are spread over more connections."""
    backfill: bool = True
    """Ask the exchange for trades that were missed."""
    backfill_max_age_secs: float = attrs.field(default=86400.0, validator=seconds(10 * 365 * 86400))
    """What was missed longer ago is not asked for any more."""
    max_price_jump: float = attrs.field(default=0.5, validator=number(0, 1e6))
    """A price further from the recent median than by this part of it is suspect; 0 suspects none."""
    max_clock_skew_secs: float = attrs.field(default=60.0, validator=number(0, 1e9))
    """So is an event time that differs from the receive time by more; 0 suspects none."""
    max_trade_size: float = attrs.field(default=0.0, validator=number(0, 1e15))
    """So is a trade larger than this; 0 suspects none."""
    breaker_share: float = attrs.field(default=0.5, validator=number(0, 1))
    """A symbol's table is set aside while more than this part of its rows is suspect; 0 sets none aside."""
    breaker_secs: float = attrs.field(default=60.0, validator=seconds(86400))
    """It is tried again after so long, and twice as long after each failure, up to an hour."""
    retention_days: int = attrs.field(default=0, validator=whole(0, 100_000))
    """Sealed days older than this are removed; 0 keeps them."""
    retention_bytes: int = attrs.field(default=0, validator=whole(0, 2**50))
    """The oldest sealed days are removed while the exchange's files take more than this; 0 keeps them."""
    file_mode: str = attrs.field(default="0644", validator=_MODE)
    """Permissions of new files, in octal; new directories get execution where it allows reading."""
    group: str = attrs.field(default="", validator=_GROUP)
    """Group of new files and directories, by name or number; empty for the process's own."""


@attrs.frozen(kw_only=True)
class Config:
    """All of it."""

    logger: LoggerConfig
    storage: StorageConfig = StorageConfig()
    health: HealthConfig = HealthConfig()
    supervision: SupervisionConfig = SupervisionConfig()
    exchanges: dict[str, ExchangeConfig] = attrs.field(factory=dict)
    """By exchange name; the values are of each exchange's own config type."""
