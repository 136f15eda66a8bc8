"""What a workload is, and what all of them do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import attrs
from durability_ledger import COINBASE, Ledger
from durability_recorder import Failure
from durability_run import DAY, NANOS, NOON, Run

from multilogger.config.policy import ExchangePolicy
from multilogger.storage.layout import NANOS_PER_DAY

EVENING: Final = (DAY + 1) * NANOS_PER_DAY - 10 * NANOS
"""Ten seconds to midnight."""
TO_SEALING: Final = 10 + 1900
"""Seconds from then to after the day is closed."""
DAY_SECS: Final = 86_400
BTC: Final = "BTC-USD"
Fail = Callable[[Failure], None]


@attrs.frozen(eq=False)
class Workload:
    """What a store is put through: small, with a few hundred calls, and without chance."""

    name: str
    body: Callable[[Run, Fail], None]
    now: int = NOON
    """When it begins, in nanoseconds since the epoch."""
    alternate: bool = False
    """Whether the journal has an alternate directory."""
    syncs_all: bool = True
    """Whether the file system's ``syncfs`` does anything."""
    policies: Mapping[str, ExchangePolicy] = {}
    prepare: Callable[[Path, Ledger], None] = lambda _root, _ledger: None
    """Makes files before the first start."""


def work(run: Run, *symbols: str, rounds: int = 1, exchange: str = COINBASE) -> None:
    """Commit trades and quotes a few times, then apply."""
    for _ in range(rounds):
        for symbol in symbols or (BTC,):
            run.wait(0.25)
            run.commit(run.trades(symbol, exchange=exchange), run.quotes(symbol, 1, exchange=exchange))
    run.apply()
