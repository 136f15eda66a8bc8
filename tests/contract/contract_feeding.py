"""Feeds frames to an adapter, and reads back what it makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.exchanges.base import Adapter, Event, Exchange
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

RECV_NS: Final = 1_795_341_602_000_000_007
"""When all frames are received, unless told otherwise."""

Row = dict[str, Any]


def text(message: object) -> bytes:
    """Return a message as the exchanges write it: bare text as it is, all else as JSON without spaces."""
    if isinstance(message, bytes | str):
        return message.encode() if isinstance(message, str) else message
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def made(kind: type[Exchange], options: Mapping[str, Any] | None = None) -> Exchange:
    """Return an exchange that can parse, but not connect.

    Args:
        kind: which.
        options: of its configuration, as in a file.
    """
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in (options or {}).items()
    }
    return kind(kind.config_type(**values))  # type: ignore[arg-type] # the options of the exchange


class Fed:
    """An adapter with subscriptions, and all that came of the frames it was fed.

    Args:
        exchange: makes the adapter.
        symbols: what is subscribed.
    """

    def __init__(self, exchange: Exchange, symbols: Iterable[str]) -> None:
        self.exchange = exchange
        self.table = SymbolTable(exchange.id)
        self.stats = ExchangeStats(exchange.id)
        self.buffer = RowBuffer()
        self.adapter: Adapter = exchange.create_adapter(self.table, self.stats)
        self.requests = self.adapter.subscribe(list(symbols))

    def feed(self, *messages: object, recv_ns: int = RECV_NS) -> list[Event]:
        """Receive messages, see :func:`text`; return the events."""
        return list(self.adapter.receive([text(message) for message in messages], recv_ns, self.buffer))

    def take(self) -> dict[str, list[Row]]:
        """Return the rows since the last call by table, with venue symbols and order ids in hex."""
        taken = self.buffer.take()
        return {table.name: self._rows(taken.get(table.number, ())) for table in (MD, TRADES)}

    def _rows(self, array: Iterable[Any]) -> list[Row]:
        rows = []
        for record in array:
            row = {name: record[name] for name in record.dtype.names if name != "pad"}
            row = {name: v.tobytes().hex() if v.dtype.kind == "V" else v.item() for name, v in row.items()}
            rows.append({**row, "symbol": self.table.names[row["symbol"]]})
        return rows

    @property
    def refused(self) -> dict[str, int]:
        """Refusals by reason."""
        return dict(self.stats.refused)

    @property
    def ignored(self) -> dict[str, int]:
        """What was ignored, by kind."""
        return dict(self.stats.ignored)

    @property
    def counted(self) -> int:
        """All refusals, and all that was ignored."""
        return sum(self.stats.refused.values()) + sum(self.stats.ignored.values())
