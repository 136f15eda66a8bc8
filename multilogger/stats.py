"""Plain counters, written where things happen and read by /health and /metrics.

The hot path touches them once a chunk or once a hand-over, never once a message. All of them only grow,
except where a line says otherwise. Writing from one thread and reading from another is safe: each is one
Python object that is replaced whole.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections import Counter
from math import inf
from typing import Final

import attrs


class LinkState(enum.Enum):
    """Where a connection is in its life."""

    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    STREAMING = "streaming"
    WAITING = "waiting"
    """Down; the backoff runs."""


class ExchangeState(enum.Enum):
    """Where an exchange is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    """Recording pauses, through no fault of the exchange's."""
    DOWN = "down"
    """Restarted too often, or unable to run as configured; tried again slowly."""


@attrs.define(eq=False)
class LinkStats:
    """One connection."""

    name: str
    state: LinkState = LinkState.CONNECTING
    symbols: int = 0
    messages: int = 0
    bytes: int = 0
    reconnects: int = 0
    renewals: int = 0
    """Of these, replacements that streamed before what they replaced was closed."""
    last_data_ns: int = 0
    """Receive time of the newest data frame, nanoseconds since the epoch; 0 before the first."""
    last_error: str = ""


@attrs.define(eq=False)
class BreakerStats:
    """The circuit breaker of one symbol's table that is or was open."""

    state: str
    """``open``: its rows are set aside; ``half-open``: it is tried again; ``closed``: all is well again."""
    reason: str
    opened: int = 0
    """How often it has opened."""
    changed_ns: int = 0
    """When the state last changed, nanoseconds since the epoch."""
    retry_ns: int = 0
    """When an open one is tried again."""


@attrs.define(eq=False)
class BudgetStats:
    """What is used of an allowance, such as REST weight a minute."""

    amount: float
    secs: float
    used: float = 0.0
    """Within the last ``secs``. A gauge."""
    waiting: int = 0
    """Who waits for room. A gauge."""
    total: float = 0.0
    held_back_secs: float = 0.0
    """How long the exchange wants to be left alone from now on. A gauge."""


@attrs.define(eq=False)
class ExchangeStats:
    """One exchange."""

    name: str
    state: ExchangeState = ExchangeState.STARTING
    detail: str = ""
    """Why the exchange is not running, in words; empty while it is."""
    links: dict[str, LinkStats] = attrs.field(factory=dict)
    """By connection name; an entry goes when its connection is given up for good."""
    rows: Counter[str] = attrs.field(factory=Counter)
    """Accepted rows by table name."""
    refused: Counter[str] = attrs.field(factory=Counter)
    """Refused rows and frames by reason."""
    ignored: Counter[str] = attrs.field(factory=Counter)
    """Frames of a kind nobody asked for, by kind; the number of kinds is bounded by the adapter."""
    duplicates: int = 0
    gaps: int = 0
    """Trade ids that were skipped and have not come since; falls when a missing trade arrives late."""
    restarts: int = 0
    suspect: Counter[str] = attrs.field(factory=Counter)
    """Rows that were kept, but look wrong, by reason."""
    broken_rows: int = 0
    """Rows that were set aside by an open breaker."""
    breakers: dict[str, BreakerStats] = attrs.field(factory=dict)
    """By ``SYMBOL/TABLE``; those that have ever opened."""
    deaf: dict[str, str] = attrs.field(factory=dict)
    """``SYMBOL/TABLE`` that trades, but brings nothing, and since when; whatever was tried did not help."""
    resubscribes: int = 0
    """Symbols that were asked for anew because they were silent."""
    looks: int = 0
    """Requests that asked whether a silent symbol trades."""
    moves: int = 0
    """Symbols that were moved to another connection."""
    backfilled: int = 0
    """Missed trades that were got from the exchange's history."""
    missing: int = 0
    """Trades that are known to be missed, and may yet be got. A gauge."""
    given_up: int = 0
    """Missed trades that the exchange's history does not give."""
    backfill_problem: str = ""
    """Why the history can't be asked now; empty while it can."""
    instruments_problem: str = ""
    """Why what the newest listing has changed is not on disk; empty if it is."""
    budgets: dict[str, BudgetStats] = attrs.field(factory=dict)
    """Allowances, by name and span: ``connects/300s``."""
    closed_renewals: int = 0
    set_aside: dict[str, str] = attrs.field(factory=dict)
    """Symbols that the exchange rejected, with its own words."""
    refused_samples: dict[str, str] = attrs.field(factory=dict)
    """The newest refused frame of each reason, shortened, for the log."""
    closed_messages: int = 0
    closed_bytes: int = 0
    closed_reconnects: int = 0
    """What connections that are gone for good had counted."""
    closed_last_data_ns: int = 0
    """Receive time of their newest data frame; 0 before the first."""

    @property
    def messages(self) -> int:
        """Data frames received."""
        return self.closed_messages + sum(link.messages for link in self.links.values())

    @property
    def bytes(self) -> int:
        """Payload bytes of the data frames."""
        return self.closed_bytes + sum(link.bytes for link in self.links.values())

    @property
    def reconnects(self) -> int:
        """Connections opened after the first of each."""
        return self.closed_reconnects + sum(link.reconnects for link in self.links.values())

    @property
    def renewals(self) -> int:
        """Connections that were replaced before they ended."""
        return self.closed_renewals + sum(link.renewals for link in self.links.values())

    @property
    def last_data_ns(self) -> int:
        """Receive time of the newest data frame; 0 before the first."""
        newest = max((link.last_data_ns for link in self.links.values()), default=0)
        return max(newest, self.closed_last_data_ns)

    @property
    def symbols(self) -> int:
        """Symbols now assigned to connections."""
        return sum(link.symbols for link in self.links.values())

    def drop_link(self, name: str) -> None:
        """Forget a connection, keeping what it counted."""
        link = self.links.pop(name)
        self.closed_messages += link.messages
        self.closed_bytes += link.bytes
        self.closed_reconnects += link.reconnects
        self.closed_renewals += link.renewals
        self.closed_last_data_ns = max(self.closed_last_data_ns, link.last_data_ns)


