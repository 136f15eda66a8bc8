"""What becomes of a case's frame if one of its fields is spoiled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import attrs
from contract_cases import Case
from contract_feeding import RECV_NS, Fed, Row, text
from contract_paths import Path, paths, replaced, without
from contract_subject import Subject

from multilogger.errors import FrameError

GONE: Final = "left out"
"""A field that is not there."""
SPOILT: Final[tuple[Any, ...]] = (
    *(None, True, "", " ", "x", "nan", "inf", "-inf", "-1", "0", "1e15", "1e999", "1_000"),
    *(0, -1, 1.5, 2**63, 10**30, [], {}, [1], {"amount": 1}),
    *("yesterday", "1970-01-01T00:00:00.000000Z", "2026-02-30T10:00:00Z", "2026-11-22T10:00:00+01:00"),
)
"""What may stand in a field."""


@attrs.frozen(eq=False)
class Trial:
    """A spoilt frame, and what came of it."""

    case: Case
    path: Path
    value: Any
    """What stood there; :data:`GONE` if nothing did."""
    frame: bytes
    rows: dict[str, list[Row]]
    reasons: dict[str, int]
    """Refusals by reason."""
    ignored: dict[str, int]
    events: list[Any]
    records: int
    """How many the public parser gave."""
    parsed: str | None
    """The reason for which it refused the frame."""
    fed: Fed
    """The adapter, which is to go on."""

    @property
    def count(self) -> int:
        """Its rows."""
        return sum(map(len, self.rows.values()))

    @property
    def said(self) -> list[object]:
        """The frames whose values its rows may have."""
        return [*self.case.before, self.frame]

    def __str__(self) -> str:
        return f"{self.case}: {'.'.join(map(str, self.path))} = {self.value!r}"


def try_frame(subject: Subject, case: Case, frame: bytes, path: Path = (), value: Any = GONE) -> Trial:
    """Return what becomes of a frame in a case's place."""
    fed = subject.after(case)
    known_refusals, known_ignored = fed.refused, fed.ignored
    events = fed.feed(frame)
    parse = fed.exchange.parse_trade_data if case.table == "TRADES" else fed.exchange.parse_market_data
    records, parsed = 0, None
    try:
        records = len(parse(frame, RECV_NS))
    except FrameError as error:
        parsed = error.reason
    return Trial(
        case,
        path,
        value,
        frame,
        fed.take(),
        _new(fed.refused, known_refusals),
        _new(fed.ignored, known_ignored),
        events,
        records,
        parsed,
        fed,
    )


def trials(subject: Subject, case: Case) -> Iterator[Trial]:
    """Give what becomes of a case's frame with each of its fields left out, or with any odd value there."""
    yield from left_out(subject, case)
    for path in paths(case.frame):
        for value in SPOILT:
            frame = json.dumps(replaced(case.frame, path, value), separators=(",", ":")).encode()
            yield try_frame(subject, case, frame, path, value)


def left_out(subject: Subject, case: Case) -> Iterator[Trial]:
    """Give what becomes of a case's frame with each of its fields left out."""
    for path in paths(case.frame):
        yield try_frame(subject, case, text(without(case.frame, path)), path)


@lru_cache(maxsize=1)
def all_trials(subject: Subject) -> list[Trial]:
    """Return the trials of all cases of an exchange; some hundred megabytes of them."""
    return [trial for case in subject.cases for trial in trials(subject, case)]


def _new(counts: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {name: count for name, number in counts.items() if (count := number - before.get(name, 0))}
