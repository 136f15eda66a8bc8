"""Mapping files: where they are found, and every fault of them."""

from __future__ import annotations

import errno
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from symbols_samples import MAPPING, RULES, faults_of, written

from multilogger.errors import ConfigError, StartupError
from multilogger.symbols import mappings
from multilogger.symbols.instruments import QuoteType
from multilogger.symbols.mapper import load_mapper
from multilogger.symbols.mappings import FILE, check_mappings, find_mappings, read_mappings
from multilogger.symbols.yamltree import parse_yaml

ROOT = Path(__file__).parents[2]
ENTRY = "symbol_mappings:\n  - {normalized: A-USD, base: A, quote: USD, quote_type: fiat, exchanges: {%s}}\n"
FIELDS = "normalized, base, quote, quote_type, exchanges, asset_class"
GROUPS = """\
equivalence_rules:
  quote_assets:
    - {group: G, members: [USD, USDT], primary: EUR, x: 1}
    - {group: H, members: [], primary: USD}
    - {group: H, members: [A, A], primary: A}
    - {group: H, members: [USD, EUR], primary: USDC}
    - {group: H, members: [EUR], primary: EUR}
"""
E0 = "symbol_mappings[0].exchanges"
Q = "equivalence_rules.quote_assets"
BASE_AND_QUOTE = "its base and quote"
PERP_WORDS = f"{BASE_AND_QUOTE}, and PERP"
KEY_WORDS = "expected a key of lower-case letters, digits and _, got"
SYMBOL_WORDS = "expected a venue symbol such as BTCUSDT, got"
NUL_WORDS = (
    'unacceptable character #x0000: special characters are not allowed in "<unicode string>", position 3'
)
SECOND = "  - {normalized: B-USD, base: B, quote: USD, quote_type: fiat, exchanges: {%s}}\n"


