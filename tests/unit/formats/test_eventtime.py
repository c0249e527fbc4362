from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.formats.eventtime import (
    DAY_US,
    SECOND_US,
    day_of,
    day_start_us,
    format_time,
    parse_time,
    to_us,
)
from cloudtrail_parquet.records.decode import Record
from cloudtrail_parquet.records.event_times import event_times

NOON = datetime(2026, 1, 10, 12, 0, 0, tzinfo=UTC)
NOON_US = to_us(NOON)

moments = st.datetimes(timezones=st.just(UTC))
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@given(moments)
def test_a_time_written_is_read_again(moment: datetime) -> None:
    assert parse_time(format_time(to_us(moment))) == to_us(moment)


@given(moments.map(lambda moment: moment.replace(microsecond=0)))
def test_a_whole_second_is_written_as_cloudtrail_does(moment: datetime) -> None:
    assert format_time(to_us(moment)) == moment.isoformat().replace("+00:00", "Z")


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), offsets)  # noqa: DTZ001  the zone is drawn
def test_an_offset_is_taken_off(local: datetime, zone: timezone) -> None:
    moment = local.replace(tzinfo=zone)

    assert parse_time(moment.isoformat()) == to_us(moment)
    assert parse_time(moment.isoformat(" ").replace(":", "")) == to_us(moment)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026-01-10T12:00:00Z",
            "2026-01-10T12:00:00",
            "2026-01-10t12:00:00z",
            "20260110T120000Z",
        ),
        *("2026-01-10 12:00:00", "2026-01-10T12:00:00.000Z", "2026-01-10T12:00:00,0Z"),
        *("2026-01-10T13:00:00+01:00", "2026-01-10T13:00:00+0100", "2026-01-10T13:00:00+01"),
        *("2026-01-10T03:30:00-08:30", "2026-01-10T12:00:00 +00:00", " 2026-01-10T12:00:00Z "),
        *("1768046400", "1768046400.", "1768046400.0", "1768046400000", "1768046400000.9"),
    ],
)
def test_every_form_seen_in_copies_is_understood(text: str) -> None:
    assert parse_time(text) == NOON_US


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        *((".1", 100_000), (".000001", 1), (".0000019", 1), (".999999999", 999_999)),
        (".1234567891", 123_456),
    ],
)
def test_a_fraction_is_kept_to_the_microsecond_and_cut_there(text: str, microseconds: int) -> None:
    assert parse_time(f"2026-01-10T12:00:00{text}Z") == NOON_US + microseconds


def test_a_fraction_counts_forward_before_1970_too() -> None:
    assert parse_time("1969-12-31T23:59:59.25Z") == -750_000
    assert parse_time("-1.25") == -1_250_000
    assert parse_time("-0.25") == -250_000


def test_a_leap_second_is_the_second_before_it() -> None:
    assert parse_time("2016-12-31T23:59:60Z") == parse_time("2016-12-31T23:59:59Z")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "soon", "2026-01-10", "2026-01-10T12:00Z", "12:00:00"),
        *("2026-13-10T12:00:00Z", "2026-02-29T12:00:00Z", "2026-01-10T24:00:00Z"),
        *("2026-01-10T12:60:00Z", "2026-01-10T12:00:61Z", "2026-01-10T12:00:00+24:00"),
        *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
        *("2026-01-10T12:00:00Zulu", "2026-01-10T12:00:00ZZ", "99999999999999999", "1e9", "NaN"),
        *("٢٠٢٦-01-10T12:00:00Z", "2026-01-10T12:00:00.Z", "+1768046400", "1768046400s"),
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) is None


@given(st.one_of(st.text(), st.text("0123456789-+:.,TZtz eE", max_size=32)))
def test_any_text_is_a_time_that_can_be_written_or_none(text: str) -> None:
    time_us = parse_time(text)

    assert time_us is None or parse_time(format_time(time_us)) == time_us


@given(moments)
def test_the_day_of_a_time_holds_it(moment: datetime) -> None:
    time_us = to_us(moment)

    assert day_of(time_us) == moment.date()
    assert 0 <= time_us - day_start_us(moment.date()) < DAY_US


@pytest.mark.parametrize("day", [date.min, date(1969, 12, 31), date(1970, 1, 1), date.max])
def test_a_day_ends_one_microsecond_before_the_next(day: date) -> None:
    start = day_start_us(day)

    assert start % DAY_US == 0
    assert day_of(start) == day_of(start + DAY_US - 1) == day


# The column of event times, which reads many at once.

CANONICAL_LOOKING = st.builds(
    "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}Z".format,
    st.one_of(st.sampled_from([0, 1, 999, 2024, 9999]), st.integers(0, 9999)),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 25),
    st.integers(0, 60),
    st.integers(0, 61),
)


TWENTY_BYTES = st.sampled_from(
    [
        *(
            "2026-01-10T1234+0100",
            "2026-01-10T123456+01",
            "2026-01-10t12:34:56Z",
            "2026-01-10T12:34:56z",
        ),
        *(
            "2026-01-10 12:34:56Z",
            "2026-01-10T12:34:56 ",
            "2026-01-10T12:34-010",
            "2026-01-10T12:34:5.Z",
        ),
    ]
)


@pytest.mark.parametrize(
    "text", ["0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-10T24:00:00Z"]
)
def test_a_column_of_event_times_has_none_where_the_text_is_no_time(text: str) -> None:
    assert event_times([Record(eventTime=text)], {}).to_pylist() == [None]


@given(st.lists(st.one_of(CANONICAL_LOOKING, TWENTY_BYTES), min_size=1, max_size=3))
def test_a_column_of_event_times_is_what_each_text_says_and_keeps_others_as_delivered(
    texts: list[str],
) -> None:
    leftovers: dict[int, list[tuple[str, bytes]]] = {}

    times = event_times([Record(eventTime=text) for text in texts], leftovers)

    assert times.type == pa.int64()
    assert times.to_pylist() == [parse_time(text) for text in texts]
    for row, text in enumerate(texts):
        canonical = (time_us := parse_time(text)) is not None and format_time(time_us) == text
        assert (row in leftovers) is not canonical


def test_a_delivered_text_that_is_no_canonical_time_is_left_over_once() -> None:
    records = [
        Record(eventTime=text)
        for text in ("2026-01-10T12:00:00Z", "2026-01-10 12:00:00", "soon", None)
    ]
    leftovers: dict[int, list[tuple[str, bytes]]] = {}

    times = event_times(records, leftovers)

    assert times.to_pylist() == [NOON_US, NOON_US, None, None]
    assert [one.eventTime for one in records] == ["2026-01-10T12:00:00Z"] * 2 + [None, None]
    assert leftovers == {
        1: [("eventTime", b'"2026-01-10 12:00:00"')],
        2: [("eventTime", b'"soon"')],
    }


def test_a_second_has_a_million_microseconds() -> None:
    assert to_us(NOON + timedelta(seconds=1)) - NOON_US == SECOND_US
