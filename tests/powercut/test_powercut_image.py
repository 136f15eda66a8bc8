from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from powercut_image import Loss, Remains, VolatileImage

SIZE = 64 * 1024


@pytest.fixture
def durable() -> Iterator[int]:
    """Yield what receives the durable sectors."""
    fd = os.memfd_create("durable")
    os.ftruncate(fd, SIZE)
    yield fd
    os.close(fd)


def test_flushed_sectors_survive(durable: int) -> None:
    """A cut takes nothing away that was flushed."""
    image = VolatileImage(durable, SIZE)
    image.write(4096, b"a" * 4096)
    image.flush()
    image.write(4096, b"b" * 4096)
    assert image.read(4096, 4096) == b"b" * 4096
    assert image.cut(Loss(sector=512, keep=0.0, seed=1)) == Remains(kept=0, dropped=8)
    assert os.pread(durable, 4096, 4096) == b"a" * 4096


def test_unflushed_sectors_survive_one_by_one(durable: int) -> None:
    """Each sector of a write is kept or dropped as a whole, and by itself."""
    image = VolatileImage(durable, SIZE)
    image.write(0, b"x" * SIZE)
    remains = image.cut(Loss(sector=512, keep=0.5, seed=2))
    sectors = [os.pread(durable, 512, at) for at in range(0, SIZE, 512)]
    assert set(sectors) == {b"x" * 512, bytes(512)}
    units = [b"".join(sectors[:8]), *sectors[8:]]
    kept = sum(1 for unit in units if unit.strip(b"x") == b"")
    assert all(len(set(unit)) == 1 for unit in units)
    assert remains == Remains(kept, len(units) - kept)
    assert min(remains.kept, remains.dropped) > 30


def test_any_version_survives(durable: int) -> None:
    """A sector written several times may survive as any of them, even where all are kept."""
    image = VolatileImage(durable, SIZE)
    for letter in b"abc":
        image.write(512, bytes([letter]) * (SIZE - 512))
    assert image.cut(Loss(sector=4096, keep=1.0, seed=3)) == Remains(kept=16, dropped=0)
    found = [os.pread(durable, 4096, at) for at in range(0, SIZE, 4096)]
    assert found[0][:512] == bytes(512)
    assert {sector[512:] for sector in found} == {letter * 3584 for letter in (b"a", b"b", b"c")}


def test_a_new_disk_has_what_survived(durable: int) -> None:
    """The next power-on reads the durable contents, whatever the last cache held."""
    image = VolatileImage(durable, SIZE)
    image.write(0, b"gone")
    image.cut(Loss(sector=512, keep=0.0, seed=4))
    assert image.read(0, 4) == b"gone"
    assert VolatileImage(durable, SIZE).read(0, 4) == bytes(4)
