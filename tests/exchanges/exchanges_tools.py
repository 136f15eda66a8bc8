"""Feeds frames to the built-in adapters by name, and reads back what they make of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

# What feeds an adapter belongs to the contract suite, which stands on its own.
sys.path.append(str(Path(__file__).parents[1] / "contract"))

from contract_cases import Case, read_cases
from contract_feeding import RECV_NS, Row, made, text
from contract_feeding import Fed as FedExchange
from contract_page import documented_files
from contract_subject import Subject

from multilogger.exchanges.base import Exchange
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.simulator.venues import VENUES

__all__ = [
    "DATA",
    "RECV_NS",
    "SYMBOLS",
    "Case",
    "Fed",
    "FedExchange",
    "Row",
    "after",
    "case_name",
    "cases",
    "configured",
    "documented_files",
    "made",
    "read_cases",
    "text",
]

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "tests" / "data"


def _symbols(subject: Subject) -> tuple[str, ...]:
    """Return what the fixtures are about, and the first two symbols of the simulation."""
    simulated = [] if subject.venue is None else [it.symbol for it in subject.venue.instruments[:2]]
    return tuple(dict.fromkeys([*subject.symbols, *simulated]))


SUBJECTS: Final = {name: Subject(kind, VENUES.get(name), ROOT) for name, kind in BUILT_IN.items()}
SYMBOLS: Final = {name: _symbols(subject) for name, subject in SUBJECTS.items()}
"""What is subscribed, unless a test says otherwise: first what the first frames are about."""


def cases(exchange: str | None = None, table: str | None = None) -> list[Case]:
    """Return the cases of one exchange or all, of one table or both."""
    found = [case for name, subject in SUBJECTS.items() if exchange in (None, name) for case in subject.cases]
    return [case for case in found if table in (None, case.table)]


def case_name(value: object) -> str | None:
    """Name a case in the test's id."""
    return str(value) if isinstance(value, Case) else None


def configured(name: str, options: Mapping[str, Any] | None = None) -> Exchange:
    """Return a built-in exchange that can parse, but not connect."""
    return made(BUILT_IN[name], options)


class Fed(FedExchange):
    """An adapter of a built-in exchange, with subscriptions."""

    def __init__(
        self, name: str, options: Mapping[str, Any] | None = None, symbols: Iterable[str] | None = None
    ) -> None:
        super().__init__(configured(name, options), SYMBOLS[name] if symbols is None else symbols)


def after(case: Case) -> Fed:
    """Return an adapter that has received what comes before a case's frame, its rows taken away."""
    fed = Fed(case.exchange, case.options)
    fed.feed(*case.before)
    fed.take()
    return fed
