"""``coverage --plot``: days and symbols as a picture, or as a page with the picture in it."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_ledger import GAP, LIVE, Capsys, note, told, write_ledger

from multilogger.archive.coverage import coverage_of
from multilogger.archive.intervals import Kind
from multilogger.cli import coverage_plot
from multilogger.cli.coverage_plot import codes_of, panels_of
from multilogger.notes import CoverageNote

DAY = 86_400


def days_of(symbol: str, days: int, lost: float) -> list[CoverageNote]:
    """Return a symbol's notes; it lost so many seconds from the beginning of the second day on."""
    live = note(symbol, "MD", LIVE, 0, days * DAY)
    return [live, note(symbol, "MD", GAP, DAY, DAY + lost, "<lost>")] if lost else [live]


def size_of(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_picture(tmp_path: Path, capsys: Capsys) -> None:
    """A picture is a PNG that grows with its symbols and days."""
    small = write_ledger(tmp_path / "small", days_of("A", 3, 10))
    large = write_ledger(
        tmp_path / "large", [it for name in map(str, range(30)) for it in days_of(name, 90, 9)]
    )
    assert told(capsys, str(small), "--plot", "small.png")[0] == 0
    assert told(capsys, str(large), "--plot", "large.png")[0] == 0
    sizes = [size_of(Path(name).read_bytes()) for name in ("small.png", "large.png")]
    assert sizes[0][0] < sizes[1][0] < 4000
    assert sizes[0][1] < sizes[1][1] < 4000


def test_page(tmp_path: Path, capsys: Capsys) -> None:
    """A page has the picture in it, needs nothing from elsewhere, and names the worst gaps."""
    data = write_ledger(tmp_path / "data", days_of("A&B", 3, 90))
    assert told(capsys, str(data), "--plot", "page.html")[0] == 0
    page = Path("page.html").read_text(encoding="utf-8")
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert size_of(base64.b64decode(picture))[0] > 1000
    assert "http" not in page.replace(picture, "")
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall("<tr>(.*)</tr>", page)]
    assert ["coinbase", "MD", "1", "99.9652 %", "1 min 30 s", "", "", ""] in rows
    assert ["2025-08-01 00:00:00.000", "coinbase", "A&amp;B", "MD", "&lt;lost&gt;", "1 min 30 s", ""] in rows


def test_codes() -> None:
    """A day's colour is that of the smallest share that is not below what is missing of it."""
    lengths = np.zeros((9, len(Kind)), np.int64)
    lengths[:, Kind.UNKNOWN] = 5
    lengths[1:3, Kind.IDLE] = 7
    lengths[2:, Kind.RECORDED] = [10**9, 10**9, 10**9 - 1, 10**9 - 10**5, 10**9 - 10**6, 10**9 - 10**7, 0]
    lengths[3:, Kind.GAP] = [0, 1, 10**5, 10**6, 10**7, 1]
    assert codes_of(lengths).tolist() == [0, 1, 2, 2, 3, 3, 4, 5, 7]


def test_panels(tmp_path: Path) -> None:
    """Of many symbols the worst hundred are drawn, in the order of their names."""
    notes = [it for number in range(120) for it in days_of(f"S{number:03}", 2, number % 100)]
    (panel,) = panels_of(coverage_of(write_ledger(tmp_path, notes)), range(20_300, 20_302))
    assert panel.title == "coinbase  MD   99.9752 % recorded, the worst 100 of 120 symbols"
    assert (len(panel.symbols), panel.codes.shape) == (100, (100, 2))
    assert panel.symbols == sorted(panel.symbols)
    assert panel.symbols[-1] == "S119"
    assert panel.shares[panel.symbols.index("S099")] == "99.9427 %"
    assert {"S009", "S109"}.isdisjoint(panel.symbols)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plot", "plot.pdf"], "--plot plot.pdf: the name has to end in .png or .html"),
        (["--plot", "no/plot.png"], "--plot no/plot.png: there is no such directory"),
        (["--plot", "data/folder.png"], "--plot data/folder.png: can't be written: Is a directory"),
        (
            ["--plot", "plot.png", "--day", "2020-01-01"],
            "--plot plot.png: there is nothing to draw in that range of time",
        ),
    ],
)
def test_what_can_not_be_drawn(arguments: list[str], words: str, tmp_path: Path, capsys: Capsys) -> None:
    """What can't be drawn is one line on standard error, status 2."""
    write_ledger(tmp_path / "data", days_of("A", 1, 0))
    (tmp_path / "data/folder.png").mkdir()
    status, _, errors = told(capsys, "data", *arguments)
    assert (status, errors) == (2, [f"multilogger: {words}"])


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """Where matplotlib is missing it is told what to install, before anything is looked at."""
    missing: Callable[[str], None] = lambda _name: None  # noqa: E731 - what find_spec says of it
    monkeypatch.setattr(coverage_plot, "find_spec", missing)
    status, lines, errors = told(capsys, "nowhere", "--plot", "plot.png")
    words = "multilogger: --plot needs matplotlib: pip install 'multilogger[plot]'"
    assert (status, lines, errors) == (2, [], [words])
