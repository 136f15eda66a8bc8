"""Frames of symbols with an open breaker are kept on disk, bounded, without holding up anybody."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import attrs
import numpy as np
import pytest
import trio
from structlog.testing import capture_logs

from multilogger.cli.main import main
from multilogger.connection.aside import MOST_SOUGHT, MOST_WAITING_BYTES, WRITE_SECS, AsideFrames, _DayFiles
from multilogger.exchanges.base import Frames
from multilogger.recording import Recorded, encode_recorded, read_recording

T = TypeVar("T")

DAY_NS = 86_400_000_000_000
NOON_NS = 20_000 * DAY_NS + DAY_NS // 2
URL = "wss://stream.example"
BTC = frozenset({"BTCUSDT"})


@attrs.define
class Disk:
    """Runs what blocks in the event loop; hangs where a test says so."""

    free: trio.Event | None = None
    runs: int = 0

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run it."""
        self.runs += 1
        await trio.lowlevel.checkpoint()
        if self.free is not None:
            await self.free.wait()
        return work()


def file_of(data: Path, day: str = "2024-10-04") -> Path:
    """Where a day's frames are."""
    return data / ".multilogger" / "set-aside" / "binance" / f"{day}.jsonl"


def texts(path: Path) -> list[str]:
    """The messages of a recording."""
    return [frame.payload.decode() for frame in read_recording(path)]


def frames(*payloads: str, recv_ns: int = NOON_NS) -> Frames:
    """A chunk."""
    return Frames(recv_ns, [payload.encode() for payload in payloads])


