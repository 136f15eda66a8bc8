"""What the ledger says of the gaps that connections leave, in a few words each."""

from __future__ import annotations

from typing import Final

from multilogger.errors import (
    ConnectFailed,
    ConnectionLost,
    Deaf,
    FeedError,
    ProtocolViolation,
    Renewal,
    Silent,
    SubscriptionTimeout,
)

SILENT: Final = "silent"
REJECTED: Final = "rejected by the exchange"
RESUBSCRIBED: Final = "resubscribed"
RESTARTED: Final = "restarted after a failure"

_CAUSES: Final[dict[type[FeedError], str]] = {
    ConnectFailed: "no connection",
    ConnectionLost: "connection lost",
    ProtocolViolation: "protocol violation",
    SubscriptionTimeout: "no subscription",
    Silent: SILENT,
    Deaf: SILENT,
    Renewal: "renewal failed",
}


def cause_of(failure: FeedError) -> str:
    """Return the cause of a gap that begins where ``failure`` ended a connection."""
    return _CAUSES.get(type(failure), "connection failed")
