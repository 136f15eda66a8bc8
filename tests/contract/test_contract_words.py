"""What the exchange says beside data: acknowledgements, refusals, signs of life, notices."""

from __future__ import annotations

from typing import Any

from contract_cases import Words
from contract_feeding import Fed, made
from contract_marks import by_exchange, by_words
from contract_subject import Subject

from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, Rejected, Renew, Send


def stated(event: Event) -> dict[str, Any]:
    """Return an event as a fixture states it, but for words that are the exchange's own."""
    match event:
        case Confirmed(symbols):
            return {"confirmed": list(symbols)}
        case Rejected(symbols, reason):
            assert reason, "a refusal is given in the exchange's words"
            return {"rejected": list(symbols)}
        case Send(frames):
            assert frames
            assert all(frames)
            return {"send": True}
        case Renew(reason):
            assert reason
            return {"renew": True}


@by_words
def test_words(subject: Subject, words: Words) -> None:
    """A message means the events that its fixture states, in order, and is no row."""
    fed = subject.listening(words)
    refused, ignored = fed.refused, fed.ignored
    events = fed.feed(words.payload)
    assert [stated(event) for event in events] == words.events
    assert fed.refused == {**refused, **_one(words.refused, refused)}
    assert fed.ignored == {**ignored, **_one(words.ignored, ignored)}
    assert len(fed.buffer) == 0


def _one(name: str | None, known: dict[str, int]) -> dict[str, int]:
    return {} if name is None else {name: known.get(name, 0) + 1}


@by_words
def test_words_are_no_records(subject: Subject, words: Words) -> None:
    """The public parsers give nothing for what is no data, or refuse what the adapter refuses.

    What the adapter ignores may be data all the same, such as quotes before any trade.
    """
    fed = subject.listening(words)
    for parse in (fed.exchange.parse_trade_data, fed.exchange.parse_market_data):
        reason, records = None, 0
        try:
            records = len(parse(words.payload))
        except FrameError as error:
            reason = error.reason
        assert not records or words.ignored is not None
        assert reason in (None, words.refused) or words.text is not None


@by_words
def test_words_cost_no_data(subject: Subject, words: Words) -> None:
    """Data before and after words are recorded."""
    case = next(case for case in subject.cases if case.table == "TRADES" and not case.options)
    fed = subject.after(case)
    fed.feed(case.payload, words.payload, case.payload)
    assert len(fed.take()["TRADES"]) == 2 * len(case.expected)


@by_exchange
def test_no_frames_and_no_symbols(subject: Subject) -> None:
    """Nothing in, nothing out: no request for no symbols, no event of no frames."""
    fed = Fed(made(subject.kind), ())
    assert fed.requests == []
    assert fed.adapter.unsubscribe([]) == []
    assert fed.feed() == []


@by_exchange
def test_newest_ids_end_with_the_subscription(subject: Subject) -> None:
    """What the exchange names as the newest trades is of subscribed symbols only, and of whole numbers."""
    for case in subject.cases:
        fed = subject.after(case)
        fed.feed(case.payload)
        newest = getattr(fed.adapter, "newest_ids", {})
        assert set(newest) <= set(range(len(fed.table)))
        assert all(type(trade_id) is int and 0 <= trade_id < 2**63 for trade_id in newest.values())
        fed.adapter.unsubscribe(fed.table.names)
        assert getattr(fed.adapter, "newest_ids", {}) == {}
