"""The instrument history on disk: durable after each listing, whole after crashes, whatever the disk does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from multilogger.health.exchanges import judge_exchange
from multilogger.records import ExchangeId
from multilogger.stats import ExchangeStats
from multilogger.storage import disk
from multilogger.storage.layout import Paths
from multilogger.supervision.instruments import InstrumentLog
from multilogger.symbols.history import InstrumentHistory, decode_history
from multilogger.symbols.instruments import QuoteType, SymbolInfo

T = TypeVar("T")


def coin(base: str, **changes: Any) -> SymbolInfo:
    """Return a dollar market."""
    info = SymbolInfo(
        exchange=ExchangeId.COINBASE,
        symbol=f"{base}-USD",
        normalized=f"{base}-USD",
        base=base,
        quote="USD",
        quote_type=QuoteType.FIAT,
        tick_size=0.01,
    )
    return attrs.evolve(info, **changes)


async def run_inline(work: Callable[[], T]) -> T:
    """Do what blocks at once."""
    await trio.lowlevel.checkpoint()
    return work()


class Bench:
    """A data path, and the log of a program that may be started again and again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.path = Paths(data).instrument_history("coinbase")
        self.now_ns = 100
        self.start()

    def start(self) -> None:
        """Begin anew, as a program that is started."""
        self.stats = ExchangeStats("coinbase")
        self.log = InstrumentLog(self.data, self.stats, lambda: self.now_ns, run_inline)

    async def arrive(self, *bases: str, **changes: Any) -> None:
        """Let a listing arrive."""
        await self.log.note([coin(base, **changes) for base in bases])

    @property
    def history(self) -> InstrumentHistory:
        """What the file has."""
        return decode_history("coinbase", self.path.read_bytes())

    @property
    def told(self) -> list[tuple[int, int, str, str]]:
        """When, after when, and what happened to which symbol."""
        return [(it.at_ns, it.after_ns, it.kind.value, it.symbol) for it in self.history.changes]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty data path."""
    return Bench(tmp_path)


async def test_only_what_changed_is_written(bench: Bench) -> None:
    """First all, then what is another; each change is dated by the listings around it."""
    await bench.arrive("BTC", "ETH")
    size = bench.path.stat().st_size
    bench.now_ns = 200
    await bench.arrive("BTC", "ETH")
    assert bench.path.stat().st_size == size
    bench.now_ns = 300
    await bench.arrive("BTC", "SOL")
    assert bench.told == [
        (100, 0, "found", "BTC-USD"),
        (100, 0, "found", "ETH-USD"),
        (300, 200, "listed", "SOL-USD"),
        (300, 200, "delisted", "ETH-USD"),
    ]


async def test_a_start_goes_on(bench: Bench) -> None:
    """A program that is started again knows what was listed."""
    await bench.arrive("BTC", "ETH")
    bench.start()
    bench.now_ns = 900
    await bench.arrive("BTC", "ETH", tick_size=0.1)
    assert [told[2:] for told in bench.told[2:]] == [("changed", "BTC-USD"), ("changed", "ETH-USD")]
    assert bench.told[-1][:2] == (900, 100)
    assert bench.history.at(899)["BTC-USD"].tick_size == 0.01
    assert bench.history.at()["BTC-USD"].tick_size == 0.1


async def test_time_never_goes_back(bench: Bench) -> None:
    """A clock that was put right does not put a later listing before an earlier one."""
    await bench.arrive("BTC")
    bench.now_ns = 50
    await bench.arrive("BTC", "ETH")
    assert bench.told[-1] == (101, 100, "listed", "ETH-USD")


async def test_the_file_and_its_names_are_synced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directory entries at first; then the file with each listing that changes anything."""
    synced: list[str] = []
    sync, sync_directory = disk.sync, disk.sync_directory

    def note_sync(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        sync(fd)

    def note_directory(path: Path) -> None:
        synced.append(path.name)
        sync_directory(path)

    monkeypatch.setattr(disk, "sync", note_sync)
    monkeypatch.setattr(disk, "sync_directory", note_directory)
    await bench.arrive("BTC")
    assert synced == ["instruments", ".multilogger", "coinbase.jsonl"]
    await bench.arrive("BTC")
    await bench.arrive("BTC", "ETH")
    assert synced[3:] == ["coinbase.jsonl"]


async def test_a_crash_at_every_byte(bench: Bench) -> None:
    """What is left of a listing is cut off at the next start; then the listing comes whole."""
    await bench.arrive("BTC", "ETH")
    bench.now_ns = 200
    await bench.arrive("BTC", "SOL")
    whole = bench.path.read_bytes()
    end_of_first = whole.index(b'"kind":"listing"')
    end_of_first = whole.index(b"\n", end_of_first) + 1
    for length in range(len(whole) + 1):
        bench.path.write_bytes(whole[:length])
        bench.start()
        bench.now_ns = 300
        with capture_logs() as logs:
            await bench.arrive("BTC", "SOL")
        assert bench.history.length == bench.path.stat().st_size
        assert bench.history.unreadable == ()
        assert list(bench.history.at()) == ["BTC-USD", "SOL-USD"]
        if length >= end_of_first:
            assert list(bench.history.at(100)) == ["BTC-USD", "ETH-USD"]
        is_cut = any(log["event"] == "instrument history cut" for log in logs)
        assert is_cut == (length not in (0, end_of_first, len(whole)))


async def test_damage_is_told_and_passed_over(bench: Bench) -> None:
    """An unreadable line is named in the log; what it hid is found again, not listed."""
    await bench.arrive("BTC", "ETH")
    lines = bench.path.read_bytes().splitlines(keepends=True)
    bench.path.write_bytes(b"".join([lines[0], b"\0" * 20 + b"\n", *lines[2:]]))
    bench.start()
    bench.now_ns = 200
    with capture_logs() as logs:
        await bench.arrive("BTC", "ETH")
    (told,) = [log for log in logs if log["event"] == "instrument history has unreadable lines"]
    assert (told["lines"], told["why"][:7], told["path"]) == (1, "line 2:", str(bench.path))
    assert bench.told[-1] == (200, 100, "found", "ETH-USD")
    await bench.arrive("BTC", "ETH", "SOL")
    assert bench.told[-1][2:] == ("listed", "SOL-USD")


def _failing(name: str, code: int) -> Iterator[tuple[str, Callable[..., None]]]:
    def fail(*_args: object) -> None:
        raise OSError(code, os.strerror(code))

    yield name, fail


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("make_directories", errno.EROFS),
        ("write", errno.ENOSPC),
        ("sync", errno.EIO),
        ("sync_directory", errno.EIO),
    ],
)
@pytest.mark.parametrize("known", [False, True])
async def test_a_bad_disk_is_no_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, code: int, known: bool
) -> None:
    """It is logged and told in health; the next listing brings all that this one could not."""
    if known:
        await bench.arrive("BTC")
        if call in ("make_directories", "sync_directory"):
            bench.path.unlink()
            bench.start()
    bench.now_ns = 200
    with monkeypatch.context() as patched, capture_logs() as logs:
        for name, fail in _failing(call, code):
            patched.setattr(disk, name, fail)
        await bench.arrive("BTC", "ETH")
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["instruments not noted"]
    problem = f"what changed in its listing can't be written ([Errno {code}] {os.strerror(code)})"
    health = judge_exchange(bench.stats, 10.0, bench.now_ns, rate=0.0, starting=True)
    assert problem in health.detail
    bench.now_ns = 300
    await bench.arrive("BTC", "ETH", "SOL")
    assert bench.stats.instruments_problem == ""
    assert list(bench.history.at()) == ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert bench.history.unreadable == ()


