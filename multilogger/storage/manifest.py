"""The manifest of a sealed day: what its column files are, beyond doubt.

``manifest.{DD}.{MM}.{YY}.json`` beside the columns. Renaming it into place is what seals the day: from then
on the files it describes are the day's, even while some still have their temporary names
(``{column}.{DD}.{MM}.{YY}.bin.{generation}.tmp``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from multilogger.errors import StorageDamaged

FORMAT: Final = 1


class ColumnFile(msgspec.Struct, frozen=True, kw_only=True):
    """One column's file."""

    dtype: str
    """As NumPy spells it, ``<u4``, ``V16``."""
    bytes: int
    crc32: str
    """CRC-32 of the file, eight hexadecimal digits."""
    xxh3_128: str
    """XXH3-128 of the file, 32 hexadecimal digits."""


class JournalRows(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of the journal are in these files: what a replay must not bring again."""

    live: int
    late: int


class CoverageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What is known to be missing of the day when it was sealed."""

    gaps: int
    gap_seconds: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    format: int = FORMAT
    generation: int
    """1 when the day was sealed first; one more each time late rows were folded in."""
    exchange: str
    symbol: str
    """In the exchange's spelling."""
    table: str
    day: str
    """UTC, ``2025-01-25``."""
    rows: int
    first_time_ns: int
    last_time_ns: int
    first_trade_id: int | None = None
    """Lowest of the day; None where there are no trades."""
    last_trade_id: int | None = None
    """Highest of the day."""
    late_rows: int = 0
    """Rows that came late and were folded in, over all generations."""
    duplicates: int = 0
    """Rows left out because they were there already, over all generations."""
    lost_rows: int = 0
    """Rows that had been accepted and were lost to damage."""
    columns: dict[str, ColumnFile]
    journal: JournalRows
    coverage: CoverageSummary | None = None
    sealed: str
    """When, UTC, ISO 8601."""
    program: str
    """Name and version of what sealed it."""


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the file's content: JSON for people, too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode_manifest(data: bytes, path: Path | str) -> Manifest:
    """Return what a manifest's file says.

    Raises:
        StorageDamaged: it can't be understood; the message names ``path``.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise StorageDamaged(f"{path} is no manifest: {error}") from error
    if manifest.format != FORMAT:
        raise StorageDamaged(f"{path} has format {manifest.format}, this version knows {FORMAT}")
    return manifest


def temporary_column(path: str, generation: int) -> str:
    """Return where a sealed generation's column stands until it is renamed over ``path``."""
    return f"{path}.{generation}.tmp"
