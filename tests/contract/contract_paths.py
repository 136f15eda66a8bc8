"""Places in a JSON value, and what becomes of it if something else stands there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Give each place below a value, parents first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from paths(item, (*path, key))


def at(value: Any, path: Path) -> Any:
    """Return what stands at a place."""
    for key in path:
        value = value[key]
    return value


def without(value: Any, path: Path) -> Any:
    """Return a copy with a place left out."""
    changed = copy.deepcopy(value)
    del at(changed, path[:-1])[path[-1]]
    return changed


def replaced(value: Any, path: Path, item: Any) -> Any:
    """Return a copy with something else at a place, which may be new in an object."""
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = item
    return changed


def field_of(path: Path) -> str | None:
    """Return the field that a place belongs to: the last name on the way to it."""
    return next((key for key in reversed(path) if isinstance(key, str)), None)
