"""What frames say, by Python's own parsers: no row may hold anything else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import attrs
from contract_feeding import RECV_NS, Row, text

_SCALES: Final = (1, 10**3, 10**6, 10**9)
"""Times are told in nanoseconds, microseconds, milliseconds or seconds."""
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_VALUES: Final = ("price", "volume", "size", "best_bid", "best_ask")
_ABSURD: Final = 1e15


@attrs.define
class Said:
    """All that some frames say."""

    numbers: set[float] = attrs.field(factory=set)
    ids: set[int] = attrs.field(factory=set)
    times: set[int] = attrs.field(factory=set)

    def add(self, frame: bytes) -> None:
        """Take note of a frame; damaged bytes are read as leniently as can be."""
        try:
            # What no field needs a decoder skips without a look at its characters.
            message = json.loads(
                frame.decode(errors="replace"),
                strict=False,
                parse_float=Decimal,
                object_pairs_hook=_values,
            )
        except (ValueError, RecursionError):
            return
        for leaf in _leaves(message):
            self._note(leaf)

    def _note(self, leaf: str | int | Decimal) -> None:
        if isinstance(leaf, str):
            if found := _ISO.fullmatch(leaf):
                self.times.add(_iso_ns(found[1], found[2] or ""))
            if _UUID.fullmatch(leaf):
                self.ids.add(int(leaf.replace("-", "")[:16], 16))
        try:
            number = Decimal(leaf)
        except InvalidOperation:
            return
        if number.is_finite() and abs(number.adjusted()) < 400:
            self.numbers.add(float(number))
            self.times.update(int(number * scale) for scale in _SCALES)
            if number == number.to_integral_value():
                self.ids.add(int(number))


def said(frames: Iterable[object]) -> Said:
    """Return what frames say, encoded or not."""
    everything = Said()
    for frame in frames:
        everything.add(text(frame))
    return everything


def check_not_invented(rows: dict[str, list[Row]], known: Said, *, md_has_time: bool) -> None:
    """Check that rows hold only sane values, and only those of some frames.

    Args:
        rows: by table.
        known: what the frames of these rows said, and those before them.
        md_has_time: whether tickers have a time of the exchange's.
    """
    for table, some in rows.items():
        for row in some:
            for name in _VALUES:
                if name in row:
                    assert row[name] in known.numbers, (name, row[name])
                    assert math.isfinite(row[name])
                    assert 0 < row[name] < _ABSURD
            assert row.get("trade_id", 0) in known.ids | {0}, row["trade_id"]
            assert row["side"] in (0, 1)
            own = set() if table == "TRADES" or md_has_time else {RECV_NS}
            assert row["time_ns"] in known.times | own, row["time_ns"]


def _values(pairs: list[tuple[str, Any]]) -> list[Any]:
    return [value for _, value in pairs]


def _leaves(value: Any) -> Iterator[str | int | Decimal]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        yield value


def _iso_ns(whole: str, fraction: str) -> int:
    try:
        seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0
    return seconds * 10**9 + int(fraction.ljust(9, "0"))
