"""The examples of docs/reading.md do what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest
from archive_listings import record
from archive_tools import DAY, MIDNIGHT, TRADES, Shelf, rows_at

from multilogger.records import ExchangeId
from multilogger.storage.manifest import decode_manifest
from multilogger.symbols.instruments import QuoteType, SymbolInfo

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (DOCS / "reading.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)

BITCOIN = SymbolInfo(
    exchange=ExchangeId.COINBASE,
    symbol="BTC-USD",
    normalized="BTC-USD",
    base="BTC",
    quote="USD",
    quote_type=QuoteType.FIAT,
    tick_size=0.01,
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each example works as it stands, but for the directory and the day."""
    demo, day = "/tmp/multilogger-demo", "23.11.26"  # noqa: S108 - replaced before anything is run
    assert demo in example
    shelf = Shelf(tmp_path)
    shelf.sealed(rows_at(TRADES, [1, 5, 9]))
    shelf.late(rows_at(TRADES, [4], 50), DAY, generation=1)
    record(tmp_path, "coinbase", {MIDNIGHT: [BITCOIN], MIDNIGHT + 1: [attrs.evolve(BITCOIN, tick_size=0.1)]})
    code = example.replace(demo, str(tmp_path)).replace(day, "31.07.25")
    exec(compile(code, "example", "exec"), {})  # noqa: S102 - the documentation is our own
    assert capsys.readouterr().out.strip()


def test_the_manifest_of_the_docs() -> None:
    """The manifest shown is one, with all its keys, and each is explained."""
    text = (DOCS / "file-format.md").read_text(encoding="utf-8")
    ((shown),) = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    manifest = decode_manifest(shown.encode(), "the docs")
    assert set(json.loads(shown)) == set(manifest.__struct_fields__)
    assert manifest.first_time_ns > MIDNIGHT
    assert manifest.rows * 8 == manifest.columns["trade_id"].bytes