def test_the_format() -> None:
    """Entries and groups come out as they stand; an exchange's preferred symbol before its second one."""
    content, faults = parse_yaml(MAPPING + RULES)
    read, more = check_mappings(content)
    assert faults + more == []
    assert [entry.normalized for entry in read.entries] == ["BTC-USD", "ETH-USD", "BTC-USDT"]
    assert list(read.entries[1].symbols()) == [
        ("coinbase", "ETH-USD"),
        ("binance", "ETHUSDT"),
        ("binance", "ETHBUSD"),
    ]
    assert read.groups[0].members == ("USD", "USDT", "USDC", "BUSD", "DAI")
    assert {QuoteType(entry.quote_type) for entry in read.entries} == {QuoteType.FIAT, QuoteType.STABLECOIN}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["expected symbol_mappings and equivalence_rules, got nothing"]),
        ("[1]", ["expected a table, got [1]"]),
        ("symbol_mappings: 7", ["symbol_mappings: expected a list, got 7"]),
        ("symbol_mappings: [7]", ["symbol_mappings[0]: expected a table, got 7"]),
        (
            "zzz: 2021-13-45",
            ["zzz: unknown key: there are symbol_mappings, equivalence_rules"],
        ),
        ("equivalence_rules: []", ["equivalence_rules: expected a table, got []"]),
        (
            "equivalence_rules: {quote_asets: []}",
            ["equivalence_rules.quote_asets: unknown key, did you mean quote_assets?"],
        ),
        (
            "equivalence_rules: {quote_assets: {}}",
            ["equivalence_rules.quote_assets: expected a list, got {}"],
        ),
        (
            "symbol_mappings: [{normalized: 1, base: 2021-13-45, quote: '', quote_type: x, exchanges: 1}]",
            [
                "symbol_mappings[0].exchanges: expected a table, got 1",
                "symbol_mappings[0].normalized: expected a name such as BTC-USD, got 1",
                'symbol_mappings[0].base: expected an asset such as BTC, got "2021-13-45 (timestamp)"',
                'symbol_mappings[0].quote: expected an asset such as BTC, got ""',
                'symbol_mappings[0].quote_type: expected one of "fiat", "stablecoin", "crypto", got "x"',
            ],
        ),
        (
            "symbol_mappings: [{zzz: 1, normalized: X-USD, base: X, quote: USD, quote_type: fiat}]",
            [
                "symbol_mappings[0].exchanges: required, but missing",
                f"symbol_mappings[0].zzz: unknown key: there are {FIELDS}",
            ],
        ),
        (
            "symbol_mappings: [{normalized: ON-USD, base: ON, quote: USD, quote_type: fiat, exchanges: {}}]",
            ["symbol_mappings[0].base: expected an asset such as BTC, got true"],
        ),
        (
            ENTRY % 'Bad Name: A, binance: "", coinbase: A USD, kraken: 7, okx_alt: A-USD, _alt: A',
            [
                f'{E0}."Bad Name": {KEY_WORDS} "Bad Name"',
                f'{E0}.binance: {SYMBOL_WORDS} ""',
                f'{E0}.coinbase: {SYMBOL_WORDS} "A USD"',
                f"{E0}.kraken: {SYMBOL_WORDS} 7",
                f'{E0}._alt: {KEY_WORDS} "_alt"',
            ],
        ),
        (
            ENTRY % "binance: AUSDT" + SECOND % "kraken: AUSDT, binance_alt: AUSDT",
            ["symbol_mappings[1].exchanges.binance_alt: AUSDT is B here, but A in symbol_mappings[0]"],
        ),
        (
            ENTRY % "" + SECOND.replace("B-USD", "BUSD") % "" + SECOND.replace("B", "A") % "",
            [
                'symbol_mappings[1].normalized: expected B-USD, its base and quote, got "BUSD"',
                "symbol_mappings[2].normalized: A-USD stands in symbol_mappings[0] already",
            ],
        ),
        (
            ENTRY.replace("A-USD", "A-USD-PERP").replace("fiat", "fiat, asset_class: perpetual") % "okx: A"
            + SECOND.replace("B-USD", "B-USD:USD-PERP").replace("fiat", "fiat, asset_class: perpetual") % "",
            [],
        ),
        (
            ENTRY.replace("fiat", "fiat, asset_class: perpetual") % ""
            + SECOND.replace("B-USD", "B-USD-PERP") % ""
            + SECOND.replace("B", "C").replace("fiat", "fiat, asset_class: future") % "",
            [
                'symbol_mappings[2].asset_class: expected one of "spot", "perpetual", got "future"',
                f'symbol_mappings[0].normalized: expected A-USD-PERP, {PERP_WORDS}, got "A-USD"',
                f'symbol_mappings[1].normalized: expected B-USD, {BASE_AND_QUOTE}, got "B-USD-PERP"',
            ],
        ),
        (
            ENTRY % "okx: AUSD"
            + ENTRY.removeprefix("symbol_mappings:\n")
            .replace("A-USD", "A-USD-PERP")
            .replace("fiat", "fiat, asset_class: perpetual")
            % "okx: AUSD",
            ["symbol_mappings[1].exchanges.okx: AUSD is perpetual here, but spot in symbol_mappings[0]"],
        ),
        (
            "symbol_mappings: []\nsymbol_mappings:\n  - {}\n",
            ["symbol_mappings: stands twice, in lines 1 and 2"],
        ),
        (
            ENTRY % "okx: A, okx: B, 3: C",
            [
                "symbol_mappings[0].exchanges.okx: stands twice, in lines 2 and 2",
                "symbol_mappings[0].exchanges: expected text as key in line 2, got 3",
            ],
        ),
        (
            GROUPS,
            [
                f"{Q}[0].x: unknown key: there are group, members, primary",
                f"{Q}[1].members: expected a list of different assets, got []",
                f'{Q}[2].members: expected a list of different assets, got ["A", "A"]',
                f'{Q}[3].primary: expected one of its members, got "USDC"',
                f"{Q}[4].group: H stands in {Q}[3] already",
                f"{Q}[4].members[0]: EUR is in {Q}[3] already",
            ],
        ),
        (
            "symbol_mappings: &a [*a]",
            ["line 1, column 22: aliases (*name) are not understood here"],
        ),
        ("symbol_mappings: {", ["line 1, column 19: expected the node content, but found '<stream end>'"]),
        ("[" * 3000, ["line 1, column 11: nested too deeply"]),
        ("{a: " * 3000, ["line 1, column 38: nested too deeply"]),
        ("a: \0", [NUL_WORDS]),
        ('a: "\\UFFFFFFFF"', ["an escape such as \\UFFFFFFFF names no character"]),
        ("a: !!int x", ["a: unknown key: there are symbol_mappings, equivalence_rules"]),
    ],
)
def test_faults(tmp_path: Path, text: str, faults: list[str]) -> None:
    """All faults are told, each by its path, in an order that stays."""
    path = written(tmp_path, text)
    assert faults_of(path) == faults
    assert faults_of(path) == faults


