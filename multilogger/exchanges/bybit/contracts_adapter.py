"""The dialect of Bybit's linear and inverse contracts, whose tickers tell what has changed."""

from __future__ import annotations

from typing import ClassVar

from multilogger.batch import RowBuffer
from multilogger.errors import FrameError
from multilogger.exchanges.bybit.adapter import TICKERS_TOPIC, BybitAdapter, Parse, Topic
from multilogger.exchanges.bybit.known import Known, Quotes, merged
from multilogger.exchanges.bybit.tickers import decode_ticker, read, ticker_of, time_of
from multilogger.exchanges.fields import decode_object, ignore


class ContractsAdapter(BybitAdapter):
    """One connection's parser and subscriber: the arguments are :class:`BybitAdapter`'s.

    A ``tickers`` that changes the quotes or the last price gives a row.
    """

    symbols_a_request: ClassVar[int] = 25
    """Two topics each; their number is not limited, but one bad one voids a request."""

    def ticker_parsers(self) -> dict[str, Parse]:
        """Return the topic that is a ticker."""
        return {TICKERS_TOPIC: self._ticker}

    def _ticker(self, frame: bytes, topic: Topic, recv_ns: int, rows: RowBuffer) -> None:
        known, before = topic.known, topic.known.quotes
        try:
            message = read(frame, decode_ticker, ticker_of)
            if message.type == "delta" and not known.begun:
                ignore(self._stats, f"{TICKERS_TOPIC} delta before a snapshot")
                return
            now, time_ns = merged(before, message, daily=self._daily_volume), time_of(message.ts)
        except FrameError:
            _forget(known, frame)
            raise
        known.quotes, known.begun = now, True
        if self._daily_volume and now.last:
            known.market.ticker_side(now.last)
        quotes_changed = now.bid != before.bid or now.ask != before.ask
        if quotes_changed or now.last != before.last:
            self.add_row(topic, time_ns, recv_ns, rows, quotes_changed=quotes_changed)
        else:
            self.unchanged(topic)
        topic.fresh = False


def _forget(known: Known, frame: bytes) -> None:
    """Forget what a refused message speaks of: what was said before is not true any more.

    Raises:
        FrameError: it is no JSON.
    """
    message = decode_object(frame)
    data, before = message.get("data"), known.quotes
    told = data if isinstance(data, dict) else {}
    known.quotes = Quotes(
        0.0 if "lastPrice" in told else before.last,
        0.0 if "bid1Price" in told else before.bid,
        0.0 if "ask1Price" in told else before.ask,
        0.0 if "volume24h" in told else before.volume,
    )
    # What comes next is a delta all the same.
    known.begun = known.begun or message.get("type") == "snapshot"
