"""The page of an exchange tells of everything that its adapter reads, refuses and ignores."""

from __future__ import annotations

import re
from pathlib import Path

from contract_feeding import made
from contract_marks import by_exchange
from contract_page import ROOT
from contract_paths import field_of
from contract_subject import Subject
from contract_trials import GONE, all_trials

SHARED = ROOT / "docs" / "exchanges.md"
"""Has the reasons and kinds that all exchanges have in common."""


def words(*pages: Path) -> set[str]:
    """Return what pages show as code, and the parts of it: ``a`` and ``b`` of ``a.b``."""
    shown = {code for page in pages for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))}
    return shown | {part for code in shown for part in re.split(r"[^\w:]+", code)}


def pages(subject: Subject) -> tuple[Path, Path]:
    """Return the pages that tell of an exchange."""
    assert subject.page is not None, f"no page about {subject.kind.name}"
    return subject.page, SHARED


@by_exchange
def test_page_names_the_exchange(subject: Subject) -> None:
    """Its name in the configuration and its default endpoints are there."""
    exchange = made(subject.kind)
    endpoints = {*exchange.endpoints(subject.symbols), exchange.config.rest_endpoint}
    page = subject.page
    assert page is not None
    code = set(re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))
    assert {subject.name, *endpoints} - code == set()


@by_exchange
def test_page_names_every_field_that_is_read(subject: Subject) -> None:
    """Each field without which a frame is another row, or none, is there."""
    read = set()
    for trial in all_trials(subject):
        if trial.value == GONE and not trial.count:
            read.add(field_of(trial.path))
    assert read - words(*pages(subject)) == set()


@by_exchange
def test_page_names_every_option_of_the_fixtures(subject: Subject) -> None:
    """Each option that changes rows is there."""
    options = {name for case in subject.cases for name in case.options}
    assert options - words(*pages(subject)) == set()


@by_exchange
def test_page_names_every_reason_and_kind(subject: Subject) -> None:
    """Each reason for a refusal, and each kind that the adapter itself calls something, is there."""
    reasons = {reason for trial in all_trials(subject) for reason in trial.reasons}
    reasons |= {it.refused for it in subject.all_words if it.refused is not None}
    kinds = {it.ignored for it in subject.all_words if it.ignored is not None}
    kinds |= {kind for trial in all_trials(subject) for kind in trial.ignored if " " in kind.strip()}
    own = {kind for kind in kinds if not any(kind in it.payload.decode() for it in subject.all_words)}
    assert (reasons | own) - words(*pages(subject)) == set()
