"""Instrument histories for the tests of the reader."""

from __future__ import annotations

from pathlib import Path

from multilogger.storage.layout import Paths
from multilogger.symbols.changes import apply_changes, changes_between
from multilogger.symbols.history import encode_listing
from multilogger.symbols.instruments import SymbolInfo


def record(data: Path, exchange: str, listings: dict[int, list[SymbolInfo]]) -> None:
    """Write a history."""
    path = Paths(data).instrument_history(exchange)
    path.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, SymbolInfo] = {}
    after_ns = 0
    with path.open("wb") as file:
        for at_ns, listing in listings.items():
            changes = changes_between(state, listing, at_ns=at_ns, after_ns=after_ns)
            file.write(encode_listing(changes, len(listing)))
            apply_changes(state, changes)
            after_ns = at_ns