def test_empty_sections_are_none() -> None:
    """A section all of whose lines are commented out is an empty one."""
    content, faults = parse_yaml("symbol_mappings:\nequivalence_rules: {quote_assets: }\n")
    assert (check_mappings(content), faults) == ((mappings.Mappings(), []), [])


@given(st.data())
def test_no_text_breaks_the_reader(data: st.DataObject) -> None:
    """A mapping file with a piece of it replaced by anything has faults or none, but raises nothing."""
    text = MAPPING + RULES
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    odd = st.sampled_from(
        ["!!int ", "!!bool x", "2021-13-45", "*a", "? ", "<<: ", "0x_", ".nan", "null", "!x y"]
    )
    content, faults = parse_yaml(text[:start] + data.draw(odd | st.text(max_size=8)) + text[end:])
    read, more = check_mappings(content)
    assert faults or more or read.entries or read.groups or content == {}


def test_faults_name_the_file_as_the_user_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file below the working directory is named from there."""
    (tmp_path / "mappings").mkdir()
    path = written(tmp_path / "mappings", "x: 1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^mappings/own\.yaml: x: unknown key"):
        read_mappings(path)


def test_unreadable_files(tmp_path: Path) -> None:
    """What can't be read is a fault in clear words."""
    assert faults_of(tmp_path / "none.yaml") == ["no such file"]
    assert faults_of(tmp_path) == ["can't be read: Is a directory"]
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    assert faults_of(tmp_path / "latin.yaml") == ["byte 3: not UTF-8 text"]
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + MAPPING.encode())
    assert faults_of(tmp_path / "bom.yaml") == []


def test_the_working_directory_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the working directory wins over the shipped one."""
    monkeypatch.chdir(tmp_path)
    assert find_mappings() == ROOT / FILE
    FILE.parent.mkdir()
    FILE.write_text(MAPPING, encoding="utf-8")
    assert find_mappings().absolute() == tmp_path / FILE


def test_a_missing_shipped_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without its mapping file does not start, and says where it looked."""
    places = {"here": tmp_path, "there": tmp_path / "there"}
    monkeypatch.setattr(mappings, "_places", lambda: places)
    with pytest.raises(
        StartupError, match=r"^no mappings/symbol_mappings\.yaml in here or there: install anew"
    ):
        load_mapper(None)


def test_places_closed_to_us_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that may not be searched is passed over."""

    def closed(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(StartupError, match="in the working directory or "):
        find_mappings()


def test_the_installation_has_the_file_where_it_is_looked_for() -> None:
    """The directory that packaging puts the file into is one of those that are searched."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["data-files"]
    assert data[f"share/multilogger/{FILE.parent}"] == [str(FILE)]
    assert any(place.parts[-2:] == ("share", "multilogger") for place in mappings._places().values())
