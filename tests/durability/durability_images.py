"""Crash images: what a stop at any call may leave, recovered from, and compared with what was promised."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
from durability_calls import Call, Tree, halved
from durability_checks import check_durable, check_store, check_tree
from durability_ledger import COINBASE, Ledger
from durability_reader import Place, Seen, partitions, read_tree, row_files, write_tree
from durability_recorder import Failure, Recorder
from durability_run import Run, UnhealedError
from durability_volume import Adversary, Volume
from durability_workload import Workload

from multilogger.errors import MultiloggerError
from multilogger.storage.layout import day_of
from multilogger.tables import TRADES

_KEEPS: Final = (0.0, 0.1, 0.5, 0.5, 0.9, 1.0)
"""How likely something survives that was not synced."""
_AFTERWARDS: Final = 1 / 4
"""Of the images: so many go on to be written to."""
_BEYOND: Final = 1 << 40
"""After every call."""


@attrs.frozen(eq=False)
class Recording:
    """A workload that was run, call by call."""

    workload: Workload
    before: Tree
    calls: list[Call]
    ledger: Ledger


@attrs.frozen
class Image:
    """Which stop, and what it left."""

    workload: str
    calls: int
    """How many calls were made, the last one included."""
    half: bool
    """Whether the last one was interrupted."""
    cut: bool
    """Whether the power was cut; else the process was killed."""
    seed: int

    def __str__(self) -> str:
        return f"{self.workload}:{self.calls}:{int(self.half)}:{int(self.cut)}:{self.seed}"


def parse_image(text: str) -> Image:
    """Return the image that a failure named."""
    workload, calls, half, cut, seed = text.split(":")
    return Image(workload, int(calls), half == "1", cut == "1", int(seed))


def record(workload: Workload, root: Path) -> Recording:
    """Run a workload below an empty directory."""
    (root / "data").mkdir(parents=True)
    ledger = Ledger()
    workload.prepare(root, ledger)
    before = read_tree(root)
    recorder = Recorder(root, Volume(before), syncs_all=workload.syncs_all)
    run = _run(workload, root, ledger, lambda: len(recorder.calls), workload.now)

    def fail(failure: Failure) -> None:
        recorder.failures.append(failure)

    with recorder.watching():
        workload.body(run, fail)
    shutil.rmtree(root)
    return Recording(workload, before, recorder.calls, ledger)


def _run(workload: Workload, root: Path, ledger: Ledger, calls: Callable[[], int], now: int) -> Run:
    return Run(root, ledger, calls, now=now, alternate=workload.alternate, policies=workload.policies)


def images(recording: Recording, seed: int, near: str = "", within: int = 1) -> Iterator[Image]:
    """Return images for ever: none at the same call as another before there was one at each.

    Args:
        recording: of what.
        seed: of the order, and of what the images keep.
        near: only stops at calls whose representation matches this expression.
        within: how many calls from there on count, too.
    """
    rng = random.Random(f"{seed} {recording.workload.name}")
    known = [at for at, call in enumerate(recording.calls, 1) if re.search(near, repr(call))]
    while True:
        order = sorted({min(at + more, len(recording.calls)) for at in known for more in range(within)})
        rng.shuffle(order)
        for calls in order:
            half, cut = rng.random() < 1 / 2, rng.random() < 3 / 4
            yield Image(recording.workload.name, calls, half, cut, rng.randrange(1 << 32))


def check_image(recording: Recording, image: Image, scratch: Path) -> list[str]:
    """Start on an image, again after another stop, and go on; return what is wrong."""
    try:
        return _Trial(recording, image, scratch).check()
    except (MultiloggerError, UnhealedError) as error:
        return [f"{type(error).__name__}: {error}"]


class _Trial:
    def __init__(self, recording: Recording, image: Image, scratch: Path) -> None:
        self._recording = recording
        self._workload = recording.workload
        self._image = image
        self._scratch = scratch
        self._rng = random.Random(image.seed)
        self._made = image.calls - image.half
        self._volume = Volume(recording.before).perform(recording.calls[: self._made])
        interrupted = halved(recording.calls[image.calls - 1]) if image.half else None
        if interrupted is not None:
            self._volume.perform([interrupted])
        self._visible: dict[Place, Seen] = partitions(self._volume.now())
        self._expected = recording.ledger.at(self._made)

    def check(self) -> list[str]:
        """Try it."""
        ledger = self._recording.ledger
        wrong = list(check_durable(self._visible, ledger, self._expected))
        if self._image.cut:
            self._volume = Volume(self._volume.survivors(self._adversary()))
        run, recorder = self._start(self._volume.now(), "cut" if self._image.cut else "first")
        tree = read_tree(run.root)
        wrong += check_tree(tree, ledger, self._expected, self._visible)
        wrong += check_store(run.root, run.store, tree, ledger, self._expected)
        calls = recorder.calls.copy()
        if not wrong and self._rng.random() < _AFTERWARDS:
            wrong += self._go_on(run, recorder)
        run.kill()
        shutil.rmtree(run.root)
        return wrong or self._interrupt(tree, calls)

    def _adversary(self) -> Adversary:
        return Adversary(self._rng, self._rng.choice(_KEEPS))

    def _start(self, tree: Tree, boot: str) -> tuple[Run, Recorder]:
        root = self._scratch / f"{boot}-{self._rng.randrange(1 << 32)}"
        write_tree(root, tree)
        recorder = Recorder(root, self._volume, syncs_all=self._workload.syncs_all, boot=boot)
        ledger = self._recording.ledger.fork(self._made)
        run = _run(self._workload, root, ledger, lambda: 0, ledger.clock_at(self._made))
        with recorder.watching():
            run.start()
        return run, recorder

    def _interrupt(self, tree: Tree, calls: list[Call]) -> list[str]:
        """Stop the start, too, and start again: the files are to be the same, bit for bit (I5)."""
        self._volume.perform(calls[: self._rng.randint(0, len(calls))])
        cut = self._image.cut or self._rng.random() < 1 / 2
        if cut:
            self._volume = Volume(self._volume.survivors(self._adversary()))
        run, _ = self._start(self._volume.now(), "cut again" if cut else "first")
        again = read_tree(run.root)
        wrong = check_tree(again, self._recording.ledger, self._expected, self._visible)
        wrong += check_store(run.root, run.store, again, self._recording.ledger, self._expected)
        run.kill()
        shutil.rmtree(run.root)
        if cut == self._image.cut and row_files(again) != row_files(tree):
            wrong.append(f"I5: a start that was interrupted gives other files: {_differing(tree, again)}")
        return wrong

    def _go_on(self, run: Run, recorder: Recorder) -> list[str]:
        """Write more, with what a connection sends again after a restart, and start once more."""
        run.wait(10)
        with recorder.watching():
            self._send_again(run)
            for _ in range(2):
                run.commit(run.trades("BTC-USD"), run.trades("BTC-USD", ago=30), run.quotes("NEW"))
                run.apply()
                run.checkpoint()
                run.wait(1)
            run.seal()
            run.restart()
        tree = read_tree(run.root)
        expected = run.ledger.at(_BEYOND)
        wrong = check_tree(tree, run.ledger, expected, {})
        wrong += check_store(run.root, run.store, tree, run.ledger, expected)
        return [f"afterwards: {it}" for it in wrong]

    def _send_again(self, run: Run) -> None:
        """Offer the newest trades that were acknowledged; the quality filter lets none of them through."""
        newest = run.ledger.at(0).acknowledged[TRADES.number].nonzero()[0][-5:].tolist()
        for serial in newest:
            exchange, symbol = run.ledger.owners[TRADES.number][serial]
            today = day_of(int(run.ledger.rows(TRADES)["time_ns"][serial])) == day_of(run.now)
            foreign = serial <= run.ledger.foreign.get(TRADES.number, 0)
            fresh = serial > run.store.last_trade_ids(exchange).get(symbol, 0)
            if exchange == COINBASE and today and not foreign and fresh:
                # Past the ledger: it must not be there twice.
                run.store.commit([run.ledger.again(TRADES, [serial]).batch])


def _differing(one: Tree, other: Tree) -> list[str]:
    before, after = row_files(one), row_files(other)
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