async def test_frames_that_name_the_symbol_are_kept(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """In upper and lower case and as JSON escapes them; each day in its file, to the nanosecond."""
    aside = AsideFrames("binance", tmp_path, run_blocking=Disk())
    symbols = frozenset({"BTCUSDT", "XBT/USD", "币安USDT"})
    named = ['{"s":"BTCUSDT"}', '{"stream":"btcusdt@trade"}', r'["XBT\/USD"]', "XBT/USD", "币安USDT"]
    named.append(json.dumps("币安USDT"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(aside.run)
        aside.offer(frames('{"s":"ETHUSDT"}', *named, "[]"), URL, symbols)
        aside.offer(frames("ETHUSDT"), URL, symbols)
        aside.offer(frames("btcusdt tomorrow", recv_ns=NOON_NS + DAY_NS + 7), None, symbols)
        await trio.sleep(2 * WRITE_SECS)
        assert list(read_recording(file_of(tmp_path))) == [
            Recorded(NOON_NS, URL, text.encode()) for text in named
        ]
        assert list(read_recording(file_of(tmp_path, "2024-10-05"))) == [
            Recorded(NOON_NS + DAY_NS + 7, None, b"btcusdt tomorrow")
        ]
        assert (aside.kept, aside.dropped) == (7, 0)
        nursery.cancel_scope.cancel()


async def test_many_symbols_are_not_looked_for(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """With very many breakers open, everything is kept."""
    aside = AsideFrames("binance", tmp_path, run_blocking=Disk())
    some = frozenset(f"S{number}" for number in range(MOST_SOUGHT))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(aside.run)
        aside.offer(frames("unnamed"), URL, some)
        aside.offer(frames("unnamed too"), URL, some | {"BTCUSDT"})
        await trio.sleep(2 * WRITE_SECS)
        nursery.cancel_scope.cancel()
    assert texts(file_of(tmp_path)) == ["unnamed too"]


async def test_a_real_thread_writes(tmp_path: Path) -> None:
    """Without another way to run it, a thread writes what waits at the end."""
    aside = AsideFrames("binance", tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(aside.run)
        await trio.testing.wait_all_tasks_blocked()
        aside.offer(frames("BTCUSDT"), URL, BTC)
        nursery.cancel_scope.cancel()
    assert texts(file_of(tmp_path)) == ["BTCUSDT"]


async def test_what_waits_is_bounded(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """While the disk hangs, so much waits and no more; the reading is never held up; the log has one line."""
    disk = Disk(free=trio.Event())
    aside = AsideFrames("binance", tmp_path, run_blocking=disk)
    large = "BTCUSDT" + "x" * (MOST_WAITING_BYTES // 4 - 7)
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(aside.run)
            for _ in range(3):
                aside.offer(frames(large), URL, BTC)
            await trio.sleep(2 * WRITE_SECS)
            for _ in range(3):
                aside.offer(frames(large), URL, BTC)
            aside.offer(frames("BTCUSDT", "BTCUSDT"), URL, BTC)
            assert aside.dropped == 4
            assert disk.free is not None
            disk.free.set()
            await trio.sleep(3 * WRITE_SECS)
            assert aside.kept == 4
            aside.offer(frames("BTCUSDT again"), URL, BTC)
            await trio.sleep(2 * WRITE_SECS)
            nursery.cancel_scope.cancel()
    assert texts(file_of(tmp_path)) == [large] * 4 + ["BTCUSDT again"]
    assert [(line["why"], line["frames"]) for line in lines] == [("the disk is behind", 1)]


async def test_a_days_file_is_bounded(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """When a day's file is full the rest is counted, after a restart too; the next day begins anew."""
    size = len(encode_recorded(Recorded(NOON_NS, URL, b"BTCUSDT")))
    make = partial(AsideFrames, "binance", tmp_path, run_blocking=Disk(), most_bytes=3 * size)
    with capture_logs() as lines:
        for count in (2, 5):
            aside = make()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(aside.run)
                for _ in range(count):
                    aside.offer(frames("BTCUSDT"), URL, BTC)
                    await trio.sleep(2 * WRITE_SECS)
                nursery.cancel_scope.cancel()
        aside.offer(frames("BTCUSDT", recv_ns=NOON_NS + DAY_NS), URL, BTC)
        with trio.move_on_after(WRITE_SECS):
            await aside.run()
    assert (aside.kept, aside.dropped) == (2, 4)
    assert texts(file_of(tmp_path)) == ["BTCUSDT"] * 3
    assert texts(file_of(tmp_path, "2024-10-05")) == ["BTCUSDT"]
    assert len(lines) == 1


async def test_a_full_disk_is_said_and_survived(
    tmp_path: Path, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be written is counted; the half line it left does not spoil the lines after it."""

    def fail(_files: _DayFiles, path: Path, lines: Sequence[bytes]) -> int:
        with path.open("ab") as file:
            file.write(lines[0][:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    aside = AsideFrames("binance", tmp_path, run_blocking=Disk())
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(aside.run)
            for full, text in ((False, "1"), (True, "2"), (True, "3"), (False, "4")):
                with monkeypatch.context() as patched:
                    if full:
                        patched.setattr(_DayFiles, "_append", fail)
                    aside.offer(frames(f"BTCUSDT {text}"), URL, BTC)
                    await trio.sleep(2 * WRITE_SECS)
            nursery.cancel_scope.cancel()
    assert texts(file_of(tmp_path)) == ["BTCUSDT 1", "BTCUSDT 4"]
    assert (aside.kept, aside.dropped) == (2, 2)
    assert [line["why"] for line in lines] == [f"{file_of(tmp_path)}: No space left on device"]


@pytest.mark.parametrize("torn", [b"{", b'{"recv":1,"te', b"x" * 200_000])
async def test_a_torn_end_is_cut_off(tmp_path: Path, autojump_clock: trio.abc.Clock, torn: bytes) -> None:
    """What a kill left of a line goes; the lines before it stay; so does a file of nothing else."""
    path = file_of(tmp_path)
    path.parent.mkdir(parents=True)
    whole = encode_recorded(Recorded(1, None, b"first"))
    for before in (whole, b""):
        path.write_bytes(before + torn)
        aside = AsideFrames("binance", tmp_path, run_blocking=Disk())
        aside.offer(frames("BTCUSDT"), URL, BTC)
        with trio.move_on_after(WRITE_SECS):
            await aside.run()
        assert texts(path) == ["first"] * bool(before) + ["BTCUSDT"]


async def test_bytes_that_are_no_text_are_counted(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """A frame that a recording can't hold is left out, and said."""
    aside = AsideFrames("binance", tmp_path, run_blocking=Disk())
    aside.offer(Frames(NOON_NS, [b"BTCUSDT\xff", b"BTCUSDT"]), URL, BTC)
    with capture_logs() as lines, trio.move_on_after(WRITE_SECS):
        await aside.run()
    assert texts(file_of(tmp_path)) == ["BTCUSDT"]
    assert (aside.kept, aside.dropped) == (1, 1)
    assert [line["why"] for line in lines] == ["no text"]


async def test_nothing_runs_while_nothing_is_set_aside(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    """Without a frame to keep no thread is used and no directory made."""
    disk = Disk()
    aside = AsideFrames("binance", tmp_path, run_blocking=disk)
    with trio.move_on_after(3600.0):
        await aside.run()
    assert disk.runs == 0
    assert not file_of(tmp_path).parent.parent.exists()


def test_replay_reads_what_was_kept(tmp_path: Path) -> None:
    """``multilogger replay`` records the kept frames of Binance into a directory of its own."""
    trade = '{"stream":"btcusdt@trade","data":{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,"p":"5.5","q":"2",'
    trade += '"T":%d,"m":true,"M":true}}'
    millis = NOON_NS // 1_000_000
    payloads = [trade % (millis, number, millis) for number in (7, 8, 9)]

    async def keep() -> None:
        aside = AsideFrames("binance", tmp_path)
        aside.offer(frames(*payloads), URL, BTC)
        with trio.move_on_after(0):
            await aside.run()

    trio.run(keep)
    out = tmp_path / "out"
    assert main(["replay", str(file_of(tmp_path)), "--exchange", "binance", "--data", str(out)]) == 0
    (file,) = out.glob("binance/BTCUSDT/TRADES/trade_id.*.bin")
    assert np.fromfile(file, "<u8").tolist() == [7, 8, 9]
