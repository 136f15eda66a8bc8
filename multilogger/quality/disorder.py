"""Trade ids that are no ordinary disorder, until further trades have confirmed them."""

from __future__ import annotations

import attrs


@attrs.frozen
class Leap:
    """Ids that leapt ahead, and that no further trade has confirmed yet."""

    last: int
    """The id before."""
    last_ns: int
    to: int


@attrs.define
class FallenBack:
    """A run of trades of one symbol whose ids are below the last one, though they are newer."""

    last: int
    rows: int = 1
