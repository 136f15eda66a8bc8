"""Every error the program expects, in one tree; the type decides what happens next.

::

    MultiloggerError
    ├── StartupError            one clear line, exit status 2, nothing touched
    │   └── ConfigError         every fault of the configuration at once
    ├── FeedError               the connection is given up and opened anew after a backoff
    │   ├── ConnectFailed       no connection, TLS or WebSocket handshake
    │   ├── ConnectionLost      the peer closed, or the network did
    │   ├── ProtocolViolation   the peer broke RFC 6455 or its own protocol
    │   ├── SubscriptionTimeout subscriptions were not confirmed in time
    │   ├── Silent              connected, but no data came for too long
    │   ├── Deaf                connected, but a symbol that trades brings nothing
    │   └── Renewal             the connection must be replaced now, as planned or as announced
    ├── RestError               a REST request failed; tried again with a backoff
    │   ├── RateLimited         the exchange wants no requests for a while
    │   └── ListingError        a listing or a page was not as documented
    ├── UnknownSymbol           a name that no listing and no mapping knows
    ├── FrameError              one frame is skipped and counted, the stream goes on
    ├── RecordingError          a file of recorded frames can't be read
    ├── ArchiveError            recorded data can't be read as asked
    └── StorageError            what was accepted can't be kept: the process ends, non-zero
        ├── StorageDamaged      the files contradict the journal or the checkpoint
        │   └── UnknownStream   a frame names a stream that no dictionary of the journal does
        ├── JournalUnavailable  no journal can be written now: rows wait in memory, tried again
        └── ColumnsUnavailable  column files can't be written now: rows wait in the journal, tried again

A bug is none of these: it propagates to the supervisor of its exchange, or ends the process.
"""

from __future__ import annotations


class MultiloggerError(Exception):
    """Root of all expected errors."""


class StartupError(MultiloggerError):
    """The program can't start as asked; the message says what is wrong, where, and what to do."""


class ConfigError(StartupError):
    """The configuration has faults; ``faults`` holds one line each, with its path."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class FeedError(MultiloggerError):
    """A connection can't go on; it is closed, and opened anew after a backoff."""


class ConnectFailed(FeedError):
    """The TCP connection, the TLS or the WebSocket handshake failed."""


class ConnectionLost(FeedError):
    """The peer or the network ended an open connection."""


class ProtocolViolation(FeedError):
    """The peer sent what its protocol forbids, such as an oversized or malformed frame."""


class SubscriptionTimeout(FeedError):
    """The exchange did not confirm a subscription before the deadline."""


class Silent(FeedError):
    """The connection stands, but no data has come for longer than the exchange is ever quiet."""


class Deaf(FeedError):
    """The connection brings data, but none of a symbol that is known to trade."""


class Renewal(FeedError):
    """The connection has to be replaced: its planned life is over, or the exchange announced a cut."""


class RestError(MultiloggerError):
    """A REST request failed: no answer, or another status than 200."""


class RateLimited(RestError):
    """The exchange wants no requests for ``retry_after_secs``; those to its host are held back so long."""

    def __init__(self, words: str, retry_after_secs: float) -> None:
        self.retry_after_secs = retry_after_secs
        super().__init__(words)


class ListingError(RestError):
    """A symbol listing, or a page of trades, could not be fetched or understood."""


class UnknownSymbol(MultiloggerError):
    """No listing and no mapping knows a name."""


class FrameError(MultiloggerError):
    """A frame can't be understood; ``reason`` is a short, countable word."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RecordingError(MultiloggerError):
    """A file of recorded frames can't be read; the message names the file and the line."""


class ArchiveError(MultiloggerError):
    """Recorded data can't be read as asked; the message says what was looked for, and where."""


class StorageError(MultiloggerError):
    """Accepted rows can't be made durable."""


class JournalUnavailable(StorageError):
    """No journal directory takes frames at present; the rows can be offered again."""


class ColumnsUnavailable(StorageError):
    """The column files or the checkpoint can't be written at present; the journal has the rows."""


class StorageDamaged(StorageError):
    """The files on disk contradict the journal or the checkpoint; the message names file and position."""


class UnknownStream(StorageDamaged):
    """A journal frame holds rows of a stream that no dictionary before it names."""
