"""Arrays by symbol number, which grow as symbols are met."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from multilogger.tables import Array

ROOM: Final = 64
"""Symbols that an array has room for at first."""


def with_room(values: Array, number: int, fill: Any) -> Array:
    """Return ``values``, or a longer copy, in which ``number`` is an index; new places hold ``fill``.

    It at least doubles, so that growing costs nothing in the long run.
    """
    size = len(values)
    if number < size:
        return values
    more = max(number + 1 - size, size)
    return np.concatenate([values, np.full((more, *values.shape[1:]), fill, values.dtype)])
