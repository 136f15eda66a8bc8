"""What an exchange still lacks, in words: a fixture of some kind, mapping rows, its page, its venue."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from contract_cases import Case, Words
from contract_feeding import Fed, made
from contract_subject import VENUE_GROUP, Subject

from multilogger.errors import ConfigError
from multilogger.records import Side


def _has_side(case: Case, side: Side) -> bool:
    return any(row.get("side") == side for row in case.expected)


def _is_among_several(words: Words) -> bool:
    rejected = [symbol for event in words.events for symbol in event.get("rejected", ())]
    refusing = "rejected" in words.kinds or "send" in words.kinds
    return refusing and len(words.symbols) > 1 and len(rejected) < len(words.symbols)


FRAMES: Final[dict[str, Callable[[Case], bool]]] = {
    "a buyer's trade": lambda case: case.table == "TRADES" and _has_side(case, Side.BUY),
    "a seller's trade": lambda case: case.table == "TRADES" and _has_side(case, Side.SELL),
    "a ticker after a buy": lambda case: case.table == "MD" and _has_side(case, Side.BUY),
    "a ticker after a sale": lambda case: case.table == "MD" and _has_side(case, Side.SELL),
}
"""What the frames that are rows have to show."""
WORDS: Final[dict[str, Callable[[Words], bool]]] = {
    "a confirmed subscription": lambda words: "confirmed" in words.kinds,
    "a refused subscription": lambda words: "rejected" in words.kinds,
    "a refusal while several symbols are asked for": _is_among_several,
    "a message of an unknown kind": lambda words: words.ignored is not None,
    "a refused frame": lambda words: words.refused is not None,
}
"""What the others have to show."""
_PONG: Final = re.compile(rb"pong|\bping\b|heartbeat", re.IGNORECASE)
"""How exchanges call what answers a ping; where the answer has no name, the fixture says what it is."""


def missing(subject: Subject) -> list[str]:
    """Return what an exchange lacks, a line each that begins with its name."""
    found = [*_missing_frames(subject), *_missing_words(subject), *_missing_parts(subject)]
    return [f"{subject.name}: {what}" for what in found]


def _missing_frames(subject: Subject) -> Iterator[str]:
    where = _shown(subject, subject.frames)
    for what, shows in FRAMES.items():
        if not any(map(shows, subject.cases)):
            yield f"no fixture with {what} in {where}"


def _missing_words(subject: Subject) -> Iterator[str]:
    where = _shown(subject, subject.words)
    for what, shows in WORDS.items():
        if not any(map(shows, subject.all_words)):
            yield f"no fixture with {what} in {where}"
    adapter = Fed(made(subject.kind), ()).adapter
    if adapter.ping() is not None and not any(map(_is_pong, subject.all_words)):
        yield f"no fixture with an answer to a ping in {where}"


def _missing_parts(subject: Subject) -> Iterator[str]:
    name = subject.name
    if subject.page is None:
        yield f"no docs page docs/exchanges/{name}.md with “{subject.kind.name}” in a heading"
    if subject.venue is None:
        yield f"no venue in simulator.venues.VENUES, nor by an entry point in {VENUE_GROUP}"
    elif subject.venue.name != name:
        yield f"its venue is called {subject.venue.name}"
    where = _shown(subject, subject.mappings)
    try:
        entries = subject.mapped.entries
    except ConfigError as error:
        yield f"no mapping rows: {error}"
        return
    if not any(exchange == name for entry in entries for exchange, _ in entry.symbols()):
        yield f"no mapping row in {where}"


def _is_pong(words: Words) -> bool:
    told = words.payload + words.about.encode()
    return words.kinds == {"sign of life"} and _PONG.search(told) is not None


def _shown(subject: Subject, path: Path) -> str:
    return str(path.relative_to(subject.root))
