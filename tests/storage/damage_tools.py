"""What the tests of damaged journals share: a small journal of known frames, and judging what is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
from journal_tools import NOON, START, open_journal, table_rows

from multilogger.storage.extent import Replayed
from multilogger.storage.frame import HEADER_BYTES, FrameType, span
from multilogger.storage.payload import encode
from multilogger.storage.replay import Damaged, Replay
from multilogger.storage.salvage import LostSection
from multilogger.storage.segments import SegmentReader, list_segments
from multilogger.tables import MD, TRADES

DAY = NOON // (86_400 * 10**9)


@attrs.frozen
class Frame:
    """A frame as it was written."""

    offset: int
    type: FrameType
    sequence: int
    payload: bytes
    whole: bytes
    """Header and payload."""

    @property
    def end(self) -> int:
        """Where its payload ends."""
        return self.offset + HEADER_BYTES + len(self.payload)


@attrs.frozen
class Written:
    """A journal of a few commits, in one segment."""

    directory: Path
    path: Path
    data: bytes
    frames: list[Frame]
    sections: dict[int, tuple[LostSection, ...]]
    """Of each rows frame, by sequence."""

    @property
    def used(self) -> int:
        """Where the last frame ends."""
        return self.frames[-1].offset + span(len(self.frames[-1].payload))

    def restore(self) -> None:
        """Undo all damage."""
        self.path.write_bytes(self.data)


def write_commits(directory: Path, groups: tuple[int, ...] = (1, 1, 1, 1)) -> Written:
    """Write commits of two symbols and both tables; ``groups`` are the rows frames of each append."""
    directory.mkdir(exist_ok=True)
    journal, _ = open_journal(directory)
    sections: dict[int, tuple[LostSection, ...]] = {}
    done = 0
    for size in groups:
        payloads = []
        for number in range(done, done + size):
            tables = [
                table_rows(MD, (0, DAY, number, 1), (1, DAY, 2 * number, 2), serial=number),
                table_rows(TRADES, (2, DAY, number, 1), (3, DAY + 1, number, 1), serial=number),
            ]
            payloads.append((FrameType.ROWS, encode(tables).data))
            sections[number + 3] = tuple(
                LostSection(rows.table.number, *(int(value) for value in section.tolist()[:4]))
                for rows in tables
                for section in rows.sections
            )
        done += size
        journal.append(payloads)
    journal.close()
    (segment,) = list_segments(directory)
    return Written(directory, segment.path, segment.path.read_bytes(), list(_frames(segment.path)), sections)


def _frames(path: Path) -> Iterator[Frame]:
    (segment,) = list_segments(path.parent)
    reader = SegmentReader(segment)
    data = path.read_bytes()
    for offset, header in reader.headers():
        payload = reader.payload_at(offset, header)
        assert payload is not None
        whole = data[offset : offset + HEADER_BYTES + len(payload)]
        yield Frame(offset, header.type, header.sequence, payload, whole)
    reader.close()


def replayed(written: Written) -> tuple[dict[int, bytes], list[Damaged]]:
    """Return the payloads by sequence and the damage; no frame that is not one of ours comes back."""
    items = list(Replay(list_segments(written.directory), START).items())
    found = {item.position.sequence: item.payload for item in items if isinstance(item, Replayed)}
    ours = {frame.sequence: frame.payload for frame in written.frames}
    assert found.items() <= ours.items()
    damaged = [item for item in items if isinstance(item, Damaged)]
    lost = [sequence for item in damaged for sequence in range(item.first, item.last + 1)]
    assert not set(lost) & set(found)
    assert len(set(lost)) == len(lost)
    return found, damaged


def expect_lost(written: Written, frame: Frame, last_group: int) -> None:
    """Insist that one frame is missing, and that it is named as well as it can be."""
    found, damaged = replayed(written)
    assert set(found) == {other.sequence for other in written.frames} - {frame.sequence}
    acknowledged = frame.sequence < last_group
    if frame.type is FrameType.ROWS or acknowledged:
        (item,) = damaged
        assert (item.first, item.last, item.type) == (frame.sequence, frame.sequence, frame.type)
        assert item.sections == written.sections.get(frame.sequence, ())
        assert (item.path, item.offset, item.size) == (
            written.path,
            frame.offset,
            span(len(frame.payload)),
        )
        assert item.acknowledged is acknowledged
