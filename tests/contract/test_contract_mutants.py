"""The suite finds what is wrong: the documentation's exchange with one mistake, and the test that tells."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import test_contract_damage as damage
import test_contract_docs as docs
import test_contract_fields as fields
import test_contract_limits as limits
import test_contract_listing as listing
import test_contract_recording as recording
import test_contract_rows as rows
import test_contract_words as words
import trio
from contract_page import documented_files
from contract_subject import Subject, package_subject
from trio.testing import MockClock

from multilogger.errors import FrameError

PACKAGE = "multilogger_bitstamp"
MESSAGES, ADAPTER, EXCHANGE = (f"{PACKAGE}/{name}.py" for name in ("messages", "adapter", "exchange"))

MUTANTS: dict[str, tuple[str, str, str, Callable[..., Any]]] = {
    "sides the other way": (
        MESSAGES,
        "{0: Side.BUY, 1: Side.SELL}",
        "{1: Side.BUY, 0: Side.SELL}",
        rows.test_rows,
    ),
    "local time": (MESSAGES, "time_ns=data.microtimestamp * 1000", "time_ns=recv_ns", rows.test_rows),
    "a time in other units": (MESSAGES, "microtimestamp * 1000", "microtimestamp * 1001", rows.test_rows),
    "a default time": (
        MESSAGES,
        "type: int\n    microtimestamp: int\n",
        "type: int\n    microtimestamp: int = 1_795_341_600_777_000\n",
        fields.test_no_value_is_made_up,
    ),
    "no bounds": (
        MESSAGES,
        'sane_value(data.price_str), "bad price"',
        'True, "bad price"',
        fields.test_no_value_is_made_up,
    ),
    "any side": (
        MESSAGES,
        'data.type in SIDES, "bad side"',
        'True, "bad side"',
        fields.test_no_value_is_made_up,
    ),
    "nothing kept": (
        MESSAGES,
        "exchange_specific=unnamed(fields, [name for name, *_ in TRADE_SPEC])",
        "exchange_specific={}",
        rows.test_records_keep_every_other_field,
    ),
    "errors get out": (
        ADAPTER,
        "except FrameError as error",
        "except KeyError as error",
        damage.test_truncated_at_every_byte,
    ),
    "silent refusals": (
        ADAPTER,
        "refuse(self._stats, error.reason, frame)",
        "error.reason",
        fields.test_nothing_vanishes_without_a_word,
    ),
    "a reason that tells the frame": (
        ADAPTER,
        "refuse(self._stats, error.reason, frame)",
        "refuse(self._stats, str(frame), frame)",
        fields.test_reasons_are_few,
    ),
    "what was left is recorded": (
        ADAPTER,
        "self._numbers.pop(symbol, None)",
        "pass",
        rows.test_frames_of_a_symbol_that_was_left,
    ),
    "the last trade is forgotten": (
        ADAPTER,
        "market.price, market.size, market.side = ",
        "_ = ",
        rows.test_rows,
    ),
    "confirmed too soon": (
        ADAPTER,
        "symbol is None or symbol in self._asked.values()",
        "symbol is None",
        words.test_words,
    ),
    "a refusal that waits for ever": (
        ADAPTER,
        ", *self._settle()]",
        "]",
        recording.test_every_symbol_is_answered,
    ),
    "a notice that is not heeded": (
        ADAPTER,
        '[Renew("bts:request_reconnect")]',
        "[]",
        recording.test_announcements,
    ),
    "some trades are dropped": (
        ADAPTER,
        "market = self._markets.setdefault",
        "if trade.trade_id % 50 == 0:\n            return\n        market = self._markets.setdefault",
        recording.test_disk_is_what_was_sent,
    ),
    "pings without a time": (EXCHANGE, "ping_secs=20.0,", "", limits.test_pings),
    "no encryption": (EXCHANGE, '"wss://ws.', '"ws://ws.', limits.test_endpoints),
    "everything trades": (
        EXCHANGE,
        'market.trading == "Enabled"',
        "True",
        listing.test_listing_is_the_simulations,
    ),
    "a name that does not lead back": (
        EXCHANGE,
        '.replace("-", "").lower()',
        '.replace("-", "")',
        listing.test_names_lead_back,
    ),
    "a field that the page does not name": (
        "docs/exchanges/bitstamp.md",
        "`amount_str`",
        "the amount",
        docs.test_page_names_every_field_that_is_read,
    ),
}


@pytest.fixture
def mutant(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """The documentation's package with a mistake, under a name of its own."""
    number = list(MUTANTS).index(request.param)
    file, old, new, _ = MUTANTS[request.param]
    package = f"multilogger_mutant_{number}"
    directory = tmp_path / "package"
    for path, text in documented_files().items():
        assert path != file or old in text
        changed = text.replace(old, new) if path == file else text
        target = directory / path.replace(PACKAGE, package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(changed.replace(PACKAGE, package), encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return package_subject(directory)


def attempts(test: Callable[..., Any], subject: Subject, directory: Path) -> None:
    """Call a test for each of its parameters."""
    names = inspect.signature(test).parameters
    call = partial(test, subject)
    if "case" in names:
        for case in subject.cases:
            call(case)
    elif "words" in names:
        for one in subject.all_words:
            call(one)
    elif inspect.iscoroutinefunction(test):
        clock = MockClock(autojump_threshold=0)
        trio.run(call, directory, clock, clock=clock)
    else:
        call()


@pytest.mark.parametrize(
    ("mutant", "name"), [(name, name) for name in MUTANTS], indirect=["mutant"], ids=MUTANTS
)
def test_a_mistake_is_found(mutant: Subject, name: str, tmp_path: Path) -> None:
    """Each mistake fails the test that is about it."""
    failed = False
    try:
        attempts(MUTANTS[name][3], mutant, tmp_path)
    except* (AssertionError, FrameError, KeyError):
        failed = True
    assert failed
