"""The file system of the images loses what was not synced, and nothing else."""

from __future__ import annotations

import random

from durability_calls import (
    Create,
    FailedSync,
    FailedSyncAll,
    MakeDirectory,
    Rename,
    Sync,
    SyncAll,
    SyncDirectory,
    Tree,
    Truncate,
    Unlink,
    Write,
)
from durability_volume import Adversary, Volume

_BEFORE: Tree = {"data": None, "data/old": b"old", "other": None}


def _volume() -> Volume:
    return Volume(_BEFORE)


def _least(volume: Volume) -> Tree:
    return volume.survivors(Adversary(random.Random(1), 0.0))


def test_data_without_its_name_is_lost() -> None:
    """A file's sync keeps its data; the name is there after the directory's."""
    volume = _volume().perform([Create("data/new", 1), Write(1, 0, b"abc"), Sync(1)])
    assert volume.now()["data/new"] == b"abc"
    assert "data/new" not in _least(volume)
    assert _least(volume.perform([SyncDirectory("data")]))["data/new"] == b"abc"


def test_a_name_without_data_is_empty() -> None:
    """A directory's sync keeps a file's name, and not what is in it."""
    volume = _volume().perform([Create("data/new", 1), Write(1, 0, b"abc"), SyncDirectory("data")])
    assert _least(volume)["data/new"] == b""


def test_a_later_write_survives_alone() -> None:
    """Of two writes the second may survive, and leave a hole of zeros before it."""
    volume = _volume().perform([Write(0, 3, b"xyz"), Write(0, 6, b"uvw")])
    found = {volume.survivors(Adversary(random.Random(seed), 0.5))["data/old"] for seed in range(200)}
    assert {b"old", b"oldxyz", b"oldxyzuvw", b"old\0\0\0uvw", b"oldx", b"old\0\0\0\0\0\0"} <= found


def test_names_survive_in_order() -> None:
    """Of a directory's changes the first ones survive, of different directories any."""
    creates = [Create(f"data/{at}", at) for at in range(1, 4)]
    volume = _volume().perform([*creates, MakeDirectory("other/inner"), Unlink("data/old")])
    found = [set(volume.survivors(Adversary(random.Random(seed), 0.5))) for seed in range(200)]
    assert all(("data/2" in it) <= ("data/1" in it) for it in found)
    assert all(("data/old" in it) >= ("data/3" not in it) for it in found)
    assert {("other/inner" in it, "data/1" in it) for it in found} == {
        (one, two) for one in (False, True) for two in (False, True)
    }


def test_a_rename_is_whole() -> None:
    """A file has its old name or its new one, also where they are in different directories."""
    for new in ("data/new", "other/new"):
        volume = _volume().perform([Rename("data/old", new), Create("other/more", 1)])
        for seed in range(50):
            found = volume.survivors(Adversary(random.Random(seed), 0.5))
            assert (new in found) != ("data/old" in found)
        assert new in _least(volume.perform([SyncDirectory("data")]))


def test_a_disk_is_synced_by_itself() -> None:
    """What is synced on one disk is not on another."""
    volume = _volume().perform([Create("data/new", 1), Write(1, 0, b"abc"), Create("other/new", 2)])
    assert _least(volume.perform([SyncAll("data")])) == _BEFORE | {"data/new": b"abc"}


def test_a_failed_sync_loses_for_good() -> None:
    """What a failed sync was for is never durable, whatever is written and synced later."""
    failures: list[FailedSync | FailedSyncAll] = [FailedSync(0), FailedSyncAll("data")]
    for failed in failures:
        volume = _volume().perform([Write(0, 0, b"new"), failed, Write(0, 0, b"new"), Sync(0)])
        assert volume.now()["data/old"] == b"new"
        assert _least(volume)["data/old"] == b"old"


def test_sizes_are_set() -> None:
    """A file is shortened, or filled up with zeros."""
    assert _least(_volume().perform([Truncate(0, 2), Sync(0)]))["data/old"] == b"ol"
    assert _least(_volume().perform([Truncate(0, 5), Sync(0)]))["data/old"] == b"old\0\0"
