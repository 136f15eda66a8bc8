"""The instrument history's file: what is written is read, and damage costs what it hit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symbols_listings import BTC, ETH, FUTURE, NEW, OLD, PERPETUAL, any_listing, by_symbol
from symbols_samples import listed, mapper_of

from multilogger.errors import UnknownSymbol
from multilogger.symbols.changes import apply_changes, changes_between
from multilogger.symbols.history import InstrumentHistory, decode_history, encode_listing, unreadable_words
from multilogger.symbols.instruments import OptionKind, SymbolInfo

OPTION = attrs.evolve(FUTURE, symbol="BTC-USDT-261225-50000-C", strike=50000.0, option=OptionKind.CALL)
RENAMED = attrs.evolve(NEW, venue_id="7")
LISTINGS = [
    [BTC, attrs.evolve(OLD, venue_id="7")],
    [BTC, attrs.evolve(OLD, venue_id="7"), ETH, PERPETUAL, FUTURE],
    [attrs.evolve(BTC, tick_size=0.1, status="live", active=False), ETH, FUTURE, RENAMED],
    [attrs.evolve(BTC, tick_size=None), OPTION, RENAMED],
]


def written(listings: list[list[SymbolInfo]]) -> bytes:
    """Return the file after listings of 100, 200 and so on."""
    state: dict[str, SymbolInfo] = {}
    data = b""
    for number, listing in enumerate(listings, 1):
        changes = changes_between(state, listing, at_ns=number * 100, after_ns=(number - 1) * 100)
        if changes:
            data += encode_listing(changes, len(listing))
        apply_changes(state, changes)
    return data


def read(data: bytes) -> InstrumentHistory:
    """Return the history of an exchange."""
    return decode_history("okx", data)


def test_any_time_has_its_listing() -> None:
    """From one listing to the next the state is the earlier one; before the first there is none."""
    history = read(written(LISTINGS))
    assert history.unreadable == ()
    assert (history.first_ns, history.last_ns) == (100, 400)
    assert history.at(99) == {}
    for number, listing in enumerate(LISTINGS, 1):
        assert history.at(number * 100) == history.at(number * 100 + 99) == by_symbol(listing)
    assert history.at() == by_symbol(LISTINGS[-1])


def test_the_lines_are_plain() -> None:
    """Anybody can read them: what is usual is left out, a change says what was and is."""
    lines = [json.loads(line) for line in written(LISTINGS).splitlines()]
    assert lines[0] == {
        "at_ns": 100,
        "after_ns": 0,
        "kind": "found",
        "symbol": "BTC-USDT",
        "instrument": {"normalized": "BTC-USDT", "base": "BTC", "quote": "USDT", "quote_type": "stablecoin"},
    }
    assert lines[2] == {
        "at_ns": 100,
        "after_ns": 0,
        "kind": "listing",
        "instruments": 2,
        "changes": 2,
        "version": 1,
    }
    changed, renamed = (
        next(line for line in lines if line["kind"] == kind) for kind in ("changed", "renamed")
    )
    assert changed == {
        "at_ns": 300,
        "after_ns": 200,
        "kind": "changed",
        "symbol": "BTC-USDT",
        "was": {"active": True, "status": "", "tick_size": None},
        "is": {"active": False, "status": "live", "tick_size": 0.1},
    }
    assert (renamed["former"], renamed["symbol"]) == ("OLD-USDT", "NEW-USDT")
    assert renamed["is"] == {"normalized": "NEW-USDT", "base": "NEW"}
    assert {line["kind"] for line in lines} == {
        *("found", "listed", "changed", "renamed", "delisted", "unseen", "listing")
    }


def test_the_example_of_the_documentation() -> None:
    """The lines shown are a history, and would be written so."""
    text = (Path(__file__).parents[2] / "docs/symbols.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    history = decode_history("coinbase", shown.encode())
    assert (history.unreadable, history.lines) == ((), 4)
    found, changed = history.changes
    assert encode_listing([found], 1) + encode_listing([changed], 1) == shown.encode()
    assert changed.fields == {"tick_size": (0.01, 0.1)}


def test_one_symbol_through_its_names() -> None:
    """A rename is followed in both directions."""
    history = read(written(LISTINGS))
    kinds = ["found", "renamed"]
    for name in ("OLD-USDT", "NEW-USDT"):
        assert [it.kind.value for it in history.of(name)] == kinds
    assert [it.kind.value for it in history.of("ETH-USDT")] == ["listed", "delisted"]
    assert history.of("NOTHING") == []


def test_cut_anywhere_it_is_a_whole_number_of_listings() -> None:
    """Cut at every byte: what is there is what the last whole listing left, and how long that is."""
    data = written(LISTINGS)
    ends, at = [0], 0
    for line in data.splitlines(keepends=True):
        at += len(line)
        if b'"kind":"listing"' in line:
            ends.append(at)
    for length in range(len(data) + 1):
        history = read(data[:length])
        whole = sum(end <= length for end in ends) - 1
        assert history.length == ends[whole]
        assert history.unreadable == ()
        assert history.at() == by_symbol(LISTINGS[whole - 1] if whole else [])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (b"\0\0\0\0\n", "JSON is malformed: invalid character"),
        (b"\r\n", "Input data was truncated"),
        (b'{"at_ns":1}\n', "missing required field `after_ns`"),
        (b'{"at_ns":200,"after_ns":100,"kind":"merged","symbol":"BTC-USDT"}\n', "'merged' is not a valid"),
        (b'{"at_ns":200,"after_ns":100,"kind":"delisted","symbol":"XYZ"}\n', "nothing is known of XYZ"),
        (b'{"at_ns":200,"after_ns":100,"kind":"listed","symbol":"X","instrument":{}}\n', "missing required"),
        (b'{"at_ns":200,"after_ns":100,"kind":"changed","symbol":"BTC-USDT","is":{"base":1}}\n', "`str`"),
        (b"\xff\xfe\n", "invalid"),
    ],
)
def test_an_unreadable_line_is_named_and_passed_over(damage: bytes, why: str) -> None:
    """What follows it counts; after a later listing nothing of it is left."""
    first, rest = written(LISTINGS[:1]), written(LISTINGS)[len(written(LISTINGS[:1])) :]
    history = read(first + damage + rest)
    assert [line.number for line in history.unreadable] == [4]
    assert why.lower() in history.unreadable[0].why.lower()
    assert history.at() == by_symbol(LISTINGS[-1])
    assert history.length == len(first + damage + rest)
    assert list(unreadable_words(history)) == [f"line 4: {history.unreadable[0].why}"]


def test_a_lost_record_costs_its_instrument() -> None:
    """Nothing is made up of what changed later of an instrument that was lost."""
    lines = written(LISTINGS).splitlines(keepends=True)
    history = read(b"".join([b"?\n", *lines[1:]]))
    assert [line.number for line in history.unreadable] == [1, 8, 12]  # its record and both changes
    assert history.at() == by_symbol(LISTINGS[-1][1:])
    assert history.at(100) == by_symbol(LISTINGS[0][1:])
    assert list(unreadable_words(history, most=1))[1] == "and 2 more"


def test_fields_of_a_later_version_are_passed_over() -> None:
    """A newer program may know more of an instrument."""
    data = written(LISTINGS[:1]).replace(b'"base":"BTC"', b'"base":"BTC","margin":{"a":1}')
    history = read(data)
    assert (history.at(), history.unreadable) == (by_symbol(LISTINGS[0]), ())


@given(st.lists(any_listing, max_size=4))
def test_whatever_is_listed_is_read_again(listings: list[list[SymbolInfo]]) -> None:
    """Every listing comes back, field by field."""
    history = decode_history("okx", written(listings))
    assert history.unreadable == ()
    for number, listing in enumerate(listings, 1):
        assert history.at(number * 100) == by_symbol(listing)


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_no_damage_is_too_much(rubbish: bytes, where: int) -> None:
    """Whatever bytes are in the file, it is read, and what can't be is counted."""
    data = written(LISTINGS)
    history = read(data[:where] + rubbish + data[where:])
    assert history.length <= len(data) + len(rubbish)
    assert all(line.why for line in history.unreadable)


