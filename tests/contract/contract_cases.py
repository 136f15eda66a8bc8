"""The fixtures of an exchange: frames that are rows, and frames that are none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from contract_feeding import Row, text

TABLES: Final = ("MD", "TRADES")


@attrs.frozen(kw_only=True, eq=False)
class Fixture:
    """A line of a file of fixtures."""

    exchange: str
    about: str
    frame: Any = None
    """The message, written as JSON without spaces."""
    text: str | None = None
    """The message as it is, where it is no JSON."""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """Of the exchange's configuration."""
    before: list[Any] = attrs.field(factory=list)
    """Frames that come first."""
    symbols: list[str] = attrs.field(factory=list)
    """What is subscribed before."""

    @property
    def payload(self) -> bytes:
        """The frame, encoded."""
        return text(self.frame if self.text is None else self.text)

    def __str__(self) -> str:
        return f"{self.exchange}: {self.about}"


@attrs.frozen(kw_only=True, eq=False)
class Case(Fixture):
    """A line of ``NAME_frames.jsonl``: a frame, and the row or rows that it is."""

    table: str
    row: Row | None = None
    rows: list[Row] = attrs.field(factory=list)
    """Where the frame is several."""

    @property
    def expected(self) -> list[Row]:
        """All its rows."""
        return self.rows if self.row is None else [self.row]


@attrs.frozen(kw_only=True, eq=False)
class Words(Fixture):
    """A line of ``NAME_words.jsonl``: a frame that is no row, and what it says."""

    events: list[dict[str, Any]] = attrs.field(factory=list)
    """``{"confirmed": [..]}``, ``{"rejected": [..]}``, ``{"send": true}``, ``{"renew": true}``, in order."""
    ignored: str | None = None
    """The kind under which it is counted as ignored."""
    refused: str | None = None
    """The reason for which it is refused."""

    @property
    def kinds(self) -> set[str]:
        """What it is a fixture of: its events, ``ignored``, ``refused``, or a ``sign of life`` alone."""
        kinds = {kind for event in self.events for kind in event}
        kinds |= {kind for kind in ("ignored", "refused") if getattr(self, kind) is not None}
        return kinds or {"sign of life"}


def read_cases(path: Path, exchange: str) -> list[Case]:
    """Return the cases of a file; none where there is no file."""
    return [Case(exchange=exchange, **line) for line in _lines(path)]


def read_words(path: Path, exchange: str) -> list[Words]:
    """Return the words of a file; none where there is no file."""
    return [Words(exchange=exchange, **line) for line in _lines(path)]


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
