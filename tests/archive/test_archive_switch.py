"""Reading while files change: an action of the writer between any two system calls of the reader."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from archive_tools import DAY, TRADES, Shelf, rows_at

from multilogger.archive import snapshot
from multilogger.archive.reader import Rows, open_archive
from multilogger.archive.tree import read_manifest
from multilogger.errors import ArchiveError
from multilogger.storage.fold import merge_rows

CALLS = 60
"""That the reader makes of the system, if it has to start over once."""
ROUNDS = 120
Action = Callable[[], object]


class Interleaved:
    """Does the writer's actions while the reader works.

    Args:
        monkeypatch: puts it between the reader and the system.
        actions: in the writer's order.
        moments: before which of the reader's calls each of them is done, in order.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, actions: Sequence[Action], moments: Sequence[int]
    ) -> None:
        self.calls = 0
        self._left = list(zip(moments, actions, strict=True))
        monkeypatch.setattr(snapshot, "read_manifest", self._before(read_manifest))
        monkeypatch.setattr(os, "open", self._before(os.open))

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def with_actions(*arguments: Any) -> Any:
            while self._left and self._left[0][0] <= self.calls:
                self._left.pop(0)[1]()
            self.calls += 1
            return call(*arguments)

        return with_actions


def interleavings(actions: int) -> Iterator[list[int]]:
    """Give moments: the writer gets on in up to four goes, in between of which the reader works."""
    chance = Random(4)
    for _ in range(ROUNDS):
        goes = [chance.choice((0, chance.randrange(CALLS))), *(chance.randrange(CALLS) for _ in range(3))]
        yield sorted(chance.choice(goes) for _ in range(actions))


def read(shelf: Shelf) -> Rows:
    """Read everything."""
    return open_archive(shelf.data).read("coinbase", "BTC-USD", "TRADES")


@pytest.mark.parametrize("generation", [1, 2])
def test_seal(tmp_path: Path, generation: int) -> None:
    """Whatever the reader sees of a seal that folds late rows in, it finds each row once."""
    live, late = rows_at(TRADES, [1, 5, 9]), rows_at(TRADES, [4, 7], 50)
    merged, _ = merge_rows(TRADES, live, late)
    for number, moments in enumerate(interleavings(1 + 2 * len(live))):
        shelf = Shelf(tmp_path / f"{number}")
        if generation == 1:
            shelf.live(live)
        else:
            shelf.sealed(live)
        shelf.late(late, generation=generation - 1)
        actions = seal_actions(shelf, merged, generation)
        with pytest.MonkeyPatch.context() as patched:
            Interleaved(patched, actions, moments)
            found = read(shelf)
        for name, values in merged.items():
            assert np.array_equal(found.columns[name], values), (moments, name)


def seal_actions(shelf: Shelf, merged: dict[str, Any], generation: int) -> list[Action]:
    """Prepare a seal; return its renames and removals, one by one."""
    manifest, staged = shelf.place.manifest(DAY), shelf.data / "staged"
    before = manifest.read_bytes() if manifest.exists() else None
    shelf.switching(merged, generation)
    shelf.manifest(merged, generation)
    manifest.rename(staged)
    if before is not None:
        manifest.write_bytes(before)
    names = sorted(merged, key=lambda name: name == "trade_time")
    files = [shelf.file(name) for name in names]
    late = [shelf.place.late_column(name, DAY, generation - 1) for name in names]
    return [
        partial(staged.rename, manifest),
        *(partial(path.with_name(f"{path.name}.{generation}.tmp").rename, path) for path in files),
        *(path.unlink for path in late),
    ]


def test_removal(tmp_path: Path) -> None:
    """A day that is being removed is whole or gone."""
    rows = rows_at(TRADES, [1, 5, 9])
    seen = set()
    # Manifest gone before the reader comes; time and exact columns as soon as it has the time column.
    worst = [0, *[2] * 5, *[100] * 20]
    for number, moments in enumerate([worst, *interleavings(2 + 2 * len(rows))]):
        shelf = Shelf(tmp_path / f"{number}")
        shelf.sealed(rows)
        shelf.late(rows_at(TRADES, [7], 50), generation=1)
        manifest = shelf.place.manifest(DAY)
        removed = manifest.with_name("manifest.31.07.25.removed.tmp")
        exact = {column.name for column in TRADES.columns if column.exact}
        names = sorted(rows, key=lambda name: (name != "trade_time", name not in exact))
        actions: list[Action] = [
            partial(manifest.rename, removed),
            *(shelf.file(name).unlink for name in names),
            *(shelf.place.late_column(name, DAY, 1).unlink for name in names),
            removed.unlink,
        ]
        with pytest.MonkeyPatch.context() as patched:
            Interleaved(patched, actions, moments)
            found = read(shelf)
        seen.add(len(found))
        assert len(found.columns) == len(rows), moments
    # Once the manifest is gone, so is the late row, which came after its generation.
    assert {0, 4} <= seen <= {0, 3, 4}


def test_growth(tmp_path: Path) -> None:
    """Of a file that grows, the reader has the rows that all columns had, from the first on."""
    rows = rows_at(TRADES, range(12))
    names = sorted(rows, key=lambda name: name == "trade_time")
    for number, moments in enumerate(interleavings(2 * len(rows))):
        shelf = Shelf(tmp_path / f"{number}")
        shelf.live({name: values[:2] for name, values in rows.items()})
        actions = [partial(shelf.live, {name: rows[name][row : row + 5]}) for row in (2, 7) for name in names]
        with pytest.MonkeyPatch.context() as patched:
            Interleaved(patched, actions, moments)
            found = read(shelf)
        assert len(found) in (2, 7, 12)
        for name, values in found.columns.items():
            assert np.array_equal(values, rows[name][: len(found)]), (moments, name)


def test_it_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are others each time they are opened are an error at last, not an endless loop."""
    shelf = Shelf(tmp_path)
    rows = rows_at(TRADES, [1])
    shelf.live(rows)
    generations = iter(range(1, 1000))

    def seal_again() -> None:
        shelf.manifest(rows, next(generations))

    Interleaved(monkeypatch, [seal_again] * 1000, range(1, 1001))
    with pytest.raises(ArchiveError, match="changed each time they were being opened"):
        read(shelf)


def test_a_file_that_shrinks(tmp_path: Path) -> None:
    """A file that becomes shorter while it is read is told, not filled up with anything."""
    shelf = Shelf(tmp_path)
    shelf.live(rows_at(TRADES, [1, 2]))
    with snapshot.open_day(shelf.place, DAY) as files:
        assert files.live is not None
        shelf.file("trade_id").write_bytes(bytes(8))
        with pytest.raises(ArchiveError, match=r"trade_id\.31\.07\.25\.bin became shorter while it was read"):
            files.live.read(["trade_id"], 0, 2)