def test_the_mapper_of_a_time(tmp_path: Path) -> None:
    """Names are those of what was listed then."""
    history = read(written(LISTINGS))
    mapper = mapper_of(tmp_path)
    mapper.recall([history], 200)
    assert mapper.normalize("okx", "OLD-USDT") == "OLD-USDT"
    assert mapper.to_exchange("ETH-USDT", "okx") == "ETH-USDT"
    with pytest.raises(UnknownSymbol, match="okx lists no NEW-USDT"):
        mapper.normalize("okx", "NEW-USDT")
    mapper.recall([history])
    assert mapper.normalize("okx", "NEW-USDT") == "NEW-USDT"
    with pytest.raises(UnknownSymbol):
        mapper.normalize("okx", "OLD-USDT")
    assert [info.symbol for info in mapper.get_usd_pairs()] == ["BTC-USDT", "NEW-USDT", OPTION.symbol]


def test_the_mapper_before_the_first_listing(tmp_path: Path) -> None:
    """Nothing was known then: the mapping file alone tells."""
    mapper = mapper_of(tmp_path)
    mapper.add([listed("okx", "BTC-USDT", "BTC", "USDT")])
    mapper.recall([read(written(LISTINGS))], 99)
    with pytest.raises(UnknownSymbol):
        mapper.normalize("okx", "BTC-USDT")
