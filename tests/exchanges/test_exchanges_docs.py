"""The documentation of the exchanges agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from exchanges_tools import configured
from test_exchanges_refusals import TABLE

from multilogger.exchanges.binance.messages import SPECS
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.exchanges.coinbase.messages import MATCH_SPEC, TICKER_SPEC

DOC = (Path(__file__).parents[2] / "docs" / "exchanges.md").read_text(encoding="utf-8")


def words() -> set[str]:
    """Return what the document shows as code."""
    return set(re.findall(r"`([^`\n]+)`", DOC))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_docs_tell_of_every_exchange(name: str) -> None:
    """Each built-in exchange has a chapter, its name and its default endpoints."""
    exchange = configured(name)
    assert f"\n## {exchange.name}\n" in DOC
    assert {name, exchange.endpoint(["X"]), exchange.config.rest_endpoint} <= words()


def test_docs_tell_of_every_field_that_is_read() -> None:
    """Each field that a row needs is in the document."""
    read = {field for spec in (MATCH_SPEC, TICKER_SPEC, *SPECS.values()) for field, _, _ in spec}
    assert read - {"product_id"} <= words()


def test_docs_tell_of_every_reason() -> None:
    """Each reason for a refusal is in the document."""
    assert {reason for *_, reason in TABLE} | {"malformed json", "not an object", "wrong type"} <= words()