DURATION_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histograms' buckets, in seconds."""


@attrs.define(eq=False)
class Durations:
    """How long something took, as a histogram."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(DURATION_BOUNDS) + 1))
    """Observations of each bucket; the last is for those above all bounds."""
    total: float = 0.0
    """Sum, in seconds."""
    longest: float = 0.0

    def note(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)


@attrs.define(eq=False)
class WriterStats:
    """The writer and its storage."""

    rows: int = 0
    """Rows made durable in the journal."""
    batches: int = 0
    commits: int = 0
    journal_bytes: int = 0
    journal_syncs: int = 0
    journal_failures: int = 0
    """Segments given up after a failed write or sync."""
    commit_times: Durations = attrs.field(factory=Durations)
    """Of whole commits, sync included."""
    sync_times: Durations = attrs.field(factory=Durations)
    """Of writing and syncing journal frames."""
    held_bytes: int = 0
    """Size of the rows that wait in memory because no journal takes them. A gauge."""
    journal_problem: str = ""
    """Why the journal takes no rows now; empty while it does."""
    flushes: int = 0
    """Times that the column files grew."""
    flush_seconds: float = 0.0
    flush_seconds_last: float = 0.0
    """Of the last flush alone: a gauge."""
    rows_in_columns: int = 0
    apply_problem: str = ""
    """Why the column files can't be written now; empty while they can."""
    oldest_unapplied_ns: int = 0
    """When the oldest commit that is not in the column files was made; 0 when there is none. A gauge."""
    unapplied_bytes: int = 0
    """Size of the journal's part that is not in the column files yet. A gauge."""
    late_rows: int = 0
    """Rows older than the last one of their file, or of a closed day: they wait in late partitions."""
    absurd_rows: int = 0
    """Rows set aside because their event time can't be true."""
    lost_rows: int = 0
    """Rows that had been accepted and are gone, found at the start or at a damaged file."""
    repaired_partitions: int = 0
    """Partitions whose files were not as they had been left, and were made even again."""
    sealed_days: int = 0
    """Days of a symbol's table that were sealed."""
    seal_failures: int = 0
    """Days that could not be sealed because their files are not what was written."""
    removed_days: int = 0
    """Days of a symbol's table that the retention removed."""
    removed_bytes: int = 0
    disk_free_bytes: int = 0
    """On the data path's disk, for this user. A gauge."""
    disk_days_left: float = inf
    """Until the disk is full at the rate of late. A gauge."""
    paused: str = ""
    """Why recording pauses; empty while it doesn't."""
    pauses: int = 0
    checkpoints: int = 0
    checkpoint_ns: int = 0
    """When the newest checkpoint was taken, nanoseconds since the epoch; 0 before the first. A gauge."""
    oldest_pending_ns: int = 0
    """Receive time of the oldest row that is not durable yet; 0 when there is none. A gauge."""
    recovered_rows: int = 0
    """Rows that the last start replayed from the journal."""


@attrs.define(eq=False)
class Stats:
    """All counters of one process."""

    started_ns: int
    resumed_ns: int = 0
    """When recording last went on after a pause, nanoseconds since the epoch; 0 if it never paused."""
    reloads: int = 0
    """Times that the configuration was reloaded."""
    reload_problem: str = ""
    """Why the last reload changed nothing, or was taken back; empty where it went well."""
    exchanges: dict[str, ExchangeStats] = attrs.field(factory=dict)
    writer: WriterStats = attrs.field(factory=WriterStats)

    def exchange(self, name: str) -> ExchangeStats:
        """Return the counters of an exchange, new ones at its first mention."""
        return self.exchanges.setdefault(name, ExchangeStats(name))
