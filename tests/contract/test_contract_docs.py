"""The page of an exchange tells of what its adapter reads; the reasons stand beside the trials of them."""

from __future__ import annotations

import re

from contract_feeding import made
from contract_marks import by_exchange
from contract_page import code_in
from contract_paths import field_of
from contract_subject import Subject
from contract_trials import left_out


@by_exchange
def test_page_names_the_exchange(subject: Subject) -> None:
    """Its name in the configuration and its default endpoints are there."""
    exchange = made(subject.kind)
    endpoints = {*exchange.endpoints(subject.symbols), exchange.config.rest_endpoint}
    code = set(re.findall(r"`([^`\n]+)`", subject.own_page.read_text(encoding="utf-8")))
    assert {subject.name, *endpoints} - code == set()


@by_exchange
def test_page_names_every_field_that_is_read(subject: Subject) -> None:
    """Each field without which a frame is no row is there."""
    trials = (trial for case in subject.cases for trial in left_out(subject, case))
    read = {field_of(trial.path) for trial in trials if not trial.count}
    assert read - code_in(subject.own_page) == set()


@by_exchange
def test_page_names_every_option_of_the_fixtures(subject: Subject) -> None:
    """Each option that changes rows is there."""
    options = {name for case in subject.cases for name in case.options}
    assert options - code_in(subject.own_page) == set()
