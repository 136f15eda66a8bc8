"""Room on the disk: when recording pauses and goes on, and how long the disk lasts."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from multilogger.storage import disk
from multilogger.storage.space import TRUST_SECS, DiskGuard, Space, Verdict

MIB = 1024**2
GIB = 1024**3
DAY = 86_400.0


class Disk:
    """A disk that fills as a test wants, and the clock that goes with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, free: int, total: int) -> None:
        self.free, self.total, self.now = free, total, 100.0
        self.asked: list[Path] = []
        monkeypatch.setattr(disk, "free_space", self.ask)

    def ask(self, path: Path) -> tuple[int, int]:
        """Answer as :func:`multilogger.storage.disk.free_space`."""
        self.asked.append(path)
        return self.free, self.total

    def guard(self, reserve: int) -> DiskGuard:
        """Return a guard of this disk."""
        return DiskGuard(Path("/data"), reserve, lambda: self.now)

    def pass_time(self, guard: DiskGuard, secs: float, bytes_a_day: float, step: float = 10.0) -> Space:
        """Let time pass while the disk fills; return the last look."""
        end, free = self.now + secs, float(self.free)
        while self.now < end:
            self.now += step
            free -= bytes_a_day * step / DAY
            self.free = int(free)
            space = guard.look()
        return space


@pytest.mark.parametrize(
    ("reserve", "total", "edges"),
    [
        (GIB, 100 * GIB, [GIB, GIB - 1, GIB + GIB // 20 - 1, GIB + GIB // 20]),
        (64 * MIB, 100 * GIB, [64 * MIB, 64 * MIB - 1, 80 * MIB - 1, 80 * MIB]),
        (8 * MIB, 64 * MIB, [8 * MIB, 8 * MIB - 1, 22 * MIB - 1, 22 * MIB]),
    ],
    ids=["large", "small reserve", "small disk"],
)
def test_low_and_ok_again(
    monkeypatch: pytest.MonkeyPatch, reserve: int, total: int, edges: list[int]
) -> None:
    """Below the reserve there is no room; there is again when a margin beyond it is free, not before."""
    filled = Disk(monkeypatch, free=total // 2, total=total)
    guard = filled.guard(reserve)
    verdicts = []
    for filled.free in edges:
        verdicts.append(guard.look().verdict)
    assert verdicts == [Verdict.OK, Verdict.LOW, Verdict.LOW, Verdict.OK]
    filled.free = edges[0]
    assert guard.look().verdict is Verdict.OK
    assert set(filled.asked) == {Path("/data")}


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever frees exactly what is missing sees recording go on, and nobody who frees less."""
    filled = Disk(monkeypatch, free=50 * GIB, total=100 * GIB)
    guard = filled.guard(GIB)
    assert guard.look().missing_bytes == 0
    filled.free = GIB - 1
    missing = guard.look().missing_bytes
    assert missing == guard.look().missing_bytes == GIB // 20 + 1
    filled.free += missing - 1
    assert guard.look().missing_bytes == 1
    filled.free += 1
    assert (guard.look().verdict, guard.look().missing_bytes) == (Verdict.OK, 0)


def test_without_a_reserve_there_is_always_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reserve of nothing is never touched."""
    filled = Disk(monkeypatch, free=0, total=GIB)
    space = filled.guard(0).look()
    assert (space.verdict, space.days_left) == (Verdict.OK, inf)


def test_a_reserve_above_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is smaller than the reserve never has room, and the words say which key is to blame."""
    filled = Disk(monkeypatch, free=60 * MIB, total=64 * MIB)
    guard = filled.guard(GIB)
    assert [guard.look().verdict for _ in range(2)] == [Verdict.LOW] * 2
    assert guard.look().reason == (
        "disk /data: 60.0 MiB free, reserve 1.0 GiB: its size is 64.0 MiB: lower storage.disk_reserve_bytes"
    )


def test_the_reason_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words name the disk, what is free and what is wanted."""
    filled = Disk(monkeypatch, free=429496730, total=100 * GIB)
    assert filled.guard(GIB).look().reason == "disk /data: 0.4 GiB free, reserve 1.0 GiB: free some space"


def test_days_left_until_the_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills steadily lasts until its reserve is touched."""
    filled = Disk(monkeypatch, free=101 * GIB, total=200 * GIB)
    space = filled.pass_time(filled.guard(GIB), 7200, bytes_a_day=10 * GIB)
    assert space.days_left == pytest.approx(10 - 7200 / DAY, rel=1e-3)


def test_nothing_is_foretold_of_a_short_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first minutes, with their new segments and directories, tell nothing."""
    filled = Disk(monkeypatch, free=10 * GIB, total=20 * GIB)
    guard = filled.guard(GIB)
    assert filled.pass_time(guard, TRUST_SECS - 10, bytes_a_day=500 * GIB).days_left == inf
    assert filled.pass_time(guard, 120, bytes_a_day=500 * GIB).days_left < 1


def test_a_disk_that_does_not_fill_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing written, or more removed than written, is no end in sight."""
    filled = Disk(monkeypatch, free=10 * GIB, total=20 * GIB)
    guard = filled.guard(GIB)
    assert filled.pass_time(guard, 3600, bytes_a_day=0).days_left == inf
    assert filled.pass_time(guard, 3600, bytes_a_day=-50 * GIB).days_left == inf


def test_the_rate_follows_but_does_not_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new rate counts more and more within hours; one heavy minute alone does not look like the end."""
    filled = Disk(monkeypatch, free=1000 * GIB, total=2000 * GIB)
    guard = filled.guard(0)
    filled.pass_time(guard, 4 * 3600, bytes_a_day=GIB)
    heavy = filled.pass_time(guard, 60, bytes_a_day=1000 * GIB)
    assert heavy.days_left > 20
    later = filled.pass_time(guard, 12 * 3600, bytes_a_day=100 * GIB)
    assert later.days_left == pytest.approx(filled.free / (100 * GIB), rel=0.01)


def test_below_the_reserve_no_day_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills and has no room any more lasts for no time, not for a negative one."""
    filled = Disk(monkeypatch, free=2 * GIB, total=20 * GIB)
    space = filled.pass_time(filled.guard(3 * GIB), 1200, bytes_a_day=GIB)
    assert (space.days_left, space.verdict) == (0.0, Verdict.LOW)


def test_looks_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """After hours without a look, as of a machine that slept, the mean is over those hours."""
    filled = Disk(monkeypatch, free=100 * GIB, total=200 * GIB)
    guard = filled.guard(0)
    guard.look()
    space = filled.pass_time(guard, 10 * 3600, bytes_a_day=24 * GIB, step=10 * 3600)
    assert space.days_left == pytest.approx(90 / 24)


def test_the_real_disk_answers(tmp_path: Path) -> None:
    """The figures are those of the filesystem, in bytes."""
    free, total = disk.free_space(tmp_path)
    assert 0 <= free <= total
    space = DiskGuard(tmp_path, 0).look()
    assert (space.total_bytes, space.path) == (total, tmp_path)
    with pytest.raises(FileNotFoundError):
        DiskGuard(tmp_path / "none", 0).look()
