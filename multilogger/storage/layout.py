"""Where things are below the data path.

::

    {data}/{exchange}/{symbol}/{table}/{column}.{DD}.{MM}.{YY}.bin
    {data}/{exchange}/{symbol}/{table}/manifest.{DD}.{MM}.{YY}.json
    {data}/.multilogger/lock
    {data}/.multilogger/checkpoint, checkpoint.previous
    {data}/.multilogger/journal/{number}.wal, {number}.free
    {data}/.multilogger/late/{exchange}/{symbol}/{table}/{column}.{DD}.{MM}.{YY}.{generation}.bin
    {data}/.multilogger/notes.log, catalog.db
    {data}/.multilogger/instruments/{exchange}.jsonl
    {data}/.multilogger/quarantine/, quarantine/rows/{exchange}/{symbol}/{table}/{field}.{DD}.{MM}.{YY}.bin
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import attrs
import xxhash

NANOS_PER_DAY: Final = 86_400 * 1_000_000_000
_EPOCH: Final = date(1970, 1, 1)
_DAY: Final = re.compile(r"(\d\d)\.(\d\d)\.(\d\d)", re.ASCII)
_LONGEST_NAME: Final = 200
"""Bytes; file systems take 255, and the percent encoding may treble a name."""
_PLAIN: Final = re.compile(rf"[A-Za-z0-9-]{{1,{_LONGEST_NAME}}}")
"""Symbols that are their own directory's name."""


@attrs.frozen
class Paths:
    """The fixed places below one data path."""

    data: Path

    @property
    def own(self) -> Path:
        """Everything that is not columns; the dot hides it from readers that scan for exchanges."""
        return self.data / ".multilogger"

    @property
    def lock(self) -> Path:
        """Held by the one writer."""
        return self.own / "lock"

    @property
    def journal(self) -> Path:
        """The segments."""
        return self.own / "journal"

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.own / "checkpoint"

    @property
    def sync_failed(self) -> Path:
        """There while files can't be trusted because a sync of them failed; holds the id of that boot."""
        return self.own / "sync-failed"

    @property
    def quarantine(self) -> Path:
        """What had to be cut off column files, or out of the journal."""
        return self.own / "quarantine"

    @property
    def absurd(self) -> Path:
        """Rows whose event time can't be true, in files of their own."""
        return self.quarantine / "rows"

    @property
    def late(self) -> Path:
        """Rows that came too late for their column file; a seal folds them in."""
        return self.own / "late"

    @property
    def notes(self) -> Path:
        """What is known beside rows: coverage, seals, losses."""
        return self.own / "notes.log"

    @property
    def catalog(self) -> Path:
        """The notes once more, for queries."""
        return self.own / "catalog.db"

    def instrument_history(self, exchange: str) -> Path:
        """Return where it is kept what an exchange has listed over time."""
        return self.own / "instruments" / f"{exchange}.jsonl"


def day_of(time_ns: int) -> int:
    """Return the UTC day of a time in nanoseconds since the epoch, in days since the epoch."""
    return time_ns // NANOS_PER_DAY


@lru_cache(maxsize=64)
def day_suffix(day: int) -> str:
    """Return what follows a column's name in the name of its file of that day: ``.25.01.25.bin``."""
    return (_EPOCH + timedelta(days=day)).strftime(".%d.%m.%y.bin")


@lru_cache(maxsize=64)
def manifest_name(day: int) -> str:
    """Return the name of a sealed day's manifest: ``manifest.25.01.25.json``."""
    return f"manifest{day_suffix(day).removesuffix('.bin')}.json"


def parse_day(text: str) -> int | None:
    """Return the day of ``25.01.25`` in days since the epoch, None if it is none; years 2000 to 2099."""
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    try:
        return (date(2000 + int(match[3]), int(match[2]), int(match[1])) - _EPOCH).days
    except ValueError:
        return None


def symbol_directory(symbol: str, *, distinct: bool = False) -> str:
    """Return the directory name of a venue symbol.

    Letters, digits, ``-`` and ``_`` stay, ``/`` becomes ``_``, every other character its percent-encoded
    UTF-8. That holds for the dot too: a name with a dot is no symbol to the programs that scan the tree, and
    ``.`` and ``..`` can't arise.

    Args:
        symbol: in the exchange's spelling.
        distinct: percent-encode ``/`` and ``_`` too, so that no two symbols have the same name.
    """
    if _PLAIN.fullmatch(symbol):  # nearly all, and at a start there may be ten thousand
        return symbol
    encoded = "".join(_encode(char, distinct=distinct) for char in symbol) or "%"
    if len(encoded.encode()) > _LONGEST_NAME:
        kept = encoded.encode()[: _LONGEST_NAME - 17].decode(errors="ignore")
        return f"{kept}~{xxhash.xxh3_64_hexdigest(encoded.encode())}"
    return encoded


def _encode(char: str, *, distinct: bool) -> str:
    if char in "/_" and not distinct:
        return "_"
    if char.isalnum() or char == "-":
        return char
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
