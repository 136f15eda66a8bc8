"""Every exchange has all that belongs to it; and what one lacks is named."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from contract_marks import VARIABLE, by_exchange
from contract_missing import missing
from contract_page import ROOT, documented_package, write_documented
from contract_subject import Subject, package_subject

from multilogger.config import ExchangeConfig
from multilogger.simulator.coinbase.venue import CoinbaseVenue


@by_exchange
def test_nothing_is_missing(subject: Subject) -> None:
    """Fixtures of each kind of message, rows of the mapping file, a page and a simulation are there."""
    assert missing(subject) == []


@by_exchange
def test_every_exchange_is_complete(subject: Subject) -> None:
    """An exchange has a name and a configuration that is all defaults, and every method."""
    kind = subject.kind
    assert not inspect.isabstract(kind)
    assert kind.name
    assert isinstance(kind.by_default, bool)
    assert isinstance(kind(kind.config_type()).config, ExchangeConfig)  # type: ignore[call-arg] # defaults


def _remove(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def _keep_lines(name: str, without: str) -> Callable[[Path], None]:
    def keep(directory: Path) -> None:
        file = directory / name
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if without not in line]
        assert len(kept) < len(lines)
        file.write_text("".join(kept), encoding="utf-8")

    return keep


FRAMES, WORDS = "tests/data/bitstamp_frames.jsonl", "tests/data/bitstamp_words.jsonl"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_remove("docs/exchanges/bitstamp.md"), "no docs page docs/exchanges/bitstamp.md"),
        (_remove("mappings/symbol_mappings.yaml"), "no mapping rows: "),
        (
            _keep_lines("mappings/symbol_mappings.yaml", "bitstamp"),
            "no mapping row",
        ),
        (_keep_lines(FRAMES, "a sale"), f"no fixture with a seller's trade in {FRAMES}"),
        (_keep_lines(FRAMES, "a purchase"), f"no fixture with a buyer's trade in {FRAMES}"),
        (_keep_lines(FRAMES, '"MD"'), f"no fixture with a ticker after a buy in {FRAMES}"),
        (_keep_lines(WORDS, "confirmed"), f"no fixture with a confirmed subscription in {WORDS}"),
        (_keep_lines(WORDS, "rejected"), f"no fixture with a refused subscription in {WORDS}"),
        (_keep_lines(WORDS, '"ignored"'), f"no fixture with a message of an unknown kind in {WORDS}"),
        (_keep_lines(WORDS, "bts:heartbeat"), f"no fixture with an answer to a ping in {WORDS}"),
    ],
)
def test_what_is_missing_is_named(spoil: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """Each thing that an exchange lacks is said in one line, with the file that should have it."""
    directory = tmp_path / "package"
    shutil.copytree(documented_package(), directory)
    spoil(directory)
    subject = attrs.evolve(package_subject(documented_package()), root=directory)
    lines = missing(subject)
    assert any(line.startswith(f"bitstamp: {words}") for line in lines), lines


def test_a_venue_is_missing() -> None:
    """So is a simulation that is not there, or is another's."""
    subject = package_subject(documented_package())
    (line,) = missing(attrs.evolve(subject, venue=None))
    assert (
        line == "bitstamp: no venue in simulator.venues.VENUES, nor by an entry point in multilogger.venues"
    )
    assert missing(attrs.evolve(subject, venue=CoinbaseVenue)) == ["bitstamp: its venue is called coinbase"]


@pytest.mark.parametrize("complete", [True, False])
def test_the_package_of_somebody_else(tmp_path: Path, *, complete: bool) -> None:
    """The suite runs on the directory of a package, as the documentation says, and names what it lacks."""
    directory = tmp_path / "package"
    write_documented(directory)
    if not complete:
        (directory / "docs" / "exchanges" / "bitstamp.md").unlink()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            __file__,
            "-k",
            "nothing_is_missing",
        ],
        cwd=ROOT,
        env={**os.environ, VARIABLE: str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if complete else 1), done.stdout
    assert "test_nothing_is_missing[coinbase]" not in done.stdout
    assert ("bitstamp: no docs page docs/exchanges/bitstamp.md" in done.stdout) is not complete
