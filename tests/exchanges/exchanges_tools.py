"""Feeds frames to adapters, and reads back what they make of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.exchanges.base import Adapter, Event, Exchange
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

RECV_NS: Final = 1_795_341_602_000_000_007
SYMBOLS: Final = {"coinbase": ("BTC-USD", "ETH-USD"), "binance": ("BTCUSDT", "ETHUSDT")}
DATA: Final = Path(__file__).parents[1] / "data"

Row = dict[str, Any]


@attrs.frozen(kw_only=True)
class Case:
    """A line of ``tests/data/*_frames.jsonl``: a frame, and the row that it is."""

    exchange: str
    about: str
    frame: dict[str, Any]
    table: str
    row: Row
    options: dict[str, str] = attrs.field(factory=dict)
    """Of the exchange's configuration."""
    before: list[dict[str, Any]] = attrs.field(factory=list)
    """Frames that come first."""


def cases(exchange: str | None = None, table: str | None = None) -> list[Case]:
    """Return the cases of one exchange or all, of one table or both."""
    found = [
        Case(exchange=name, **json.loads(line))
        for name in SYMBOLS
        for line in (DATA / f"{name}_frames.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [case for case in found if exchange in (None, case.exchange) and table in (None, case.table)]


def case_name(value: object) -> str | None:
    """Name a case in the test's id."""
    return f"{value.exchange}: {value.about}" if isinstance(value, Case) else None


def text(message: object) -> bytes:
    """Return a message as the exchanges write it: without spaces."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def configured(name: str, options: Mapping[str, str] | None = None) -> Exchange:
    """Return a built-in exchange that can parse, but not connect."""
    kind = BUILT_IN[name]
    return kind(kind.config_type(**(options or {})))  # type: ignore[arg-type] # the options of the exchange


class Fed:
    """An adapter with subscriptions, and all that came of the frames it was fed."""

    def __init__(
        self, name: str, options: Mapping[str, str] | None = None, symbols: Iterable[str] | None = None
    ) -> None:
        self.exchange = configured(name, options)
        self.table = SymbolTable(self.exchange.id)
        self.stats = ExchangeStats(name)
        self.buffer = RowBuffer()
        self.adapter: Adapter = self.exchange.create_adapter(self.table, self.stats)
        self.requests = self.adapter.subscribe(list(SYMBOLS[name] if symbols is None else symbols))

    def feed(self, *messages: object, recv_ns: int = RECV_NS) -> list[Event]:
        """Receive messages, encoded unless they are bytes already; return the events."""
        frames = [message if isinstance(message, bytes) else text(message) for message in messages]
        return list(self.adapter.receive(frames, recv_ns, self.buffer))

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


def after(case: Case) -> Fed:
    """Return an adapter that has received what comes before a case's frame, its rows taken away."""
    fed = Fed(case.exchange, case.options)
    fed.feed(*case.before)
    fed.take()
    return fed
