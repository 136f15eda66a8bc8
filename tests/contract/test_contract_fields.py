"""Every field of every frame, left out or with an odd value: refused for a reason, and never made up."""

from __future__ import annotations

import re

from contract_cases import Case
from contract_feeding import Row
from contract_marks import by_exchange
from contract_page import SHARED, code_in
from contract_subject import Subject
from contract_trials import GONE, all_trials
from contract_values import check_not_invented, said

MOST_REASONS = 12
"""Reasons are labels of a metric: few, and always the same."""


@by_exchange
def test_no_value_is_made_up(subject: Subject) -> None:
    """A row of a spoilt frame holds what that frame says, or there is none."""
    usual = _all_rows(subject)
    for trial in all_trials(subject):
        assert trial.events == [], str(trial)
        if trial.rows[trial.case.table] != usual[trial.case]:
            md_has_time = trial.fed.exchange.md_has_time
            check_not_invented(trial.rows, said(trial.said), md_has_time=md_has_time)


def _all_rows(subject: Subject) -> dict[Case, list[Row]]:
    """Return the rows of the good frames."""
    rows = {}
    for case in subject.cases:
        fed = subject.after(case)
        fed.feed(case.payload)
        rows[case] = fed.take()[case.table]
    return rows


@by_exchange
def test_nothing_vanishes_without_a_word(subject: Subject) -> None:
    """A spoilt frame is a row all the same, or it is counted as refused or ignored, once for each row."""
    for trial in all_trials(subject):
        counted = trial.count + sum(trial.reasons.values()) + sum(trial.ignored.values())
        if trial.value == [] or (trial.value == GONE and isinstance(trial.path[-1], int)):
            continue  # A list of no trades is one of no trades.
        assert counted >= 1, str(trial)
        assert counted <= len(trial.case.expected), str(trial)


@by_exchange
def test_the_stream_goes_on(subject: Subject) -> None:
    """The good frame after a spoilt one gives its rows; only whether they are the first ones may differ.

    Where the spoilt one was a row all the same, the good one may tell nothing new.
    """
    usual = _all_rows(subject)
    for trial in all_trials(subject):
        trial.fed.feed(trial.case.payload)
        rows = trial.fed.take()[trial.case.table]
        if rows or not trial.count:
            assert list(map(_unflagged, rows)) == list(map(_unflagged, usual[trial.case])), str(trial)


def _unflagged(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "flags"}


@by_exchange
def test_the_parsers_refuse_what_the_adapter_refuses(subject: Subject) -> None:
    """Of a frame that is one row the public parser says the same: it is refused for the same reason.

    What is no trade or ticker for the parser may be a bad frame all the same.
    """
    for trial in all_trials(subject):
        if len(trial.case.expected) == 1:
            reason = next(iter(trial.reasons), None)
            if reason is not None:
                assert trial.records == 0, str(trial)
                assert trial.parsed in (None, reason), str(trial)


@by_exchange
def test_reasons_are_few(subject: Subject) -> None:
    """Refusals have few reasons, which do not repeat what the frame says."""
    reasons = {reason for trial in all_trials(subject) for reason in trial.reasons}
    assert 0 < len(reasons) <= MOST_REASONS
    assert {reason for reason in reasons if not re.fullmatch(r"[a-z][a-z ]{2,30}", reason)} == set()


@by_exchange
def test_page_names_every_reason_and_kind(subject: Subject) -> None:
    """Each reason for a refusal, and each kind that the adapter itself calls something, is documented."""
    reasons = {reason for trial in all_trials(subject) for reason in trial.reasons}
    reasons |= {it.refused for it in subject.all_words if it.refused is not None}
    kinds = {it.ignored for it in subject.all_words if it.ignored is not None}
    kinds |= {kind for trial in all_trials(subject) for kind in trial.ignored if " " in kind.strip()}
    own = {kind for kind in kinds if not any(kind in it.payload.decode() for it in subject.all_words)}
    assert (reasons | own) - code_in(subject.own_page, SHARED) == set()


@by_exchange
def test_samples_are_short(subject: Subject) -> None:
    """Of a refused frame only the beginning is kept, of each reason the newest."""
    fed = subject.fed(subject.cases[0])
    fed.feed(b"{", b"[" + b'"long",' * 100 + b"0]")
    assert len(fed.stats.refused_samples["not an object"]) == 200
    fed.feed(b"{{")
    assert fed.stats.refused_samples["malformed json"] == "{{"
