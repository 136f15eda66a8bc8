"""No segment may go before a checkpoint that is durable covers what it holds (I6), seen on a recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from durability_calls import Rename, Tree, Unlink
from durability_images import Recording
from durability_volume import Adversary, Volume

from multilogger.storage.checkpoint import Checkpoint
from multilogger.storage.frame import ALIGNMENT, decode_header

_SEGMENT: Final = re.compile(r".*/(\d{12})\.wal")
_CHECKPOINT: Final = "data/.multilogger/checkpoint"
_HEAD_BYTES: Final = 16
"""Of a checkpoint's file before its content."""


def check_recycling(recording: Recording, nothing: Adversary) -> Iterator[str]:
    """Return what was freed too early.

    Args:
        recording: of a workload without failures.
        nothing: keeps nothing that was not synced.
    """
    volume = Volume(recording.before)
    for at, call in enumerate(recording.calls):
        gone = call.old if isinstance(call, Rename) else call.path if isinstance(call, Unlink) else ""
        match = _SEGMENT.fullmatch(gone)
        if match:
            covered = min(_covered(volume.survivors(nothing)), _covered(volume.now()))
            last = _last_sequence(volume.now(), gone, int(match[1]))
            if last > covered:
                yield f"I6 call {at}: {gone} goes with frame {last}, the checkpoint covers {covered}"
        volume.perform([call])


def _covered(tree: Tree) -> int:
    content = tree.get(_CHECKPOINT)
    if not isinstance(content, bytes):
        return 0
    return msgspec.msgpack.decode(content[_HEAD_BYTES:], type=Checkpoint).sequence


def _last_sequence(tree: Tree, path: str, number: int) -> int:
    content = tree[path]
    if not isinstance(content, bytes):
        raise TypeError(path)
    headers = (
        decode_header(content[at : at + ALIGNMENT], number) for at in range(0, len(content), ALIGNMENT)
    )
    return max((header.sequence for header in headers if header), default=0)
