"""Whom the tests are about: every exchange, each of its cases, each of its words.

The exchanges of multilogger itself, and the one that ``docs/adding-an-exchange.md`` walks through. Somebody
else's is put in their place by the environment variable ``MULTILOGGER_SUBJECT``: the directory of a package
laid out as that page says.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from contract_page import ROOT, documented_package
from contract_subject import Subject, package_subject

from multilogger.exchanges.catalog import BUILT_IN
from multilogger.simulator.venues import VENUES

VARIABLE: Final = "MULTILOGGER_SUBJECT"


@cache
def subjects() -> list[Subject]:
    """Return all that is held to the contract."""
    if directory := os.environ.get(VARIABLE):
        return [package_subject(Path(directory).resolve())]
    built_in = [Subject(kind, VENUES.get(name), ROOT) for name, kind in BUILT_IN.items()]
    return [*built_in, package_subject(documented_package())]


# By the scope the tests of a module are grouped by exchange: what costs much is worked out once for each.
by_exchange: Final = pytest.mark.parametrize("subject", subjects(), ids=str, scope="module")
by_case: Final = pytest.mark.parametrize(
    ("subject", "case"),
    [pytest.param(subject, case, id=str(case)) for subject in subjects() for case in subject.cases],
)
by_words: Final = pytest.mark.parametrize(
    ("subject", "words"),
    [pytest.param(subject, words, id=str(words)) for subject in subjects() for words in subject.all_words],
)
