"""What the adapters share: times, order ids, diagnoses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from multilogger.batch import NO_ORDER
from multilogger.exchanges.fields import IsoClock, diagnose, epoch_ns, ignore, order_id, order_ids
from multilogger.stats import ExchangeStats

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    moments=st.lists(
        st.tuples(
            st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 - made aware below
            st.integers(0, 9),
            st.integers(0, 10**9 - 1),
            st.sampled_from(["Z", "+00:00"]),
        ),
        min_size=1,
        max_size=8,
    )
)
@example(moments=[(datetime(2024, 2, 29, 23, 59, 59), 6, 999_999_999, "Z")])  # noqa: DTZ001 - made aware below
def test_fields_iso_clock_agrees_with_datetime(moments: list[tuple[datetime, int, int, str]]) -> None:
    """A clock that has seen other times reads each time exactly, to the nanosecond."""
    clock = IsoClock()
    for moment, digits, nanos, zone in moments:
        whole = moment.replace(microsecond=0, tzinfo=UTC)
        fraction = f"{nanos:09}"[:digits]
        text = whole.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + zone
        seconds = (whole - EPOCH) // timedelta(seconds=1)
        assert clock.ns(text) == seconds * 10**9 + int(fraction.ljust(9, "0"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00.1234567891Z",
        "2026-11-22T10:00:00.12345_Z",
        "2026-11-22T10:00:00.1234 6Z",
        "2026-11-22T10:00:00.123456z",
        "2026-11-22T10:00:00.123456Z ",
        "2026-11-22T10:00:60.123456Z",
        "2026-11-22T25:00:00.123456Z",
        "2026-13-22T10:00:00.123456Z",
        "2026-11-22T10:00:00.123456-00:00",
    ],
)
def test_fields_iso_clock_refuses(text: str) -> None:
    """What is no ISO-8601 UTC time is refused, by a fresh clock and by one that knows the second."""
    clock = IsoClock()
    with pytest.raises(ValueError, match=r"ISO-8601|must be in|month|hour"):
        clock.ns(text)
    clock.ns("2026-11-22T10:00:00.000000Z")
    with pytest.raises(ValueError, match=r"ISO-8601|must be in|month|hour"):
        clock.ns(text)


@given(st.uuids())
def test_fields_order_id_is_the_uuid(number: uuid.UUID) -> None:
    """A UUID's text gives its bytes in textual order, in either case."""
    assert order_id(str(number)) == order_id(str(number).upper()) == number.bytes


@pytest.mark.parametrize("text", [None, "", "0a-uuid", "1234", "g" * 32, "0" * 34, "é" * 32])
def test_fields_order_id_of_anything_else(text: str | None) -> None:
    """What is no UUID gives zeros."""
    assert order_id(text) == NO_ORDER


@pytest.mark.parametrize("other", [None, "", "0a-uuid", "z" * 36, "-" * 36, "1" * 36, str(uuid.UUID(int=7))])
def test_fields_order_ids_are_each_on_their_own(other: str | None) -> None:
    """Of the two ids of a trade a bad one costs only itself."""
    good = uuid.UUID(int=2**127 + 5)
    assert order_ids(str(good), other) == (good.bytes, order_id(other))
    assert order_ids(other, str(good)) == (order_id(other), good.bytes)


def test_fields_epoch_units() -> None:
    """Milliseconds and microseconds are told apart by their size."""
    assert epoch_ns(1_795_341_600_101) == 1_795_341_600_101_000_000
    assert epoch_ns(1_795_341_600_101_202) == 1_795_341_600_101_202_000


def test_fields_diagnosis_names_the_first_fault() -> None:
    """Of several faults the first field's is the reason; an optional field may be missing."""
    spec = (("a", int, "bad id"), ("b", str | None, "bad order id"))
    assert diagnose({"a": "x", "b": 5}, spec) == "bad id"
    assert diagnose({"a": 5, "b": 5}, spec) == "bad order id"
    assert diagnose({"b": None}, spec) == "missing field"
    assert diagnose({"a": 5}, spec) == "wrong type"
    assert diagnose(None, spec) == "not an object"


@given(st.lists(st.text(max_size=3), max_size=300))
def test_fields_ignored_kinds_are_bounded(kinds: list[str]) -> None:
    """Whatever kinds come, there are fifty counters and one for the rest, and none is lost."""
    stats = ExchangeStats("x")
    for kind in kinds:
        ignore(stats, kind)
    assert len(stats.ignored) <= 51
    assert stats.ignored.total() == len(kinds)


def test_other_digits_are_no_time_whatever_came_before() -> None:
    """A fraction in digits of another script is refused, also within a second that is known already."""
    clock = IsoClock()
    clock.ns("2026-11-22T10:00:00.123456Z")
    with pytest.raises(ValueError, match="no ISO-8601"):
        clock.ns("2026-11-22T10:00:00.\u0661\u0662\u0663\u0664\u0665\u0666Z")
