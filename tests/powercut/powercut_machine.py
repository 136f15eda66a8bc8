"""One machine between two power cuts: a disk, a filesystem on it, and a program."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs
from powercut_image import Loss
from powercut_kernel import loop_device, mount, mount_fuse, unmount, wait_for_detach

_HERE: Final = Path(__file__).parent
_SIZE: Final = 96 * 1024 * 1024
_PATIENCE: Final = 60.0
"""Seconds that a machine may take for anything."""


class RigFailed(Exception):
    """The store, or the rig, did something that no power cut explains."""


def new_disk() -> int:
    """Return the descriptor of a disk's durable contents: in memory, with a new filesystem."""
    fd = os.memfd_create("powercut")
    os.ftruncate(fd, _SIZE)
    options = ["-q", "-F", "-b", "4096", "-m", "0", "-N", "16384", "-J", "size=4", "-E", "nodiscard"]
    command = ["mkfs.ext4", *options, f"/proc/self/fd/{fd}"]
    try:
        subprocess.run(command, pass_fds=[fd], check=True, capture_output=True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def filesystem_faults(fd: int) -> str:
    """Return what a full check of an unmounted disk's filesystem finds; empty if it is sound."""
    command = ["e2fsck", "-f", "-n", f"/proc/self/fd/{fd}"]
    done = subprocess.run(command, pass_fds=[fd], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


@attrs.define
class Device:
    """The process that serves the disk."""

    control: socket.socket
    report: dict[str, Any] | None = None
    """How the cut struck; None while there is power."""
    armed: bool = False

    def arm(self, operations: int) -> None:
        """Cut after so many more writes and flushes; only the first call counts."""
        if not self.armed:
            self.armed = True
            self._send(f"arm {operations}\n")

    def cut(self) -> dict[str, Any]:
        """Cut now, if that has not happened yet, and return how it struck."""
        if self.report is None:
            self._send("cut\n")
            self.hear()
        assert self.report is not None
        return self.report

    def _send(self, command: str) -> None:
        try:
            self.control.sendall(command.encode())
        except BrokenPipeError as error:
            raise RigFailed("the device ended") from error

    def hear(self) -> None:
        """Take the report that the device has sent, or is about to."""
        line = b""
        while not line.endswith(b"\n"):
            received = self.control.recv(4096)
            if not received:
                raise RigFailed("the device ended")
            line += received
        self.report = json.loads(line)


@attrs.define
class Program:
    """The workload's process, and what it said."""

    process: subprocess.Popen[bytes]
    heard: Callable[[str], None]
    errors: Path
    ended: bool = False
    _rest: bytes = b""

    def begin(self, job: dict[str, Any]) -> None:
        """Tell it what to do."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already; whoever listens to it will find out
            self.process.stdin.write(json.dumps(job).encode() + b"\n")

    def hear(self) -> None:
        """Take what it has said; waits if that is nothing."""
        assert self.process.stdout is not None
        received = os.read(self.process.stdout.fileno(), 65536)
        self.ended = not received
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            self.heard(line.decode())

    def kill(self) -> None:
        """End it, and take the rest of what it said before."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        while not self.ended:
            self.hear()

    def last_words(self) -> str:
        """Return what it wrote to standard error."""
        return self.errors.read_text(encoding="utf-8")


@contextmanager
def program(directory: Path, heard: Callable[[str], None]) -> Iterator[Program]:
    """Start a workload, which waits for its job; ``heard`` is called with each line it says."""
    errors = directory / "stderr"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(_HERE / "powercut_workload.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
        )
    with process:
        try:
            yield Program(process, heard, errors)
        finally:
            process.kill()


@contextmanager
def device(fd: int, directory: Path, loss: Loss) -> Iterator[tuple[Device, Path]]:
    """Switch a disk on; yields it and the file that stands for it."""
    file = directory / "disk"
    file.touch()
    with ExitStack() as stack:
        control, theirs = socket.socketpair()
        stack.enter_context(control)
        control.settimeout(_PATIENCE)
        with theirs:
            fuse = mount_fuse(file)
            try:
                command = [sys.executable, str(_HERE / "powercut_device.py"), str(fuse), str(fd)]
                command += [str(theirs.fileno()), json.dumps(attrs.asdict(loss))]
                process = subprocess.Popen(command, pass_fds=[fuse, fd, theirs.fileno()])
            finally:
                os.close(fuse)
        stack.callback(_end, process)
        stack.callback(unmount, file)
        yield Device(control), file
    if process.returncode:
        raise RigFailed(f"the device ended with {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a device that has been unmounted."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@contextmanager
def filesystem(disk: Path, directory: Path) -> Iterator[Path]:
    """Mount a disk; yields where."""
    place = directory / "mounted"
    place.mkdir(exist_ok=True)
    with loop_device(disk) as name:
        mount(name, place, "ext4", "")
        try:
            yield place
        finally:
            unmount(place)
    wait_for_detach(name)


def watch(disk: Device, running: Program, deadline: Callable[[], float | None]) -> None:
    """Hear program and device until one of them ends, or the deadline has come.

    Args:
        disk: its report ends the waiting.
        running: its end does too.
        deadline: of ``time.monotonic``; asked for again after everything that was heard.

    Raises:
        RigFailed: nothing of that happened for a long time.
    """
    latest = time.monotonic() + _PATIENCE
    assert running.process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(running.process.stdout, selectors.EVENT_READ, running.hear)
        selector.register(disk.control, selectors.EVENT_READ, disk.hear)
        while not running.ended and disk.report is None:
            end = deadline()
            left = (latest if end is None else end) - time.monotonic()
            if left <= 0 and end is not None:
                return
            if left <= 0:
                raise RigFailed(f"the workload does not go on\n{running.last_words()}")
            for key, _ in selector.select(left):
                key.data()
