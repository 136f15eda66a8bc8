"""The shipped logger.toml and docs/configuration.md say what the program does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import attrs
import pytest

from multilogger.config import SECTIONS, ExchangeConfig, load_config
from multilogger.config.sources import variable
from multilogger.exchanges.catalog import BUILT_IN

ROOT = Path(__file__).parents[2]
EXCHANGES: dict[str, type[ExchangeConfig]] = {name: kind.config_type for name, kind in BUILT_IN.items()}
COMMON = ("exchanges", "NAME")
"""Where what all exchanges have is documented."""
CLASSES: dict[tuple[str, ...], type] = {
    **{(name,): cls for name, cls in SECTIONS.items()},
    COMMON: ExchangeConfig,
    **{("exchanges", name): cls for name, cls in EXCHANGES.items()},
}
HEADING = re.compile(r"^##+ `\[([a-zA-Z_.]+)\]`$")
ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<default>[^|]+) \| [^|]+ \| `(?P<variable>\w+)` \| [^|]+ \|$")


def documented() -> dict[tuple[str, ...], tuple[str, str]]:
    """Return the default and the variable that the documentation gives for each key's path."""
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    section: tuple[str, ...] = ()
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            section = tuple(heading[1].split("."))
        elif row := ROW.match(line):
            found[*section, row["key"]] = (row["default"], row["variable"])
    return found


def default_words(field: attrs.Attribute[object]) -> str:
    """Return a default as the documentation spells it."""
    if field.default is attrs.NOTHING:
        return "required"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


def fields(path: tuple[str, ...]) -> dict[str, attrs.Attribute[object]]:
    """Return the keys of a section; of an exchange's those that not every exchange has with that default."""
    found = {field.name: field for field in attrs.fields(CLASSES[path])}
    if path[0] != "exchanges" or path == COMMON:
        return found
    common = fields(COMMON)
    return {
        name: it for name, it in found.items() if name not in common or it.default != common[name].default
    }


def test_the_shipped_file_equals_the_defaults(tmp_path: Path) -> None:
    """Running with the shipped file or with its data path alone is the same."""
    alone = tmp_path / "alone.toml"
    alone.write_text('[logger]\ndata_path = "/mnt/md/data"\n', encoding="utf-8")
    default = [name for name, kind in BUILT_IN.items() if kind.by_default]
    shipped = load_config(ROOT / "logger.toml", {}, EXCHANGES)
    assert shipped == load_config(alone, {}, EXCHANGES, default)


@pytest.mark.parametrize("path", [path for path in CLASSES if path != COMMON])
def test_the_shipped_file_has_every_key(path: tuple[str, ...]) -> None:
    """Each key stands in the shipped file, those without a default as a comment that would be accepted.

    The first exchange has those that all have. Exchanges that don't run by default are comments as a whole.
    """
    text = (ROOT / "logger.toml").read_text(encoding="utf-8")
    table = tomllib.loads(re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE))
    for name in path:
        table = table[name]
    common = set(fields(COMMON)) if path == ("exchanges", next(iter(EXCHANGES))) else {"enabled"}
    assert set(table) == set(fields(path)) | (common if path[0] == "exchanges" else set())
    for name, value in table.items():
        field = {it.name: it for it in attrs.fields(CLASSES[path])}[name]
        if field.default not in (attrs.NOTHING, None) and name != "enabled":
            assert json.dumps(value) == json.dumps(field.default), name


def test_the_documentation_has_every_key() -> None:
    """Each key is documented with its default and its variable, and no other is."""
    assert documented() == {
        (*path, name): (default_words(field), variable((*path, name)))
        for path in CLASSES
        for name, field in fields(path).items()
    }
