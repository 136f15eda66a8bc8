"""The page of ``multilogger coverage --plot FILE.html``: one file, with the picture in it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Final

from multilogger.archive.coverage import TableCoverage, by_exchange, worst_gaps
from multilogger.cli.coverage_tables import count, length, share, symbols_words, time_words

_PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>multilogger: coverage</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; color: #333; margin: 2em auto; max-width: 100em; }
img { max-width: 100%; }
table { border-collapse: collapse; margin-bottom: 2em; }
th, td { padding: .25em 1.2em .25em 0; border-bottom: 1px solid #ddd; text-align: left; }
td.number, th.number { text-align: right; }
</style>
</head>
<body>
<h1>Coverage</h1>
<p>$range UTC</p>
$sums
<img alt="Days and symbols, coloured by how much of each day is missing"
 src="data:image/png;base64,$picture">
<h2>Worst gaps</h2>
$gaps
</body>
</html>
""")
_NUMBER: Final = frozenset(
    {"symbols", "recorded", "missing", "filled later", "halted", "length", "missing ids"}
)


def page_of(picture: bytes, found: Sequence[TableCoverage], worst: int) -> str:
    """Return the page: the sums, the picture, and the worst gaps."""
    bounds = [bound for it in found for bound in it.timeline.bounds[[0, -1]].tolist()]
    sums = _table(
        ("exchange", "table", "symbols", "recorded", "missing", "filled later", "halted", "missing ids"),
        (
            (
                it.exchange,
                it.table,
                f"{it.symbols:,}",
                share(it.sums.percentage),
                length(it.sums.lost_ns),
                length(it.sums.backfilled_ns),
                length(it.sums.halted_ns),
                count(it.sums.missing_ids),
            )
            for it in by_exchange(found)
        ),
    )
    gaps = _table(
        ("from (UTC)", "exchange", "symbol", "tables", "cause", "length", "missing ids"),
        (
            (
                time_words(gap.start_ns),
                gap.exchange,
                symbols_words(gap),
                " ".join(gap.tables),
                gap.cause,
                length(gap.end_ns - gap.start_ns),
                count(gap.missing_ids),
            )
            for gap in worst_gaps(found, worst)
        ),
    )
    return _PAGE.substitute(
        range=f"{time_words(min(bounds))} to {time_words(max(bounds))}",
        sums=sums,
        picture=b64encode(picture).decode(),
        gaps=gaps,
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    kinds = [' class="number"' if heading in _NUMBER else "" for heading in headings]
    lines = ["".join(f"<th{kind}>{escape(it)}</th>" for kind, it in zip(kinds, headings, strict=True))]
    lines += [
        "".join(f"<td{kind}>{escape(it)}</td>" for kind, it in zip(kinds, row, strict=True)) for row in rows
    ]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"
