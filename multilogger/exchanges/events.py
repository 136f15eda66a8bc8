"""What an adapter finds in frames beside rows: what the exchange says of subscriptions and connections."""

from __future__ import annotations

import attrs


@attrs.frozen
class Confirmed:
    """The exchange confirmed the subscriptions of these symbols."""

    symbols: tuple[str, ...]


@attrs.frozen
class Rejected:
    """The exchange refused these symbols; ``reason`` is in its own words."""

    symbols: tuple[str, ...]
    reason: str


@attrs.frozen
class Send:
    """The adapter wants these frames sent, such as a subscription again without its rejected part."""

    frames: tuple[str, ...]


@attrs.frozen
class Renew:
    """The exchange announced that it will cut this connection; a new one has to take over."""

    reason: str


Event = Confirmed | Rejected | Send | Renew
