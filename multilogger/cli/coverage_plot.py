"""The picture of ``multilogger coverage --plot``: days and symbols, coloured by how much is missing.

Matplotlib is an extra of the package and imported when a picture is drawn, and only then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from multilogger.archive.coverage import TableCoverage, total, worst_symbols
from multilogger.archive.intervals import Kind
from multilogger.cli.coverage_page import page_of
from multilogger.cli.coverage_tables import share
from multilogger.errors import StartupError
from multilogger.tables import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FORMATS: Final = (".png", ".html")
_MOST_SYMBOLS: Final = 100
"""Of a table of an exchange; more are no longer legible, and those with the most missing are shown."""
_FEW_DAYS: Final = 8
_UNKNOWN, _IDLE, _WHOLE = 0, 1, 2
_LIMITS: Final = (0.0001, 0.001, 0.01, 0.1)
"""Upper ends of the shares of a day that have a colour each; the last colour is for more."""
_LEGEND: Final = (
    ("not recorded yet, or no longer", "#ffffff"),
    ("halted or not listed", "#9fb4cc"),
    ("complete", "#d9ead9"),
    ("up to 0.01 % (9 s)", "#fbe7a1"),
    ("0.1 % (86 s)", "#f9bd5e"),
    ("1 % (14 min)", "#ef8a47"),
    ("10 % (2.4 h)", "#cf4a3a"),
    ("more", "#7a1230"),
)
"""By code: what it means, and its colour; lightness falls with what is missing, for any eyes and printers."""
_INK: Final = "#333333"


@attrs.frozen
class Panel:
    """What is drawn of a table of an exchange."""

    title: str
    symbols: list[str]
    shares: list[str]
    """In words, of each symbol."""
    codes: Array
    """Of each symbol and day, an index into the legend."""


def check_plot(file: Path) -> None:
    """Check that a picture can be drawn into a file, before anything long is done.

    Raises:
        StartupError: matplotlib is missing, or the name ends otherwise than in .png or .html.
    """
    if file.suffix.lower() not in _FORMATS:
        raise StartupError(f"--plot {file}: the name has to end in {' or '.join(_FORMATS)}")
    if find_spec("matplotlib") is None:
        raise StartupError("--plot needs matplotlib: pip install 'multilogger[plot]'")
    if not file.absolute().parent.is_dir():
        raise StartupError(f"--plot {file}: there is no such directory")


def write_plot(file: Path, found: Sequence[TableCoverage], worst: int) -> None:
    """Draw the coverage into a file; one ending in .html has the worst gaps as a table, too.

    Raises:
        StartupError: the file can't be written.
    """
    days = _days(found)
    if not days:
        raise StartupError(f"--plot {file}: there is nothing to draw in that range of time")
    picture = draw(panels_of(found, days), days)
    try:
        if file.suffix.lower() == ".png":
            file.write_bytes(picture)
        else:
            file.write_text(page_of(picture, found, worst), encoding="utf-8")
    except OSError as error:
        raise StartupError(f"--plot {file}: can't be written: {error.strerror}") from error


def _days(found: Sequence[TableCoverage]) -> range:
    ranges = [it.timeline.days() for it in found if it.timeline.days()]
    return range(min(it.start for it in ranges), max(it.stop for it in ranges)) if ranges else range(0)


def panels_of(found: Sequence[TableCoverage], days: range) -> list[Panel]:
    """Return what to draw, a panel for each exchange and table."""
    groups: dict[tuple[str, str], list[TableCoverage]] = defaultdict(list)
    for it in found:
        groups[it.exchange, it.table].append(it)
    return [_panel(*key, group, days) for key, group in groups.items()]


def _panel(exchange: str, table: str, group: Sequence[TableCoverage], days: range) -> Panel:
    percentage = share(total(it.sums for it in group).percentage)
    title = f"{exchange}  {table}   {percentage} recorded"
    shown = list(group)
    if len(group) > _MOST_SYMBOLS:
        worst = worst_symbols(group, _MOST_SYMBOLS)
        shown = sorted(
            [*worst, *(it for it in group if it not in worst)][:_MOST_SYMBOLS], key=lambda it: it.symbol
        )
        title += f", the worst {_MOST_SYMBOLS} of {len(group):,} symbols"
    codes = [codes_of(it.timeline.by_day(days.start, len(days))) for it in shown]
    return Panel(title, [it.symbol for it in shown], [share(it.percentage) for it in shown], np.array(codes))


def codes_of(lengths: Array) -> Array:
    """Return the legend's code of each day from how long each kind of time lasted."""
    expected = lengths[:, Kind.RECORDED] + lengths[:, Kind.GAP]
    missing = lengths[:, Kind.GAP] / np.maximum(expected, 1)
    codes: Array = _WHOLE + 1 + np.searchsorted(_LIMITS, missing)
    codes[missing == 0] = _WHOLE
    codes[expected == 0] = np.where(lengths[expected == 0, Kind.IDLE] > 0, _IDLE, _UNKNOWN)
    return codes


def draw(panels: Sequence[Panel], days: range) -> bytes:
    """Return the picture as PNG."""
    from matplotlib import rc_context  # noqa: PLC0415 - an extra; and half a second that others need not wait
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    rows = [len(panel.symbols) for panel in panels]
    width = min(max(9.0, 3.2 + 0.16 * len(days)), 26.0)
    height = 1.1 + sum(0.9 + 0.165 * count for count in rows)
    with rc_context({"font.size": 8, "text.color": _INK, "date.converter": "concise"}):
        figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[0.9 + 0.165 * n for n in rows])
        for place, panel in zip(axes[:, 0], panels, strict=True):
            _draw_panel(place, panel, days, grid=width / len(days) > 0.05)  # noqa: PLR2004 - inches a day
        _draw_legend(figure)
        out = BytesIO()
        figure.savefig(out, format="png")
    return out.getvalue()


def _draw_panel(axes: Axes, panel: Panel, days: range, *, grid: bool) -> None:
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 - see draw

    line: dict[str, Any] = {"edgecolors": "#ffffff", "linewidth": 0.6} if grid else {}
    axes.pcolormesh(
        np.arange(days.start, days.stop + 1).astype("M8[D]"),
        np.arange(len(panel.symbols) + 1),
        panel.codes,
        cmap=ListedColormap([colour for _, colour in _LEGEND]),
        vmin=-0.5,
        vmax=len(_LEGEND) - 0.5,
        **line,
    )
    axes.invert_yaxis()
    if len(days) <= _FEW_DAYS:
        # Left to itself, the axis would tell hours of which the picture knows nothing.
        noons = np.arange(days.start, days.stop).astype("M8[D]") + np.timedelta64(12, "h")
        axes.set_xticks(noons, labels=[str(noon.astype("M8[D]")) for noon in noons])
    middles = np.arange(len(panel.symbols)) + 0.5
    axes.set_yticks(middles, panel.symbols)
    right = axes.secondary_yaxis("right")
    right.set_yticks(middles, panel.shares)
    for side in (axes, right):
        side.tick_params(length=0, colors=_INK)
    axes.tick_params(axis="x", length=3)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    for spine in (*axes.spines.values(), *right.spines.values()):
        spine.set_color("#c8c8c8")


def _draw_legend(figure: Figure) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415 - see draw

    patches = [Patch(facecolor=colour, edgecolor="#999999", label=label) for label, colour in _LEGEND]
    figure.legend(
        handles=patches,
        loc="outside upper left",
        ncols=4,
        frameon=False,
        title="Part of each UTC day that is missing",
        alignment="left",
    )