async def test_a_torn_write_is_written_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk took of a listing is not left before the next one."""
    await bench.arrive("BTC")
    write = disk.write

    def tear(fd: int, data: memoryview | bytes, offset: int) -> None:
        write(fd, data[: len(data) // 2], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(disk, "write", tear)
        await bench.arrive("BTC", "ETH", "SOL", "XRP")
    assert len(bench.path.read_bytes()) > bench.history.length
    await bench.arrive("BTC")
    assert len(bench.path.read_bytes()) == bench.history.length
    assert bench.told == [(100, 0, "found", "BTC-USD")]


async def test_a_removed_file_is_begun_anew(bench: Bench) -> None:
    """The next change finds it gone, says so, and the listing after that writes all of it."""
    await bench.arrive("BTC")
    bench.path.unlink()
    await bench.arrive("BTC", "ETH")
    assert "No such file" in bench.stats.instruments_problem
    await bench.arrive("BTC", "ETH")
    assert [told[2:] for told in bench.told] == [("found", "BTC-USD"), ("found", "ETH-USD")]


async def test_overlapping_generations(bench: Bench) -> None:
    """Two listings at the same time are written one after the other."""

    async def slowly(work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    bench.log = InstrumentLog(bench.data, bench.stats, lambda: bench.now_ns, slowly)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(bench.arrive, "BTC", "ETH")
    assert [told[2:] for told in bench.told] == [("found", "BTC-USD"), ("found", "ETH-USD")]
