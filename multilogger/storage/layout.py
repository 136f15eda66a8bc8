"""Where things are below the data path.

::

    {data}/{exchange}/{symbol}/{table}/{column}.{DD}.{MM}.{YY}.bin
    {data}/.multilogger/lock
    {data}/.multilogger/checkpoint, checkpoint.previous
    {data}/.multilogger/journal/{number}.wal, {number}.free
    {data}/.multilogger/quarantine/
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import attrs
import xxhash

NANOS_PER_DAY: Final = 86_400 * 1_000_000_000
_EPOCH: Final = date(1970, 1, 1)
_LONGEST_NAME: Final = 200
"""Bytes; file systems take 255, and the percent encoding may treble a name."""


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
    def quarantine(self) -> Path:
        """What had to be cut off column files."""
        return self.own / "quarantine"


def day_of(time_ns: int) -> int:
    """Return the UTC day of a time in nanoseconds since the epoch, in days since the epoch."""
    return time_ns // NANOS_PER_DAY


def day_suffix(day: int) -> str:
    """Return what follows a column's name in the name of its file of that day: ``.25.01.25.bin``."""
    return (_EPOCH + timedelta(days=day)).strftime(".%d.%m.%y.bin")


def symbol_directory(symbol: str, *, distinct: bool = False) -> str:
    """Return the directory name of a venue symbol.

    Letters, digits, ``-`` and ``_`` stay, ``/`` becomes ``_``, every other character its percent-encoded
    UTF-8. That holds for the dot too: a name with a dot is no symbol to the programs that scan the tree, and
    ``.`` and ``..`` can't arise.

    Args:
        symbol: in the exchange's spelling.
        distinct: percent-encode ``/`` and ``_`` too, so that no two symbols have the same name.
    """
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
